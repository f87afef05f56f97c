"""Whose code an exception comes from: a plugin's author is shown her own lines, and nobody ours."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from importlib.metadata import entry_points
from types import FrameType

FILES = "cvis_user_"
"""What the modules begin with that are made of a user's file (see cvis/plugins.py)."""


def frames_of_author(error: BaseException, authors: Collection[str] = ()) -> list[tuple[FrameType, int]]:
    """The frames in a plugin's code, with their lines, outermost first; none if the fault is not in a plugin.

    It is in a plugin if the innermost frame in code of ours or of a plugin is a plugin's: what a library raises is the
    fault of whoever called it.

    Args:
        authors: packages whose code counts as a plugin's, beside those that entry points and files name.
    """
    offers, groups = entry_points(), (group for group in entry_points().groups if group.startswith("cvis."))
    known = {*authors, *(p.module.split(".")[0] for group in groups for p in offers.select(group=group))} - {"cvis"}

    def is_author(frame: FrameType) -> bool:
        root = str(frame.f_globals.get("__name__", "")).split(".")[0]
        return root in known or root.startswith(FILES)

    frames = list(traceback.walk_tb(error.__traceback__))
    for frame, _ in reversed(frames):
        if is_author(frame):
            return [(f, line) for f, line in frames if is_author(f)]
        if str(frame.f_globals.get("__name__", "")).split(".")[0] == "cvis":
            return []
    return []


def sentence(error: BaseException, frames: list[tuple[FrameType, int]]) -> str:
    """Class and method, file and line, and what went wrong there."""
    frame, line = frames[-1]
    code = frame.f_code
    owner = type(frame.f_locals["self"]).__name__ + "." if "self" in frame.f_locals else ""
    text = " ".join(str(error).split())
    return f"{owner}{code.co_name}: {code.co_filename}:{line}: {type(error).__name__}{f': {text}' if text else ''}"


def excerpt(frames: list[tuple[FrameType, int]]) -> str:
    """These frames as a traceback shows them."""
    return "".join(traceback.StackSummary.extract(iter(frames)).format())
