"""State on disk. Tensors and plain values only, written atomically, loaded with ``weights_only``.

A finished step's ``model.pth`` holds only the tensors that the step added or changed: the frozen backbone
is stored once, in step 0. Laying the files of steps 0..t over each other gives the state after step t.
"""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.files import refuse_bomb


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` atomically.

    Raises:
        UserError: the file system refuses the write.
    """
    with atomic_path(path) as temporary:
        try:
            torch.save(dict(content), temporary)
        except RuntimeError as error:  # the zip writer of torch meets a full disk with an assertion of its own
            if "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def load(path: Path, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    """Read what :func:`save` wrote.

    Args:
        kinds: entries that must be there, with their types.

    Raises:
        UserError: the file is missing, damaged, or holds anything but these entries, tensors and plain values.
    """
    remedy = "delete its folder to train that step again"
    try:
        refuse_bomb(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint; {remedy}") from error
    except pickle.UnpicklingError as error:  # torch's own words tell how to load it all the same: do not repeat them
        what = "it is damaged, or holds more than tensors and plain values"
        raise UserError(f"{path}: is not a readable checkpoint ({what}); {remedy}") from error
    except Exception as error:  # a damaged file can end in any of Python's errors
        raise UserError(f"{path}: is not a readable checkpoint ({_first_line(error)}); {remedy}") from error
    for key, kind in kinds.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind):
            raise UserError(f"{path}: {key}: is missing or not what a checkpoint has there; {remedy}")
    return content


def changed(state: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of ``state`` that are new or differ from ``before``."""
    return {name: value for name, value in state.items() if not _same(value, before.get(name))}


def count(state: Mapping[str, Any]) -> int:
    """How many numbers the tensors of a state hold."""
    return sum(value.numel() for value in state.values() if isinstance(value, Tensor))


def snapshot(state: Mapping[str, Any]) -> dict[str, Any]:
    """A copy on the CPU that later training does not touch."""
    return {n: v.detach().cpu().clone() if isinstance(v, Tensor) else v for n, v in state.items()}


def overlay(files: Iterable[Path]) -> dict[str, Any]:
    """The state after the last of these steps: later files over earlier ones."""
    state: dict[str, Any] = {}
    for file in files:
        state.update(load(file, state=dict)["state"])
    return state


def load_state(module: torch.nn.Module, state: Mapping[str, Any], source: Path) -> None:
    """``load_state_dict``, strictly; keys that vanished on the way (merged prompts, say) are dropped first.

    Raises:
        UserError: the state does not fit the module.
    """
    wanted = module.state_dict()
    try:
        module.load_state_dict({name: state[name] for name in wanted if name in state}, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise UserError(
            f"{source}: does not fit this learner: {detail}; remove the run folder, or name another"
        ) from error


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, Tensor):
        return (
            isinstance(other, Tensor)
            and value.shape == other.shape
            and value.dtype == other.dtype
            and torch.equal(value.cpu(), other.cpu())
        )
    return other is not None and value == other


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
