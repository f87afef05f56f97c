"""The names that a command can be given, found without importing what they name: for completion, and for typing errors.

Importing a learner loads torch, which takes seconds; its file says its name too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from cvis.files import shipped

REGISTERED = re.compile(r'^@\w+\.register_module\(name="([^"]+)"\)', re.MULTILINE)


def scenarios() -> list[str]:
    return sorted({*_stems("scenarios", "toml"), *_offered("cvis.scenarios")} - {"splits"})


def learners() -> list[str]:
    return sorted({*_registered("learners"), *_offered("cvis.learners")})


def segmenters() -> list[str]:
    files = _stems("configs/segmenters", "py")
    return sorted({*files, *_registered("segmenters"), *_offered("cvis.segmenters")})


def schedules() -> list[str]:
    return _stems("configs/schedules", "py")


def presets() -> list[str]:
    return _stems("configs/presets", "py")


def sweeps() -> list[str]:
    return _stems("configs/sweeps", "toml")


def formats() -> list[str]:
    return [name.replace("_", "-") for name in _declaring("data/formats", "FORMAT")]


def datasets() -> list[str]:
    return sorted({*_declaring("data/datasets", "DATASET"), *_offered("cvis.datasets")})


def or_files(names: Callable[[], list[str]], suffix: str) -> Callable[[str], list[str]]:
    """For shell completion: these names, and paths of files of one kind."""

    def complete(incomplete: str) -> list[str]:
        start = Path(incomplete)
        folder = start if incomplete.endswith("/") else start.parent
        paths = sorted(folder.glob("*")) if folder.is_dir() else []
        return [*names(), *(f"{path}/" if path.is_dir() else str(path) for path in paths if fits(path))]

    def fits(path: Path) -> bool:
        return path.suffix == suffix or path.is_dir()

    return complete


def listed(names: Callable[[], list[str]]) -> Callable[[str], list[str]]:
    """For shell completion: these names behind the last comma."""
    return lambda incomplete: [incomplete[: incomplete.rfind(",") + 1] + name for name in names()]


def refuse_unknown(kind: str, name: str | None, names: Callable[[], list[str]]) -> None:
    """Refuse a name before anything heavy is imported; a path of a file, and what is imported already, passes.

    Raises:
        UserError: nothing is called that.
    """
    if name is None or name.endswith((".py", ".toml")) or ".py:" in name or "torch" in sys.modules:
        return
    if name not in (known := names()):
        from cvis.errors import UserError, did_you_mean

        raise UserError(f"{kind}: {name!r} does not exist; {did_you_mean(name, known)} (or give a file)")


def _stems(folder: str, suffix: str) -> list[str]:
    return sorted(path.stem for path in shipped(folder).glob(f"*.{suffix}"))


def _registered(package: str) -> set[str]:
    """What our own files register."""
    folder = Path(__file__).parents[1] / package
    return {name for file in folder.rglob("*.py") for name in REGISTERED.findall(file.read_text(encoding="utf-8"))}


def _declaring(package: str, name: str) -> list[str]:
    """The modules of ours that declare something."""
    files = sorted((Path(__file__).parents[1] / package).glob("*.py"))
    return [file.stem for file in files if f"\n{name} = " in file.read_text(encoding="utf-8")]


def _offered(group: str) -> set[str]:
    """What packages offer, be it broken: that is said when it is loaded."""
    return {point.name for point in entry_points(group=group)}
