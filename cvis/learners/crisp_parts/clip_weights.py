"""Where the weights of a CLIP text tower come from: a local file, or a tag of open_clip's that the user asked for."""

from __future__ import annotations

import http.client
import logging
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.files import refuse_bomb

logger = logging.getLogger("cvis")

KEY = "learner.text_encoder"
PARTS = ("token_embedding.", "positional_embedding", "transformer.", "ln_final.", "text_projection")


def find_weights(model: str, pretrained: str, quick_gelu: bool) -> Path:
    """The weight file that ``pretrained`` names: a tag of ``model``'s (fetched into its cache), else a path.

    Args:
        quick_gelu: the activation of ``model``; a tag trained with the other one would give other features.

    Raises:
        UserError: neither a tag nor a file, weights of another activation, or no network.
    """
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    tag = get_pretrained_cfg(model, pretrained)
    if not tag:
        path = Path(pretrained).expanduser()
        if path.is_file():
            return path
        known = ", ".join(list_pretrained_tags_by_model(model)) or "it has none"
        raise UserError(
            f"{KEY}.pretrained: {pretrained!r}: neither a file nor a tag of {model} ({known}); "
            "give one of them, or random"
        )
    if bool(tag.get("quick_gelu")) != quick_gelu:
        raise UserError(
            f"{KEY}.model: {model!r}: the weights {pretrained!r} were trained with another activation; "
            f"use {KEY}.model={model}-quickgelu"
        )
    return _fetch(model, pretrained, tag)


def _fetch(model: str, pretrained: str, tag: dict[str, Any]) -> Path:
    """From the cache without a look at the network; else from the network, if there is one."""
    from open_clip.pretrained import download_pretrained

    cached = _cached(tag)
    if cached is not None:
        return cached
    try:
        if tag.get("hf_hub"):
            _reach_hub()
        source = tag.get("hf_hub") or tag.get("url")
        logger.info("%s: fetching the weights %s of %s from %s", KEY, pretrained, model, source)
        return Path(download_pretrained(tag))
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
        raise UserError(
            f"{KEY}: {model}, {pretrained}: the weights are neither on this machine nor to be had ({reason:.160}); "
            f"give a local file with --set {KEY}.pretrained=PATH, or run without with --set {KEY}.pretrained=random"
        ) from error


def _cached(tag: dict[str, Any]) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    repository, _, name = tag.get("hf_hub", "").rpartition("/")
    names = [name] if name else [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
    cached = [try_to_load_from_cache(repository, file) for file in names if repository]
    return next((Path(file) for file in cached if isinstance(file, str)), None)


def _reach_hub() -> None:
    """One short question first: without a network the hub's client tries for a minute, in many lines.

    Raises:
        OSError: no answer.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise OSError("HF_HUB_OFFLINE is set")
    try:
        urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=10).close()
    except urllib.error.HTTPError:
        return  # an answer, if not a friendly one


def load_text_side(tower: nn.Module, path: Path) -> None:
    """Fill ``tower`` from a checkpoint of a whole CLIP or of its text side; the image side is not looked at.

    Files of open_clip (with or without a ``state_dict`` key and ``module.``, ``text.`` prefixes) and tensors of
    OpenAI's are read, in any floating-point type. Strict on the text side.

    Raises:
        UserError: not readable, or a tensor is missing, left over or of another shape.
    """
    weights = _text_side(_read(path))
    wanted = tower.state_dict()
    remedy = f"give the checkpoint of a CLIP that fits {KEY}.model"
    for key, tensor in wanted.items():
        if key not in weights:
            raise UserError(f"{path}: {key}: is missing; {remedy}")
        if weights[key].shape != tensor.shape:
            shapes = f"has shape {list(weights[key].shape)}, not {list(tensor.shape)}"
            raise UserError(f"{path}: {key}: {shapes}; {remedy}")
    for key in weights.keys() - wanted.keys():
        raise UserError(f"{path}: {key}: the text tower has no such tensor; {remedy}")
    tower.load_state_dict(weights)


def _text_side(content: Any) -> dict[str, Tensor]:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        return {}
    named = {str(k).removeprefix("module.").removeprefix("text."): v for k, v in content.items()}
    return {k: v for k, v in named.items() if k.startswith(PARTS) and isinstance(v, Tensor)}


def _read(path: Path) -> Any:
    """The content of a weight file, read without running what it holds."""
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        refuse_bomb(path)
        if _is_program(path):
            raise UserError(
                f'{path}: is a TorchScript archive, which is a program; if you trust it, run `python -c "import torch; '
                f"torch.save(torch.jit.load('{path}', 'cpu').state_dict(), 'clip.pt')\"` and give clip.pt"
            )
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}; give the path of a weight file") from error
    except UserError:
        raise
    except Exception as error:  # a damaged pickle can end in any of Python's errors
        raise UserError(f"{path}: not a file of tensors only; give a .pt or .safetensors file of weights") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read: {error}; give a complete file of weights") from error


def _is_program(path: Path) -> bool:
    """OpenAI published CLIP as TorchScript archives: zip files that hold code beside the tensors."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
