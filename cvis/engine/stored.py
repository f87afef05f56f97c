"""A run on disk, read again: its configuration and the stream that it ran on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from cvis.errors import UserError
from cvis.scenario import Scenario, load_scenario


def stored_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run, from the ``config.py`` in its folder.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = folder / "config.py"
    if not path.is_file():
        raise UserError(
            f"{folder}: config.py: does not exist: not the folder of a run; give the folder `cvis run` made"
        )
    try:
        config = Config.fromfile(str(path)).to_dict()
    except Exception as error:  # a config file is a program: it may fail in any way
        raise UserError(f"{path}: is not a valid config file: {type(error).__name__}: {error}") from error
    for key, kind in (("scenario", str), ("protocol", dict), ("runtime", dict)):
        if not isinstance(config.get(key), kind):
            raise UserError(
                f"{path}: {key}: missing or damaged; run the same `cvis run` again, it writes the file anew"
            )
    return config


def scenario_of(config: dict[str, Any], data: Path | str | None = None) -> Scenario:
    """The stream that a configuration names, with its data set.

    Args:
        data: the folder of the data set, in place of the configuration's.

    Raises:
        UserError: see :func:`cvis.scenario.load_scenario`.
    """
    data = data or config["runtime"].get("data")
    keys = ("split", "visibility", "other_class_policy")
    overrides = {k: v for k in keys if (v := config["protocol"].get(k)) is not None}
    return load_scenario(config["scenario"], Path(data) if data else None, **overrides)
