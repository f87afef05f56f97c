"""Weight files: fetched when asked for, checked, and read without running what they hold."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.files import cache_dir, refuse_bomb

_LEARNER = "segmenter."  # what a learner calls its segmenter


def renamed(state: Mapping[str, Tensor], names: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """The same tensors under other names; those of a bare torchvision ResNet are the backbone's.

    Args:
        names: (pattern, replacement) as of :func:`re.sub`, applied one after the other.

    >>> list(renamed({"conv1.weight": torch.ones(1)}, [("weight", "bias")]))
    ['backbone.conv1.bias']
    """
    named = {}
    for key, value in state.items():
        for pattern, replacement in names:
            key = re.sub(pattern, replacement, key)
        named[key] = value
    bare = any(key.startswith(("layer1.", "conv1.")) for key in named)
    return {f"backbone.{key}": value for key, value in named.items()} if bare else named


def fetch(url: str) -> Path:
    """The file behind ``url``, from the cache or the network.

    The first eight hex digits of its sha256 are part of its name (``...-41b088b6.pth``), and are checked.

    Raises:
        UserError: no network, or the file is not the one its name promises.
    """
    name = url.rsplit("/", 1)[-1]
    path = cache_dir() / "weights" / name
    if not path.exists():
        with atomic_path(path) as temporary:
            _download(url, temporary)
            _check(temporary, name, f"{url}: download it again")
    else:
        _check(path, name, f"{path}: delete it and run again")
    return path


def _download(url: str, path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(_blocks(url))


def _blocks(url: str) -> Iterator[bytes]:
    """What the network gives; its errors are OSErrors too, and must not be taken for those of the disk."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            while block := response.read(1 << 20):
                yield block
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split()) or type(error).__name__
        raise UserError(
            f"{url}: download failed: {reason}; try again, or fetch it on a machine with network and pass --init PATH"
        ) from error


def _check(path: Path, name: str, remedy: str) -> None:
    digits = re.search(r"-([0-9a-f]{8})\.pth$", name)
    if digits is None:
        raise UserError(f"{name}: its name holds no checksum; download it yourself and pass --init PATH")
    digest = sha256(path)
    if not digest.startswith(digits[1]):
        raise UserError(f"{name}: sha256 is {digest[:8]}..., its name says {digits[1]}; {remedy}")


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint file, with or without a wrapping ``state_dict``, ``model`` or ``state`` key.

    Of a learner's state, as a run's ``step0/model.pth`` holds it, only the segmenter's part.

    Raises:
        UserError: no such file, not a checkpoint, or one that holds more than tensors.
    """
    try:
        refuse_bomb(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}; give the path of a .pth file") from error
    except Exception as error:  # a damaged pickle can end in any of Python's errors
        raise UserError(
            f"{path}: not a file of tensors only; if you trust it, strip it with "
            f"`python scripts/convert_weights.py {path} stripped.pth` and pass that"
        ) from error
    for key in ("state_dict", "model", "state"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if isinstance(content, dict):
        content = state_of_segmenter(content)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{path}: holds no state dict; give a checkpoint of mmdet or torchvision")
    return {key.removeprefix("module."): value for key, value in content.items()}


def state_of_segmenter(state: Mapping[Any, Any]) -> dict[Any, Any]:
    """Of a learner's state its segmenter's part, under the segmenter's names; another state as it is."""
    if not any(str(key).startswith(_LEARNER) for key in state):
        return dict(state)
    return {key.removeprefix(_LEARNER): value for key, value in state.items() if str(key).startswith(_LEARNER)}
