"""The plugin interface: what a continual-learning method is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from cvis.data.clips import ClipSampling
from cvis.data.videoset import VideoSet
from cvis.scenario import Scenario, Task
from cvis.segmenters.contract import Segmenter
from cvis.types import Clip, Tracks, Video

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
SWIN_EMBEDDINGS = ("relative_position_bias_table", "absolute_pos_embed")


class Learner(nn.Module):
    """One continual-learning method. It owns a segmenter; the engine owns optimiser, AMP, DDP and evaluation.

    A subclass overrides :meth:`begin_task` and :meth:`loss`; the other methods have defaults that most
    methods keep. One rule makes every learner resumable: *shapes depend only on the tasks seen, and are
    made in* ``begin_task``; *everything learned is in* ``state_dict()`` (teachers are sub-modules, memories
    are buffers). On resume the engine replays ``begin_task(0..t)`` and loads the state strictly.

    >>> import cvis
    >>> class Louder(cvis.Learner):
    ...     def __init__(self, segmenter, weight: float = 2.0):
    ...         super().__init__(segmenter)
    ...         self.weight = weight  # --set learner.weight=3
    ...
    ...     def loss(self, clip):
    ...         return {name: self.weight * value for name, value in self.segmenter.losses(clip).items()}
    >>> from types import SimpleNamespace
    >>> any_segmenter = SimpleNamespace(losses=lambda clip: {"loss_cls": 0.5})
    >>> Louder(any_segmenter).loss(clip=None)
    {'loss_cls': 1.0}

    Attributes:
        requires: abilities of :mod:`cvis.segmenters.contract` that the method needs; empty: any segmenter will do.
        own_step0: the method trains step 0 in its own way, so it does not share the step-0 checkpoint.
        replays: training clips may show annotations of old classes again (never of future ones).
        static_graph: every trainable parameter of the method takes part in the loss of every batch, also one without
            objects; several processes then need not search for those that do not. Likewise of the segmenter.
        one_pass: what the method says after a step follows from the model of any later step and the step's
            :meth:`heads`, so that the test of all steps can be one pass over the videos (:meth:`predict_steps`).
        needs_frozen_backbone: the setting by which the method rests on a backbone that no step after the first trains.
        label: what tables call the method, if its registered name would not say enough; settings may have a say.
        sampling: how the engine draws training clips, for a method that looks at them again in :meth:`end_task`.
    """

    requires: ClassVar[tuple[type[Segmenter], ...]] = ()
    own_step0: bool = False
    replays: bool = False
    static_graph: bool = False
    one_pass: ClassVar[bool] = False
    needs_frozen_backbone: str | None = None
    label: str | None = None
    sampling: ClipSampling = ClipSampling()

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def begin_task(self, task: Task) -> None:
        """Before training on a task: snapshot teachers, grow heads or prompts, freeze."""
        self.segmenter.add_classes(task.new_classes)

    def loss(self, clip: Clip) -> dict[str, Tensor]:
        """Named, already weighted scalars; the engine sums them and steps."""
        raise TypeError(f"{type(self).__name__} defines no loss(clip)")

    def end_task(self, task: Task) -> None:
        """After training on a task: prototypes, exemplars, merges."""

    def train_data(self, task: Task) -> VideoSet:
        """The annotated videos to train on; replay methods return ``task.train | memory``."""
        return task.train

    def param_groups(self) -> list[dict[str, Any]]:
        """Trainable parameters for the optimiser, in groups that it treats alike.

        Keys beside ``params``: ``backbone`` (the schedule's ``backbone_lr_mult`` applies), ``lr_mult`` and
        ``decay_mult`` (factors, 1 by default). Norms and embeddings are not decayed, as in Mask2Former; a module
        whose bare parameters are embeddings (queries, prompts) names them in an attribute ``undecayed``.
        """
        undecayed = {id(parameter) for module in self.modules() for parameter in _undecayed(module)}
        groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                key = (name.startswith("segmenter.backbone."), 0.0 if id(parameter) in undecayed else 1.0)
                groups.setdefault(key, []).append(parameter)
        return [dict(params=ps, backbone=backbone, decay_mult=decay) for (backbone, decay), ps in groups.items()]

    def predict(self, video: Video) -> Tracks:
        """The tracks found in one video, labelled with data-set ids of classes seen so far."""
        return self.segmenter.predict(video)

    def heads(self) -> Any:
        """With ``one_pass``: the small part of what was learned by now that later steps change. The engine copies it,
        and keeps no copy of anything else."""
        raise TypeError(f"{type(self).__name__} defines no heads()")

    def predict_steps(self, video: Video, heads: Sequence[Any]) -> list[Tracks]:
        """With ``one_pass``: what :meth:`predict` said when each of the ``heads`` was current, bit for bit."""
        raise TypeError(f"{type(self).__name__} defines no predict_steps(video, heads)")

    def describe(self) -> dict[str, Any]:
        """Facts about the method that its results must carry, as JSON's own types.

        ``text_encoder`` is stored and printed with every number: ``{"model": ..., "pretrained": ..., "sha256": ...}``.
        """
        return {}

    def observe(self) -> dict[str, float]:
        """What is worth watching of the method's state and is no loss: logged in training, and stored of each step."""
        return {}

    @classmethod
    def stream(cls, scenario: Scenario) -> Scenario:
        """The stream this method trains on; only an upper bound looks at another one."""
        return scenario

    def forward(self, clip: Clip) -> dict[str, Tensor]:
        """``loss``: so that wrappers such as DistributedDataParallel see an ordinary module."""
        return self.loss(clip)


def _undecayed(module: nn.Module) -> list[nn.Parameter]:
    """A module's own parameters that get no weight decay."""
    named = dict(module.named_parameters(recurse=False))
    if isinstance(module, (*NORMS, nn.Embedding)):
        return list(named.values())
    return [named[name] for name in (*getattr(module, "undecayed", ()), *SWIN_EMBEDDINGS) if name in named]
