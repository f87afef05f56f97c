"""VisTR (Wang et al., "End-to-End Video Instance Segmentation with Transformers", CVPR 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters import background as no_object
from cvis.segmenters.backbone import build_backbone
from cvis.segmenters.contract import AlignedQueries, Classify, Refine
from cvis.segmenters.framewise import Framewise
from cvis.segmenters.heads import ClassHeads, mlp
from cvis.segmenters.inputs import part, target_columns, target_masks
from cvis.segmenters.mask2former.criterion import softmax_cross_entropy
from cvis.segmenters.mask2former.decoder import resize
from cvis.segmenters.outputs import Answers, Maps, Memory, Output, ProposedTracks, QueryOutput
from cvis.segmenters.registry import SEGMENTERS
from cvis.segmenters.stitching import Stitcher
from cvis.segmenters.vistr.checkpoint_names import renamed
from cvis.segmenters.vistr.criterion import Criterion, Pairs, Sequences
from cvis.segmenters.vistr.inference import Inference
from cvis.segmenters.vistr.mask_head import MaskHead
from cvis.segmenters.vistr.outputs import BoxedOutput, BoxedQueries, ClipMaps, ClipMemory
from cvis.segmenters.vistr.position import position_code
from cvis.segmenters.vistr.transformer import Decoder, Encoder
from cvis.types import Targets, Track, Tracks, Video


@SEGMENTERS.register_module(name="vistr")
class VisTR(Framewise, AlignedQueries):
    """VisTR (Wang et al., CVPR 2021): DETR for clips of T frames, a query for each frame and instance.

    Query q = t * n + i is slot i in frame t, and a slot is one instance. Clips shorter than T show their frames again,
    longer videos are stitched. Nothing of the published code's defects is here: a pair is expanded to the frames that
    show its target, batches may have any size, and all frames of a video are predicted.

    Args:
        backbone: ``dict(type="ConvBackbone", ...)`` or a backbone of mmdet by its own config.
        in_channels, strides: of the backbone's levels, fine to coarse; the transformer reads the last, the mask head
            the others.
        dim: channels of queries and memory, a multiple of 6.
        num_frames: T.
        num_slots: n.
        encoder, decoder: ``layers``, ``heads``, ``feedforward``, ``dropout`` of :class:`Encoder` and :class:`Decoder`.
        mask_head: ``heads``, ``widths``, ``clip_width``, ``deformable`` of :class:`MaskHead`.
        class_head: ``linear`` or ``mlp``.
        criterion: arguments of :class:`Criterion`.
        test: arguments of :class:`Inference`.
        mean, std: of RGB in 0..255.
        size_divisor: frames are padded with zeros, after normalisation, to a multiple of it.
        weights: URLs of known initial weights by name, see :func:`load_init`.
    """

    undecayed = ("queries",)  # embeddings: the optimiser applies no weight decay
    new_weights = ("class_heads.", "queries", "input_proj.", "encoder.", "decoder.", "box_head.", "mask_head.")
    """All but the backbone: DETR's weights fit as far as names and shapes do."""
    variants = ("combo",)

    static_graph = True

    def __init__(
        self,
        backbone: dict,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        strides: Sequence[int] = (4, 8, 16, 32),
        dim: int = 384,
        num_frames: int = 36,
        num_slots: int = 10,
        encoder: dict | None = None,
        decoder: dict | None = None,
        mask_head: dict | None = None,
        class_head: str = "linear",
        criterion: dict | None = None,
        test: dict | None = None,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        size_divisor: int = 32,
        weights: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        if dim % 6:
            raise UserError(f"segmenter.dim: {dim}: must be a multiple of 6: sine and cosine of z, y and x")
        self.num_frames, self.num_slots = num_frames, num_slots
        self.weights = dict(weights or {})
        self.set_input(mean, std, size_divisor)
        self.backbone = build_backbone(backbone)
        self.input_proj = nn.Conv2d(in_channels[-1], dim, 1)
        self.encoder = part("encoder", Encoder, encoder, dim)
        self.decoder = part("decoder", Decoder, decoder, dim)
        self.queries = nn.Parameter(_first_queries(num_frames, num_slots, dim))
        self.class_heads = ClassHeads(dim, class_head)
        self.box_head = mlp(dim, dim, 4)
        self.skips = [*reversed(in_channels[:-1])]
        self.mask_head = part("mask_head", MaskHead, mask_head, dim, self.skips)
        self._criterion = part("criterion", Criterion, criterion)
        self.inference = part("test", Inference, test)
        self.inference.shared(num_frames)  # refuses an overlap that does not fit

    def extract(self, frames: Tensor, sizes: Tensor | None = None) -> ClipMaps:
        """As of any framewise model, with the sizes; clips have at most T frames.

        Raises:
            UserError: more frames than T.
        """
        batch, length, _, *size = frames.shape
        if length > self.num_frames:
            what = f"clip: frames: {length}: this model takes at most {self.num_frames}"
            raise UserError(f"{what}; set sampling.num_frames, or segmenter.num_frames, to the other's value")
        maps = super().extract(frames, sizes)
        if sizes is None:
            sizes = torch.tensor([size] * batch, device=frames.device)
        return ClipMaps(maps.levels, maps.length, maps.size, sizes)

    def encode(self, maps: Maps) -> ClipMemory:
        """Project the coarsest maps, and let every token of T frames see every other."""
        assert isinstance(maps, ClipMaps)
        *skips, tokens = (self._again(level.unflatten(0, (-1, maps.length))) for level in maps.levels)
        batch, (height, width) = len(tokens), tokens.shape[-2:]
        padded = maps.sizes.new_tensor(maps.size)
        rows, columns = (
            torch.arange(count, device=padded.device) * side < valid[:, None] * count
            for count, side, valid in zip((height, width), maps.size, maps.sizes.T, strict=True)
        )
        valid = (rows[:, None, :, None] & columns[:, None, None]).expand(-1, self.num_frames, -1, -1)
        position = position_code(valid, self.class_heads.dim).flatten(1, 3)
        valid = valid.flatten(1)
        projected = self.input_proj(tokens.flatten(0, 1)).flatten(2).unflatten(0, (batch, -1))  # [B, T, D, h*w]
        encoded = self.encoder(projected.transpose(2, 3).flatten(1, 2), position, _padding(valid))
        memory = encoded.transpose(1, 2).unflatten(2, (self.num_frames, height, width)).transpose(1, 2)
        extent = (maps.sizes / padded).flip(-1)
        return ClipMemory((memory, *skips[:0:-1]), skips[0], maps.size, position, valid, extent, maps.length)

    def decode_queries(self, memory: Memory, *, refine: Refine | None = None) -> list[QueryOutput]:
        return list(self._decode(memory, refine))

    def _decode(self, memory: Memory, refine: Refine | None = None) -> list[BoxedQueries]:
        assert isinstance(memory, ClipMemory)
        tokens = memory.levels[0].permute(0, 1, 3, 4, 2).flatten(1, 3)
        read = None if refine is None else lambda state: refine(self._predicted(state))
        states = self.decoder(self.queries, tokens, memory.position, _padding(memory.valid), read)
        return [self._predicted(state) for state in states]

    def _predicted(self, state: Tensor) -> BoxedQueries:
        """What the heads say of queries [B, Q, D]."""
        queries = self.decoder.norm(state)
        with torch.autocast(queries.device.type, enabled=False):  # bf16 logits would tie scores
            wide = queries.to(torch.promote_types(queries.dtype, torch.float32))
            return BoxedQueries(self.class_heads(wide), queries, queries, state, self.box_head(wide).sigmoid())

    def with_masks(self, memory: Memory, layers: Sequence[QueryOutput]) -> list[Output]:
        """They are made when they are read."""
        return list(self._with_masks(memory, layers))

    def _with_masks(self, memory: Memory, layers: Sequence[QueryOutput]) -> list[BoxedOutput]:
        assert isinstance(memory, ClipMemory)
        return [BoxedOutput(layer, memory, self.mask_head) for layer in layers if isinstance(layer, BoxedQueries)]

    def per_track(self, weights: Tensor) -> Tensor:
        """The mean over the T queries of a slot, for each of them."""
        of_slots = weights.unflatten(1, (self.num_frames, self.num_slots))
        return of_slots.mean(1, keepdim=True).expand_as(of_slots).flatten(1)

    def query_embeddings(self) -> list[nn.Parameter]:
        """Their contents begin at zero; what is learned is where they look."""
        return [self.queries]

    def criterion(
        self,
        outputs: Sequence[Output],
        targets: Sequence[Targets],
        classify: Classify | Sequence[Classify] | None = None,
        class_weight: float | None = None,
    ) -> dict[str, Tensor]:
        """See :class:`Criterion`.

        Raises:
            UserError: a target of a class that has no column here: the data leaked it.
        """
        classify = classify or softmax_cross_entropy
        return self._criterion(_boxed(outputs), *self._targets(targets), classify, class_weight, self.soft_masks)

    @torch.no_grad()
    def matched_to(self, output: Output, targets: Sequence[Targets], category_ids: Sequence[int]) -> Tensor:
        """A slot that is matched marks its queries in the frames that show the target."""
        wanted = [self.classes.index(category) for category in category_ids]
        sequences = self._sequences(output, targets)
        pairs = Pairs.of(sequences, self._criterion.match(_boxed([output]), sequences))
        matched, query = pairs.queries(0, output.logits.shape[1])
        kept = torch.isin(pairs.columns[matched], torch.tensor(wanted, device=query.device))
        answer = torch.zeros(output.logits.shape[:2], dtype=torch.bool, device=query.device)
        answer[pairs.clip[matched][kept], query[kept]] = True
        return answer

    @torch.no_grad()
    def matching_costs(self, output: Output, targets: Sequence[Targets]) -> list[Tensor]:
        """A query costs what its slot does; a target that no frame shows costs nothing."""
        answers = []
        costs = self._criterion.costs(_boxed([output])[0], self._sequences(output, targets))
        for cost, target in zip(costs, targets, strict=True):
            of_all = cost.new_zeros(len(cost), len(target.category_ids))
            of_all[:, target.masks.flatten(1).any(1)] = cost
            answers.append(of_all.repeat(self.num_frames, 1))
        return answers

    @torch.no_grad()
    def proposals(self, output: Output, memory: Memory, size: Sequence[int]) -> list[ProposedTracks]:
        """Of slots with a frame whose best is a class: means over these frames, and nothing in the others."""
        assert isinstance(memory, ClipMemory)
        height, width = size
        proposals = []
        for logits, masks in zip(output.logits, output.masks, strict=True):
            frames, slots = (self.num_frames, -1), slice(memory.shown)
            probabilities = logits.float().softmax(-1).unflatten(0, frames)[slots]  # [t, n, K+1]
            present = ~no_object.is_no_object(probabilities.argmax(-1), logits)
            proposing = present.any(0)
            mean = (probabilities * present[..., None]).sum(0) / present.sum(0).clamp(min=1)[:, None]
            large = resize(masks[:, 0].float().unflatten(0, frames)[slots], memory.size)[..., :height, :width]
            large = (large.softmax(1) if self.soft_masks else large.sigmoid()) * present[..., None, None]
            proposals.append(
                ProposedTracks(no_object.split(mean[proposing])[0], large.transpose(0, 1)[proposing].contiguous())
            )
        return proposals

    @property
    def seen_together(self) -> int:
        return self.num_frames

    @torch.inference_mode()
    def predict(self, video: Video, read: Callable[[Memory], Sequence[Answers]] | None = None) -> Tracks:
        """Find the tracks of one video, window by window; ``read`` is asked in each of them."""
        stitchers: list[Stitcher] = []
        for start, frames in self.inference.windows(video, self.num_frames, None):
            memory = self.features(frames[None].to(self.mean.device))
            answers = self._answers(memory) if read is None else read(memory)
            stitchers = stitchers or [Stitcher(self.inference.min_iou) for _ in answers]
            for stitcher, answer in zip(stitchers, answers, strict=True):
                if not self.classes:
                    continue
                queries = answer.mask_embeddings.unflatten(0, (self.num_frames, -1)).transpose(0, 1)
                clip = torch.zeros(self.num_slots, dtype=torch.int64, device=queries.device)
                masks = self.mask_head(memory, queries, clip).transpose(0, 1)[: memory.shown]
                scores = answer.scores.unflatten(0, (self.num_frames, -1))[: memory.shown]
                found = self.inference.found(start, scores, masks, memory.size, video, self.soft_masks)
                stitcher.add(start, start + memory.shown, found)
        lists = [self.inference.tracks(video, stitcher.found, self.classes) for stitcher in stitchers]
        return Tracks.joined(video.id, lists)

    def _answers(self, memory: ClipMemory) -> list[Answers]:
        answer = self._decode(memory)[-1]
        return [Answers(no_object.class_probabilities(answer.logits[0]), answer.mask_embeddings[0])]

    def features(self, frames: Tensor, sizes: Tensor | None = None) -> ClipMemory:
        return self.encode(self.extract(frames, sizes))

    def video_features(self, video: Video) -> Memory:
        """Of windows that do not overlap, one behind the other: a token has seen those of its own window."""
        levels, mask_features, seen = [], [], 0
        for start, frames in self.inference.windows(video, self.num_frames, 0):
            memory = self.features(frames[None].to(self.mean.device))
            new = slice(seen - start, memory.shown)
            levels.append([level[:, new] for level in memory.levels])
            mask_features.append(memory.mask_features[:, new])
            seen, size = start + memory.shown, memory.size
        joined = tuple(torch.cat(level, dim=1) for level in zip(*levels, strict=True))
        return Memory(joined, torch.cat(mask_features, dim=1), size)

    def track_masks(self, video: Video, tracks: Sequence[Track], memory: Memory) -> Tensor:
        return self.inference.coverage(video, tracks, memory)

    def map_channels(self) -> list[int]:
        return [self.class_heads.dim, *self.skips]

    def renamed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of DETR, facebookresearch's and mmdet's, and of torchvision's ResNets."""
        return renamed(weights)

    def _targets(self, targets: Sequence[Targets]) -> tuple[list[Tensor], list[Tensor]]:
        """Columns and masks; frames that the clip shows again have the same masks again."""
        masks = target_masks(targets, self.size_divisor)
        return target_columns(targets, self.classes), [self._again(of_clip) for of_clip in masks]

    def _again(self, frames: Tensor) -> Tensor:
        """[B, t, ...] -> [B, T, ...]: a clip that is too short shows its frames again."""
        length = frames.shape[1]
        return frames if length == self.num_frames else frames[:, torch.arange(self.num_frames) % length]

    def _sequences(self, output: Output, targets: Sequence[Targets]) -> list[Sequences]:
        return self._criterion.sequences(_boxed([output])[0], *self._targets(targets))


def _first_queries(frames: int, slots: int, dim: int) -> Tensor:
    """[T * n, dim]: a slot begins as one random vector in all frames, and with each frame's place in time: two queries
    of a slot differ by nothing else, so that what a slot looks for need not be learned T times."""
    time = position_code(torch.ones(1, frames, 1, 1, dtype=torch.bool), dim)[0, :, 0]
    time[..., dim // 3 :] = 0
    return (torch.randn(slots, dim) + time).flatten(0, 1)


def _boxed(outputs: Sequence[Output]) -> list[BoxedOutput]:
    """The same, typed: all that :meth:`VisTR.with_masks` answers."""
    return [output for output in outputs if isinstance(output, BoxedOutput)]


def _padding(valid: Tensor) -> Tensor | None:
    """Tokens not to look at, if there are any."""
    return None if bool(valid.all()) else ~valid
