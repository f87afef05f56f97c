"""How long a run takes, told from finished runs like it: seconds an iteration, and seconds a test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from cvis.engine.config import Config, Schedule
from cvis.errors import UserError
from cvis.runs.find import candidates
from cvis.runs.open import OpenRun, open_run
from cvis.runs.protocol import flat
from cvis.runs.record import finished_steps

MOST_RUNS = 60
"""That are looked at for their times."""


@dataclass(frozen=True)
class Pace:
    """What a finished run took.

    Attributes:
        load: what decides how long an iteration takes, beside the learner.
        steps: of the stream.
        base: seconds an iteration in step 0, wherever its model was trained.
        later: in later steps.
        test: seconds a test, all its videos.
    """

    run: str
    learner: str
    joint: bool
    load: tuple[Any, ...]
    steps: int
    base: float
    later: float
    test: float


def measured(tops: Iterable[Path], machine: Mapping[str, Any] = {}, first: str = "") -> list[Pace]:
    """The paces of finished runs below some folders: of so many that the reading takes no time, spread over all.

    Args:
        machine: what the record of a run's environment must say; by default any will do.
        first: the name of a run that is looked at before others.
    """
    found = candidates(top for top in tops if top.is_dir())
    paths = sorted(path for path in found if isinstance(path, Path) and path.is_file())
    own = [path for path in paths if first in path.parts]
    others = [path for path in paths if first not in path.parts]
    spread = others[:: 1 + len(others) // MOST_RUNS]
    paces = (_pace(path.parent, machine) for path in [*own, *spread][:MOST_RUNS])
    return [pace for pace in paces if pace is not None]


def like(paces: Iterable[Pace], config: Config) -> list[Pace]:
    """Those that say most of a run to be made: of its own row, of its learner, or any with the same load."""
    names, load = config.names, _load(config.model_dump(mode="json"))
    same = [pace for pace in paces if pace.load == load]
    choices = (
        [pace for pace in same if (pace.run, pace.learner) == (names.run, names.learner)],
        [pace for pace in same if pace.learner == names.learner],
        [pace for pace in same if not pace.joint],
    )
    return next((choice for choice in choices if choice), [])


def seconds(paces: Sequence[Pace], base: int, later: int, tests: int) -> float:
    """What so many iterations of step 0 and of later steps, and so many tests, take: at the median of each pace."""
    pace = [median(values) for values in zip(*((p.base, p.later, p.test) for p in paces), strict=True)]
    return sum(count * each for count, each in zip((base, later, tests), pace, strict=True))


def seconds_of(config: Config, paces: Iterable[Pace], with_base: bool = True, with_later: bool = True) -> float | None:
    """What a run takes, or a part of it; None where nothing is known. How many steps it has, the measured ones say."""
    found = like(paces, config)
    if not found:
        return None
    steps, joint = found[0].steps, found[0].joint
    base, later = (config.schedule.phase(first, joint, steps).iterations for first in (True, False))
    rest = 0 if joint or not with_later else steps - 1
    return seconds(found, base * with_base, later * rest, 1 + rest)


def _pace(folder: Path, machine: Mapping[str, Any]) -> Pace | None:
    try:
        run = open_run(folder)
        place = run.record.get("environment") or {}
        return _pace_of(run) if all(place.get(key) == value for key, value in machine.items()) else None
    except (UserError, AttributeError, LookupError, TypeError, ValueError, ZeroDivisionError):  # old or damaged
        return None


def _pace_of(run: OpenRun) -> Pace:
    names, steps, joint = run.config["names"], finished_steps(run.folder), run.result.upper_bound
    schedule, count = Schedule.model_validate(run.config["schedule"]), len(run.result.groups)
    each = [step["train_s"] / schedule.phase(index == 0, joint, count).iterations for index, step in enumerate(steps)]
    later, test = median(each[1:] or each), median(step["eval_s"] for step in steps)
    return Pace(names["run"], names["learner"], joint, _load(run.config), count, each[0], later, test)


def _load(config: Mapping[str, Any]) -> tuple[Any, ...]:
    return config["segmenter"], flat(config["sampling"]), config["schedule"]["batch_size"]
