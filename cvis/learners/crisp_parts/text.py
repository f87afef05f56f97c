"""The text side of CLIP, frozen: from token embeddings to text features.

Only this side is built; the image side never is. Its weights are facts of the world, not of a run: they are held
as buffers that no ``state_dict`` contains, so they follow ``to(device)`` and end up in no checkpoint.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.learners.crisp_parts.clip_weights import KEY, find_weights, load_text_side
from cvis.segmenters.weights import sha256

if TYPE_CHECKING:
    from open_clip.transformer import TextTransformer

RANDOM = "random"  # as `pretrained`: weights drawn anew, the same in every process
SEED = 0
TINY: dict[str, Any] = {
    "embed_dim": 128,
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 2},
}


class TextTower(nn.Module):
    """CLIP's text transformer with frozen weights.

    Gradients flow through it to its input, which is how a context token is learned. It has no parameters and no
    state: building it again with the same arguments gives the same tower, in this process and in any other.

    Args:
        model: a model of open_clip's whose text side is CLIP's own causal transformer, or ``tiny``: two layers,
            128 wide, without published weights.
        pretrained: ``random``; a tag of open_clip's, downloaded if it is not in the cache; or the path of a checkpoint.

    Attributes:
        width: W, of the token embeddings.
        features: E, of the text features (512 for ViT-B/32).

    Raises:
        UserError: an unknown model, another kind of text encoder, or weights that cannot be had or do not fit.
    """

    def __init__(self, model: str = "ViT-B-32-quickgelu", pretrained: str = "openai") -> None:
        super().__init__()
        for name, value in {"model": model, "pretrained": pretrained}.items():
            if not isinstance(value, str):
                raise UserError(f"{KEY}.{name}: {value!r}: is not a text; see cvis learners")
        config = _config(model)
        file = None if pretrained == RANDOM else find_weights(model, pretrained, config.get("quick_gelu", False))
        net = _build(config)
        if file is not None:
            load_text_side(net, file)
        self.model, self.pretrained = model, pretrained
        self.sha256 = None if file is None else sha256(file)
        _freeze(net)
        self.net = net
        self.width: int = config["text_cfg"]["width"]
        self.features: int = config["embed_dim"]

    def describe(self) -> dict[str, Any]:
        """What a result must say of the text encoder; ``sha256`` is of the weight file, None for random weights."""
        return {"model": self.model, "pretrained": self.pretrained, "sha256": self.sha256}

    def tokenize(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Tokens [C, L], L being the length of the longest text, and the position of each end-of-text token [C]."""
        from open_clip.tokenizer import tokenize

        tokens = tokenize(list(texts), self.net.context_length)
        ends = tokens.argmax(dim=1)  # the end of text has the highest number of the vocabulary
        return tokens[:, : int(ends.max()) + 1].tolist(), ends.tolist()

    def embed(self, tokens: Tensor) -> Tensor:
        """Token embeddings [C, L, W], without positions, of token numbers [C, L]."""
        return self.net.token_embedding(tokens)

    def forward(self, embeddings: Tensor, ends: Sequence[int]) -> Tensor:
        """Text features [C, E] of token embeddings [C, L, W].

        A token sees only those before it, so nothing after the last end-of-text token can change a feature:
        what lies behind it is cut off (about 8 tokens of 77 are run).

        Args:
            ends: position of the end-of-text token of each of the C texts.
        """
        length = max(ends) + 1
        x = embeddings[:, :length] + self.net.positional_embedding[:length]
        x = self.net.transformer(x, attn_mask=self.net.attn_mask[:length, :length])
        x = x[torch.arange(len(ends), device=x.device), torch.tensor(ends, device=x.device)]
        return self.net.ln_final(x) @ self.net.text_projection


def _config(model: str) -> dict[str, Any]:
    """The configuration of an open_clip model whose text side is CLIP's own."""
    if model == "tiny":
        return TINY
    from open_clip.factory import get_model_config, list_models

    names = list_models()
    if model not in names:
        near = difflib.get_close_matches(model, [*names, "tiny"], n=3, cutoff=0.4) or ["ViT-B-32-quickgelu", "tiny"]
        raise UserError(f"{KEY}.model: {model!r}: open_clip has no such model; did you mean {', '.join(near)}?")
    config = get_model_config(model)
    if not set(config["text_cfg"]) <= {*TINY["text_cfg"], "mlp_ratio"}:
        raise UserError(
            f"{KEY}.model: {model!r}: its text side is not CLIP's causal transformer; "
            "choose for example ViT-B-32-quickgelu"
        )
    return config


def _build(config: dict[str, Any]) -> TextTransformer:
    """The text side alone, drawn from a generator of its own: the run's random numbers are not touched."""
    from open_clip.transformer import QuickGELU, TextTransformer

    activation = QuickGELU if config.get("quick_gelu") else nn.GELU
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)  # torch.manual_seed would seed the GPUs' generators too
        return TextTransformer(**config["text_cfg"], output_dim=config["embed_dim"], act_layer=activation)


def _freeze(net: nn.Module) -> None:
    """Turn every parameter into a buffer that is not saved."""
    for module in net.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach(), persistent=False)
