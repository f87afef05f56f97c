"""The `cvis run` that would make a run again, from the configuration that its ``run.json`` keeps.

For runs that do not say how they were started. Only what differs from today's defaults is spelled out, so the
command is short, and it stays right when a default changes.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from cvis.engine.config import fingerprint
from cvis.engine.resolve import flat, parse_value, resolve
from cvis.errors import UserError
from cvis.scenario.spec import OFFERED, list_scenarios

SAID_OTHERWISE = ("names.", "scenario", "runtime.seed", "learner.type", "segmenter.type")


def rebuilt_command(record: Mapping[str, Any], seeds: Sequence[int]) -> str | None:
    """The command line, quoted for a shell; None where it cannot be told.

    Args:
        record: content of ``run.json``.
        seeds: of the runs that share this configuration.
    """
    try:
        names, scenario, then = record["config"]["names"], record["scenario"], flat(fingerprint(record["config"]))
        if not all(map(_is_shipped, [scenario, *names.values()])):
            return None
        parts = _parts(names, scenario)
        now = flat(_now(scenario, names, parts))
        settings = [
            f"{key}={_spelled(value)}"
            for key, value in then.items()
            if not key.startswith(SAID_OTHERWISE) and (key not in now or now[key] != value)
        ]
        again = flat(_now(scenario, names, parts, settings))
    except (KeyError, TypeError, AttributeError, UserError):  # a file of the user's own, or keys of another version
        return None
    if any(again.get(key) != value for key, value in then.items() if not key.startswith(SAID_OTHERWISE)):
        return None
    stream = scenario if scenario in (*list_scenarios(), *OFFERED.values()) else f"{scenario}.toml"
    options = (word for option, value in parts.items() for word in (f"--{option}", value))
    words = ["cvis", "run", stream, "--learner", names["learner"], *options]
    if names["run"] != "-".join(filter(None, (names["learner"], names.get("preset")))):
        words += ["--name", names["run"]]
    words += ["--seeds" if len(seeds) > 1 else "--seed", ",".join(map(str, seeds))]
    return shlex.join([*words, *(word for setting in settings for word in ("--set", setting))])


def _is_shipped(name: str | None) -> bool:
    """Not a path: the record may be a stranger's, and a config file or a plugin that it names would be run."""
    return name is None or (not name.endswith(".py") and not {"/", ":"} & set(name))


def _parts(names: Mapping[str, Any], scenario: str) -> dict[str, str]:
    """The files to be named: those that are not the default anyway."""
    parts = {"segmenter": names["segmenter"], **({"preset": names["preset"]} if names.get("preset") else {})}
    if resolve(scenario, names["learner"], **parts).names.schedule != names["schedule"]:
        parts["schedule"] = names["schedule"]
    return parts


def _now(
    scenario: str, names: Mapping[str, Any], parts: Mapping[str, str], settings: Sequence[str] = ()
) -> dict[str, Any]:
    config = resolve(scenario, names["learner"], overrides=settings, name=names["run"], **parts)
    return fingerprint(config.model_dump(mode="json"))


def _spelled(value: Any) -> str:
    """As ``--set`` reads it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return value if isinstance(value, str) and parse_value(value) == value else repr(value)
