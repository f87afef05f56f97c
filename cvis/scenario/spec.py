"""A stream as a data file: the fields of ``scenarios/*.toml``, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cvis.data.datasets import known
from cvis.discovery import Offers, Origin
from cvis.errors import UserError, did_you_mean_path
from cvis.files import read_toml, shipped
from cvis.scenario.visibility import OtherClassPolicy, Visibility
from cvis.validation import did_you_mean, validate

SplitName = Literal["holdout", "official-valid", "test-file", "frames", "same"]
Count = Annotated[int, Field(ge=1, strict=True)]

NOT_STREAMS = ("splits",)
"""Files of ``scenarios/`` that are not streams."""


class Spec(BaseModel):
    """One stream. An unknown field is an error; :mod:`cvis.scenario.order` explains ``order``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")  # becomes a folder; default: the file's name
    description: str = ""
    dataset: str  # a name in cvis.data.datasets
    base: Count  # classes of step 0
    increment: Count | list[Count]  # classes of every later step, or one number per later step
    order: str | list[str | int] = "file"
    exclude: list[str | int] = []  # classes left out of the stream
    visibility: Visibility = "overlap"
    other_class_policy: OtherClassPolicy = "drop"
    split: SplitName = "holdout"
    test_fraction: float = Field(default=0.2, gt=0, lt=1)  # of the videos (holdout) or of the frames (frames)
    annotations: Path | None = None  # with own_files only, as the three below; relative to the toml file
    frames: Path | None = None
    test_annotations: Path | None = None
    test_frames: Path | None = None


OVERRIDES = ("visibility", "other_class_policy", "split", "test_fraction")
"""What may be overridden by key: how the stream is cut, never what it is called after."""


def list_scenarios() -> list[str]:
    """Names of the streams that ship with cvis, sorted."""
    return sorted(p.stem for p in shipped("scenarios").glob("*.toml") if p.stem not in NOT_STREAMS)


def _check(file: Any, origin: Origin) -> Path:
    if not isinstance(file, Path):
        raise UserError(f"entry point {origin.name}: {file!r:.60}: is not the pathlib.Path of a .toml file")
    if (name := read_spec(file).name) != origin.name:
        raise UserError(f"entry point {origin.name}: {file}: is the stream {name!r}; give both the same name")
    return file


OFFERED = Offers("cvis.scenarios", list_scenarios, _check)
"""Streams of installed packages: the path of a toml file by its name."""


def find_scenario(name_or_path: str | Path) -> Path:
    """The toml file of a stream that ships with cvis or with an installed package, or the given file.

    Raises:
        UserError: neither, or the package is broken.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix == ".toml":
        if path.is_file():
            return path
        remedy = did_you_mean_path(path, "make one with cvis scenario make")
        raise UserError(f"{path}: no such scenario file; {remedy}")
    name = str(name_or_path)
    if name in list_scenarios():
        return shipped("scenarios") / f"{name}.toml"
    if (offered := OFFERED.values().get(name)) is not None:
        return offered
    if reason := OFFERED.reason(name):
        raise UserError(f"scenario: {name!r}: does not load: {reason}; correct or uninstall the package")
    hint = did_you_mean(name, [*list_scenarios(), *OFFERED.values()])
    raise UserError(f"scenario: {name!r}: no such scenario; {hint} (or give a .toml file)")


def read_spec(path: Path, overrides: Mapping[str, Any] | None = None) -> Spec:
    """Read a stream's file.

    Raises:
        UserError: not TOML, an unknown field or override, or a value that does not fit.
    """
    fields = read_toml(path)
    for key in overrides or {}:
        if key not in OVERRIDES:
            raise UserError(f"scenario override: {key}: no such key; choose one of {', '.join(OVERRIDES)}")
    return parse_spec({"name": path.stem, **fields, **(overrides or {})}, str(path))


def parse_spec(fields: Mapping[str, Any], where: str) -> Spec:
    """Check the fields of a stream; ``where`` is the file they come from.

    Raises:
        UserError: names the first field that does not fit, its value and what would fit.
    """
    spec = validate(Spec, fields, where)
    try:
        own_files = known(spec.dataset).own_files
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if own_files:
        _check_own_files(spec, where)
        return spec
    for field in ("annotations", "frames", "test_annotations", "test_frames"):
        if (path := getattr(spec, field)) is not None:
            raise UserError(
                f'{where}: {field}: {str(path)!r}: only for dataset = "custom"; '
                f"remove it (the files of {spec.dataset} are found under the data root)"
            )
    return spec


def _check_own_files(spec: Spec, where: str) -> None:
    if spec.annotations is None:
        raise UserError(f"{where}: annotations: missing: dataset = {spec.dataset!r} needs it; add the JSON file's path")
    if spec.split in ("test-file", "official-valid") and spec.test_annotations is None:
        raise UserError(
            f"{where}: test_annotations: missing: split = {spec.split!r} needs it; "
            f'add the JSON file\'s path, or choose split = "holdout"'
        )
