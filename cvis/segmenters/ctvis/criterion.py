"""CTVIS's losses: Mask2Former's of every frame, and the contrastive ones between frames."""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import Tensor

from cvis.errors import UserError
from cvis.segmenters.ctvis.contrast import Recipe, contrastive_losses
from cvis.segmenters.mask2former.criterion import Criterion

Negatives = Literal["queries", "ma+bg"]
NoiseFrom = Literal["queries", "instances"]


class ContrastiveCriterion(Criterion):
    """2 L_emb + 3 L_aux beside Mask2Former's losses, which are taken frame by frame.

    The released code and the paper differ; the defaults are the code's, ``--preset ctvis_code`` and ``ctvis_paper``
    set all of one side. An item is an object in a frame t after the clip's first: its embedding there is the anchor.

    Args:
        emb_weight: of L_emb.
        aux_weight: of L_aux; 0: none, as in the paper.
        bank_probability: how often the positive is the momentum-averaged embedding after frame t - 1, else the latest
            one. 1: always (paper), 0.5 (code), 0: never.
        future: an object that was not seen before t has its next embedding for a positive (code), or no item (paper).
        negatives: all other ``queries`` of frame t - 1 (code), or the averaged embeddings of the other objects and the
            queries of frame t - 1 that have no object, ``ma+bg`` (paper).
        noise: probability that an object which is gone in a frame is given a wrong embedding of that frame, in the
            bank alone. The code has 0.001, and off by default: unstable in small batches of short clips.
        noise_from: any of the frame's ``queries`` (code), or those that have an object, ``instances`` (paper).
        detach_keys: no gradients flow into positives and negatives; both code and paper let them flow.
        detection: of :class:`~cvis.segmenters.mask2former.criterion.Criterion`.
    """

    def __init__(
        self,
        emb_weight: float = 2.0,
        aux_weight: float = 3.0,
        bank_probability: float = 0.5,
        future: bool = True,
        negatives: Negatives = "queries",
        noise: float = 0.0,
        noise_from: NoiseFrom = "queries",
        detach_keys: bool = False,
        **detection: Any,
    ) -> None:
        super().__init__(**detection)
        for name, value, choices in (("negatives", negatives, Negatives), ("noise_from", noise_from, NoiseFrom)):
            if value not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise UserError(f"segmenter.criterion.{name}: {value!r}: choose one of {known}")
        for name, share in (("bank_probability", bank_probability), ("noise", noise)):
            if not 0 <= share <= 1:
                raise UserError(f"segmenter.criterion.{name}: {share!r}: is a probability; give a number from 0 to 1")
        self.emb_weight, self.aux_weight = emb_weight, aux_weight
        self.recipe = Recipe(bank_probability, future, negatives, noise, noise_from, detach_keys)

    def contrast(self, embeddings: Tensor, queries: Tensor) -> dict[str, Tensor]:
        """``loss_emb`` and ``loss_aux``, weighted; arguments as of :meth:`Recipe.items`."""
        emb, aux = contrastive_losses(self.recipe.items(embeddings, queries))
        losses = {"loss_emb": self.emb_weight * emb}
        return {**losses, "loss_aux": self.aux_weight * aux} if self.aux_weight else losses
