"""Panels as a file: the suffix says whether as a video or as one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.report.pictures.mp4 import FPS, check_codec, write_mp4
from cvis.report.pictures.panels import Panels

VIDEO = ".mp4"
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def check_format(path: Path, option: str = "--out") -> None:
    """Refuse a file that cannot be written, before the work is done.

    Raises:
        UserError: its name ends in none of the formats, or videos cannot be encoded here.
    """
    suffix = path.suffix.lower()
    if suffix == VIDEO:
        check_codec(path)
    elif suffix not in PICTURES:
        kinds = ", ".join([VIDEO, *PICTURES])
        raise UserError(f"{option} {path}: {suffix!r}: neither a video nor a picture; end the name in one of {kinds}")


def write_panels(panels: Panels, path: Path, fps: float = FPS) -> None:
    """A video of all frames (.mp4), or one picture with some of them (.png, .jpg).

    Raises:
        UserError: as :func:`check_format` and :func:`write_mp4`; a frame is missing or damaged.
    """
    check_format(path)
    if path.suffix.lower() == VIDEO:
        write_mp4(panels, path, fps)
    else:
        write_picture(panels.still(), path)


def write_picture(picture: np.ndarray, path: Path) -> None:
    """Write uint8 ``[H, W, 3]`` as .png, .jpg or .jpeg; atomic, and equal pictures give equal files.

    Raises:
        UserError: another suffix, or the file system refuses the write.
    """
    kind = PICTURES.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path}: {path.suffix!r}: not a kind of picture; use one of {', '.join(PICTURES)}")
    options = {"quality": 92, "subsampling": 0} if kind == "JPEG" else {}
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format=kind, **options)
