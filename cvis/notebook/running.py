"""``cvis run`` in a notebook."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cvis.notebook.results import Results, load_runs


def run(
    scenario: str | Path,
    learner: str,
    *,
    segmenter: str = "mask2former_tiny",
    schedule: str | None = None,
    preset: str | None = None,
    seeds: int | Iterable[int] = 0,
    data: str | Path | None = None,
    runs: str | Path | None = None,
    name: str | None = None,
    init: str | Path | None = None,
    device: str | None = None,
    workers: int | None = None,
    on_bad_frame: str | None = None,
    deterministic: bool | None = None,
    loggers: Iterable[str] | None = None,
    set: Mapping[str, Any] | None = None,
) -> Results:
    """Run a learner through a stream, as ``cvis run`` with the same options; the same call again resumes.

    >>> import cvis
    >>> done = cvis.run("my-stream.toml", learner="finetune", runs="runs", set=small)
    >>> done.table("mAP").records()[0]["learner"]
    'finetune'

    Args:
        seeds: one, or several: a run each.
        set: any key of the configuration, as after ``--set``: ``{"schedule.scale": 0.1, "learner.arsp": False}``.

    Returns:
        The finished runs; a notebook shows their table.

    Raises:
        UserError: anything wrong with the configuration, the data or the disk.
        Stopped: the kernel was interrupted; what was done is saved.
    """
    from cvis.engine.resolve import resolve
    from cvis.engine.run import run as run_stream

    options = {
        "runtime.data": data and str(data),
        "runtime.runs": runs and str(runs),
        "protocol.init": init and str(init),
        "runtime.device": device,
        "runtime.workers": workers,
        "runtime.on_bad_frame": on_bad_frame,
        "runtime.deterministic": deterministic,
        "runtime.loggers": None if loggers is None else list(loggers),
    }
    given = {**{key: value for key, value in options.items() if value is not None}, **(set or {})}
    chosen = [seeds] if isinstance(seeds, int) else list(seeds)
    configs = [
        resolve(
            str(scenario),
            learner,
            segmenter,
            schedule,
            [f"{key}={value!r}" for key, value in {**given, "runtime.seed": seed}.items()],
            name,
            preset,
        )
        for seed in chosen
    ]
    _tell()
    return load_runs(*(run_stream(config) for config in configs))


def _tell() -> None:
    """Progress to stderr, which notebooks show, unless the user has her own way of logging."""
    logger = logging.getLogger("cvis")
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.INFO)
