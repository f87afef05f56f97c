"""A segmenter as the checks see it: built anew for each, with clips and videos of the tiny stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from cvis.data.clips import ClipDataset, collate
from cvis.engine.environment import seed_everything
from cvis.engine.losses import LossError, total_loss
from cvis.engine.resolve import resolve
from cvis.engine.train import clip_sampling
from cvis.scenario import load_scenario
from cvis.segmenters import Segmenter, build_segmenter
from cvis.segmenters.abilities import ability_name
from cvis.testing.check import Failed, NotApplicable, said
from cvis.testing.stream import make_stream
from cvis.testing.trial import SMALL, SMALLER, STEPS
from cvis.types import Clip, Targets, Video

Answer = TypeVar("Answer")


class Specimen:
    """What builds the segmenter, and what it is shown.

    Args:
        segmenter: as ``cvis run --segmenter`` takes it.
        settings: as ``--set`` takes them.
        folder: an empty one.

    Attributes:
        classes: of each step of the stream.
        video: of three frames.
    """

    def __init__(self, segmenter: str, settings: Sequence[str], folder: Path) -> None:
        scenario = load_scenario(make_stream(folder, STEPS, test_videos=1))
        overrides = (*SMALL, *SMALLER.get(segmenter, ()), *settings)
        config = resolve(str(folder / "tiny.toml"), "finetune", segmenter, "tiny", overrides)
        self.config = config.segmenter
        self.classes = scenario.classes_by_step
        self.video: Video = scenario.test.videos[0]
        self._clips = ClipDataset(scenario.merged()[0].train, clip_sampling(config))
        self.kind = type(build_segmenter(self.config))
        self.authors = {self.kind.__module__.split(".")[0]}

    def build(self, steps: int = 1, as_a: Any = Segmenter) -> Any:  # mypy takes no abstract class for a type
        """The model with the classes of the first ``steps`` steps, always the same one, as an ``as_a``.

        Raises:
            NotApplicable: it is no ``as_a``, an ability that it does not declare.
        """
        if not issubclass(self.kind, as_a):
            raise NotApplicable(f"it does not declare {ability_name(as_a)}")
        seed_everything(0)
        model = build_segmenter(self.config)
        for step in range(steps):
            self.grow(model, step)
        return model

    def grow(self, model: Segmenter, step: int) -> None:
        """Add the classes of a step."""
        seed_everything(100 + step)
        self.call("add_classes", model.add_classes, self.classes[step])

    def clip(self, videos: Sequence[int] = (0, 1), classes: Sequence[int] | None = None) -> Clip:
        """A batch, always the same one, with targets of ``classes`` alone; None: those of step 0."""
        kept = self.classes[0] if classes is None else classes
        batch = collate([self._clips[index, 1] for index in videos])
        targets = []
        for target in batch.targets:
            rows = torch.isin(target.category_ids, torch.tensor(list(kept), dtype=torch.int64))
            assert target.identities is not None  # they come from a ClipDataset
            targets.append(Targets(target.category_ids[rows], target.masks[rows], target.identities[rows]))
        return replace(batch, targets=tuple(targets))

    def total(self, model: Segmenter, clip: Clip, what: str, **maps: Any) -> Tensor:
        """The sum of the losses of a batch, with the same random numbers at every call.

        Raises:
            Failed: it raises, or returns what cannot be trained.
        """
        model.train()
        seed_everything(0)
        found = self.call(f"losses of {what}", model.losses, clip, **maps)
        try:
            total = total_loss(found, model, what, first=True)
        except LossError as error:
            raise Failed(str(error)) from error
        if not torch.isfinite(total):
            bad = [name for name, value in found.items() if not torch.isfinite(value)]
            raise Failed(f"losses of {what}: {', '.join(bad) or 'their sum'}: not finite; look for a mean over nothing")
        return total

    def predict(self, model: Segmenter, video: Video | None = None) -> Any:
        """The tracks of a video, by default the one of three frames."""
        model.eval()
        with torch.inference_mode():
            return self.call("predict", model.predict, video or self.video)

    def call(self, what: str, method: Callable[..., Answer], *arguments: Any, **named: Any) -> Answer:
        """What a method answers.

        Raises:
            Failed: it raises, in the author's words and lines.
        """
        try:
            return method(*arguments, **named)
        except Exception as error:  # an author's code may fail in any way
            remedy = "see cvis.segmenters.contract for what it is given"
            raise Failed(f"{what}: raises {said(error, self.authors)}; {remedy}") from error
