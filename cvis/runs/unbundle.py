"""A bundle becomes the folders of its runs again. It may be anybody's file: it holds what ``cvis bundle`` writes, or it
is refused."""

from __future__ import annotations

import atexit
import hashlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection
from itertools import zip_longest
from pathlib import Path

from cvis.errors import UserError
from cvis.files import zip_entry
from cvis.runs.paths import STEP_NAME, RunFolder

SUFFIX = ".zip"
SUMS = "SHA256SUMS"
"""The first file of a bundle: checksum and name of each other one, in their order, as ``sha256sum`` writes them."""
DEPTH = 4
"""Of a run's folder: scenario, segmenter, learner, seed."""
NAME = re.compile(r"[A-Za-z0-9_+=,][A-Za-z0-9._+=,-]{0,99}")
"""Of a folder: never hidden, never ``..``, and one that every file system takes."""

_RUN = RunFolder(Path())
_NEEDED = (_RUN.record.name, _RUN.metrics.name)
_OF_RUN = {*_NEEDED, _RUN.stream.name, _RUN.queries.name}
_OF_STEP = {file.name for file in (_RUN.step(0).metrics, _RUN.step(0).predictions, _RUN.step(0).digest)}


def is_bundle(path: Path) -> bool:
    """Whether a file begins as a bundle does, as other zip files do not."""
    if path.suffix != SUFFIX or not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(30 + len(SUMS))  # the name stands behind the 30 bytes of an entry's head
    return start.startswith(b"PK\x03\x04") and start.endswith(SUMS.encode())


def unpacked(path: Path) -> list[Path]:
    """The folders of the runs of a bundle, in a temporary folder that goes with the process.

    Raises:
        UserError: it cannot be read, is damaged, or is anything but what ``cvis bundle`` writes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sums = _checked(archive, path.stat().st_size)
            top = Path(tempfile.mkdtemp(prefix="cvis-"))
            atexit.register(shutil.rmtree, top, ignore_errors=True)
            for name, expected in sums.items():
                content = archive.read(name)
                if hashlib.sha256(content).hexdigest() != expected:
                    raise ValueError(f"{name}: is not the file of which {SUMS} has the checksum")
                file = top / path.name / name
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("xb") as target:
                    target.write(content)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be unpacked: {error}; free space, or name a folder that has some in TMPDIR"
        ) from error
    except Exception as error:  # zipfile meets damage with a dozen kinds of error
        raise UserError(f"{path}: is no bundle, or damaged: {error}; have it made again by `cvis bundle`") from error
    return sorted({top.joinpath(path.name, *name.split("/")[:DEPTH]) for name in sums})


def _checked(archive: zipfile.ZipFile, size: int) -> dict[str, str]:
    """Name -> checksum of each file, once all that can be said without unpacking is right.

    Nothing is packed, so no more is unpacked than what the archive itself takes.

    Raises:
        ValueError: what is wrong.
    """
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError(f"it would unpack to more than its own {size} bytes")
    for entry in entries:
        plain = zip_entry(entry.filename)
        for key in ("compress_type", "create_system", "external_attr", "date_time", "flag_bits"):
            if getattr(entry, key) != getattr(plain, key):
                raise ValueError(f"{entry.filename!a:.120}: {key}: is not that of a plain file as bundles have it")
        if entry.compress_size != entry.file_size:
            raise ValueError(f"{entry.filename!a:.120}: has two sizes")
    lines = archive.read(SUMS).decode("ascii").splitlines()
    sums = {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}
    for listed, entry in zip_longest([SUMS, *sums], entries):
        found = entry and entry.filename
        if listed != found:
            raise ValueError(f"{SUMS} lists {listed!a:.120}, where the archive has {found!a:.120}")
    _check_names(sums)
    return sums


def _check_names(names: Collection[str]) -> None:
    for name in names:
        if not _is_ours(name):
            raise ValueError(f"{name!a:.120}: is no file of a bundle")
    runs = {"/".join(name.split("/")[:DEPTH]) for name in names}
    if not runs:
        raise ValueError("it holds no run")
    for needed in (f"{run}/{file}" for run in sorted(runs) for file in _NEEDED):
        if needed not in names:
            raise ValueError(f"{needed}: is missing")


def _is_ours(name: str) -> bool:
    """``scenario/segmenter/learner/seed/file``, or that with the folder of a step."""
    *folders, file = name.split("/")
    if not all(map(NAME.fullmatch, folders)):
        return False
    if len(folders) == DEPTH:
        return file in _OF_RUN
    return len(folders) == DEPTH + 1 and STEP_NAME.fullmatch(folders[DEPTH]) is not None and file in _OF_STEP
