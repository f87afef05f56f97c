"""A set of annotations as CVAT, Roboflow and others export it: a zip file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cvis.data.ytvis import LARGEST
from cvis.errors import UserError
from cvis.files import PACKED, refuse_bomb

_MOST_FILES = 1_000_000


@contextmanager
def unpacked(path: Path, folder: Path) -> Iterator[Path]:
    """The folder that a zip file unpacks to, as long as it is needed; any other path as it is.

    Nothing is written outside of ``folder``, links in the archive become files, and what is said of a file in it is
    said of the archive.

    Raises:
        UserError: it is no zip file, is damaged or encrypted, or was made to fill the disk.
    """
    if path.suffix.lower() != ".zip" or path.is_dir():
        yield path
        return
    try:
        refuse_bomb(path, PACKED * path.stat().st_size + LARGEST)  # pictures hardly pack, annotations do
        with zipfile.ZipFile(path) as archive:
            if (count := len(archive.namelist())) > _MOST_FILES:
                raise ValueError(f"it has {count} files, more than {_MOST_FILES}")
            archive.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); export it again") from error
    try:
        yield folder
    except UserError as error:
        raise UserError(str(error).replace(str(folder), str(path))) from error
