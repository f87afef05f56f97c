"""CTVIS (Ying et al., "Consistent Training for Online Video Instance Segmentation", ICCV 2023)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cvis.errors import UserError
from cvis.segmenters.contract import Classify, Refine
from cvis.segmenters.ctvis.criterion import ContrastiveCriterion
from cvis.segmenters.ctvis.frames import (
    FrameDecoder,
    memory_by_frame,
    queries_of,
    targets_by_frame,
    visibility,
)
from cvis.segmenters.ctvis.inference import Follower, OnlineInference, proposed
from cvis.segmenters.mask2former.criterion import pad_tracks, softmax_cross_entropy
from cvis.segmenters.mask2former.decoder import resize
from cvis.segmenters.mask2former.model import Mask2Former
from cvis.segmenters.outputs import Answers, Memory, Output, ProposedTracks, QueryOutput, Residual
from cvis.segmenters.registry import SEGMENTERS
from cvis.types import Targets, Tracks, Video


@SEGMENTERS.register_module(name="ctvis")
class CTVIS(Mask2Former):
    """CTVIS (arXiv 2307.12616): Mask2Former on every frame, and a tracker that knows objects again by embeddings.

    Arguments are those of :class:`~cvis.segmenters.mask2former.model.Mask2Former`, but that ``criterion`` has those of
    :class:`~cvis.segmenters.ctvis.criterion.ContrastiveCriterion`, and ``test`` those of
    :class:`~cvis.segmenters.ctvis.inference.OnlineInference`. A query belongs to a frame: outputs have clips x frames
    on the batch axis, and T is 1. A video is read frame by frame, by learners that read it their own way too.

    Not as published: the frames of a clip are drawn without repetition, and clips are resized and flipped, not cropped.
    """

    decoder: FrameDecoder
    inference: OnlineInference
    _criterion: ContrastiveCriterion
    new_weights = (*Mask2Former.new_weights, "decoder.embedding_head.")
    decoder_type = FrameDecoder
    criterion_type = ContrastiveCriterion
    inference_type = OnlineInference

    def _decode(
        self, memory: Memory, group: int, which: str, residual: Residual | None = None, refine: Refine | None = None
    ) -> list[QueryOutput]:
        return super()._decode(memory_by_frame(memory), group, which, residual, refine)

    def decode_groups(self, memory: Memory) -> list[QueryOutput]:
        return super().decode_groups(memory_by_frame(memory))

    def with_masks(self, memory: Memory, layers: Sequence[QueryOutput]) -> list[Output]:
        return super().with_masks(memory_by_frame(memory), layers)

    def criterion(
        self,
        outputs: Sequence[Output],
        targets: Sequence[Targets],
        classify: Classify | Sequence[Classify] | None = None,
        class_weight: float | None = None,
    ) -> dict[str, Tensor]:
        """Mask2Former's losses of every frame, and of the last layer the contrastive ones: see
        :class:`~cvis.segmenters.ctvis.criterion.ContrastiveCriterion`.

        Raises:
            UserError: a target of a class that has no column here: the data leaked it.
        """
        columns, masks = self._columns(targets), self._masks(targets)
        padded = pad_tracks(masks, outputs[0].masks.dtype)
        matching = self._criterion.match(
            outputs, columns, padded, class_weight=class_weight, soft_masks=self.soft_masks
        )
        losses = self._criterion(
            outputs, columns, masks, classify or softmax_cross_entropy, class_weight, self.soft_masks, matching
        )
        embeddings = self.decoder.embedding_head(outputs[-1].queries).unflatten(0, (len(targets), -1))
        with torch.autocast(embeddings.device.type, enabled=False):
            wide = embeddings.to(padded.dtype)
            return {**losses, **self._criterion.contrast(wide, queries_of(matching.query[-1], targets))}

    def _columns(self, targets: Sequence[Targets]) -> list[Tensor]:
        return super()._columns(targets_by_frame(targets))

    def _masks(self, targets: Sequence[Targets]) -> list[Tensor]:
        return super()._masks(targets_by_frame(targets))

    @torch.no_grad()
    def matched_to(self, output: Output, targets: Sequence[Targets], category_ids: Sequence[int]) -> Tensor:
        return super().matched_to(output, targets_by_frame(targets), category_ids)

    @torch.no_grad()
    def matching_costs(self, output: Output, targets: Sequence[Targets]) -> list[Tensor]:
        """Means over the frames in which each target is visible."""
        by_frame = iter(super().matching_costs(output, targets))
        costs = []
        for target in targets:
            seen = visibility(target)
            total = output.masks.new_zeros(output.masks.shape[1], len(seen))
            for there in seen.unbind(1):
                total[:, there] += next(by_frame).to(total)
            costs.append(total / seen.sum(1))
        return costs

    @torch.no_grad()
    def proposals(self, output: Output, memory: Memory, size: Sequence[int]) -> list[ProposedTracks]:
        """Tracks of the queries whose best is a class, put together frame by frame as in a video."""
        frames = memory.mask_features.shape[1]
        embeddings = self.decoder.embedding_head(output.queries)
        of_clips = (part.split(frames) for part in (output.logits, embeddings, output.masks[:, :, 0]))

        def enlarge(masks: Tensor) -> Tensor:
            return resize(masks, memory.size)[..., : size[0], : size[1]]

        return [
            proposed(self.inference, logits, vectors, masks, self.soft_masks, enlarge)
            for logits, vectors, masks in zip(*of_clips, strict=True)
        ]

    @property
    def seen_together(self) -> int:
        return 1

    @torch.inference_mode()
    def predict_each(self, video: Video, read: Callable[[Memory], Sequence[Answers]]) -> list[Tracks]:
        """Follow the objects of one video, of any length in the memory of a window: of frames that are done masks are
        kept as run-length code. The caller chooses the mode: call ``eval()`` first.
        """
        followers: list[Follower] = []
        for frames in self.inference.frames(video):
            frames = frames.to(self.mean.device)
            for frame, memory in zip(frames, self.features(frames[None]).windows(1), strict=True):
                answers = read(memory)
                followers = followers or [Follower(self.inference, video, self.soft_masks, self.draw) for _ in answers]
                for follower, answer in zip(followers, answers, strict=True):
                    if answer.queries is None:
                        what = "the learner's answers hold no queries, by which ctvis follows objects"
                        raise UserError(f"{what}; read a video as Answers(scores, mask_embeddings, queries)")
                    follower.add(frame, memory, answer, self.decoder.embedding_head(answer.queries))
        return [follower.best(self.classes) for follower in followers]
