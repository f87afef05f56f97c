"""The configuration of a run: every key, what it may hold, and what it holds unless a file or ``--set`` says more.

:func:`cvis.engine.resolve.resolve` makes one; ``cvis run --dry-run`` prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import mmengine
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from cvis.runs.folder import short_name
from cvis.scenario.spec import SplitName
from cvis.scenario.visibility import OtherClassPolicy, Visibility

MAY_DIFFER = (
    "data", "runs", "workers", "checkpoint_every", "loggers", "on_bad_frame", "shipped_step0", "launcher", "evaluate",
    "cache_gb",
)  # fmt: skip
"""Runtime keys that may differ between a run and its resumption: they change no result, or are told with it. How many
processes a launcher starts is no key, and may not differ."""

PLACES: Any = {"images": {"annotations", "frames"}}
"""Of :class:`Sampling`, where files lie; what is in them counts."""

Whole = Annotated[int, BeforeValidator(lambda v: int(v) if isinstance(v, float) and v.is_integer() else v)]  # 300.0 too
Count = Annotated[Whole, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Sizes = Annotated[list[Count], Field(strict=False, min_length=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Text = Annotated[str, Field(min_length=1)]
Logger = Literal["tensorboard", "wandb", "mlflow", "aim", "local"]


class Part(BaseModel):
    """Keys that belong together: none is unknown, and "5" is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Protocol(Part):
    """What a table must not mix. None: what the scenario file says."""

    split: SplitName | None = None
    visibility: Visibility | None = None
    other_class_policy: OtherClassPolicy | None = None
    freeze: Literal["backbone", "none"] = "backbone"  # after step 0
    init: Text = "random"  # random | imagenet | coco | path of a checkpoint or run


class Images(Part):
    """Still images with masks, of which clips are made too (cvis.data.pseudo)."""

    annotations: Text  # file in COCO's format; its classes are the stream's by their names
    frames: Text | None = None  # folder of the images. None: images or JPEGImages beside the file
    ratio: Positive = 1.0  # of image clips to video clips
    rotation: Annotated[float, Field(ge=0, le=180)] = 15.0  # degrees, at most
    zoom: Annotated[float, Field(ge=1)] = 2.0  # at most
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.2  # contrast, brightness, saturation: a factor of 1 +- this
    paste: Annotated[float, Field(ge=0, le=1)] = 0.5  # probability that instances of another image pass in front


class Crop(Part):
    """Of some clips a part is cut out, and resized (cvis.data.frames.Crop)."""

    probability: Annotated[float, Field(ge=0, le=1)] = 0.5  # per clip
    short_sides: Sizes = [400, 500, 600]  # pixels; one is drawn per clip, for the frame that is cut
    sides: Annotated[Sizes, Field(min_length=2, max_length=2)] = [384, 600]  # pixels, bounds of the part's


class Sampling(Part):
    """How a training clip is cut from a video."""

    num_frames: Count = 2  # of a training clip
    frame_range: Count = 20  # the others lie within +- this many frames of the reference frame
    short_sides: Sizes = [360, 480]  # pixels; one is drawn per clip
    max_size: Count = 1333  # pixels, of the long side
    flip: NotNegative = 0.5  # probability of a horizontal flip, per clip
    crop: Crop | None = None  # DETR's and CTVIS's: --set sampling.crop.probability=0.5
    images: Images | None = None  # a second source of clips: --set sampling.images.annotations=FILE


class JointPhase(Part):
    """How joint training is trained; None: as long as the whole stream."""

    iterations: Count | None
    lr: Positive
    policy: Literal["multistep", "cosine", "exponential", "constant"]


class Phase(JointPhase):
    """How a step is trained."""

    iterations: Count


class LaterPhase(Phase):
    """How every step after step 0 is trained."""

    views: Count | None = None  # a video shows so many fixed clips in turn. None: every clip is drawn anew


class Schedule(Part):
    """How long and how fast is learned."""

    batch_size: Count = 16  # clips, over all GPUs
    base: Phase = Phase(iterations=1500, lr=1e-4, policy="multistep")  # step 0
    incremental: LaterPhase = LaterPhase(iterations=600, lr=1e-4, policy="multistep")  # every later step
    joint: JointPhase = JointPhase(iterations=None, lr=1e-4, policy="multistep")
    milestones: Annotated[list[Fraction], Field(strict=False)] = [2 / 3]  # of a step's iterations; lr x 0.1 (multistep)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of sgd
    weight_decay: NotNegative = 0.05
    clip_grad: NotNegative = 0.01  # norm over all parameters; 0: off
    backbone_lr_mult: NotNegative = 0.1
    scale: Positive = 1.0  # multiplies every number of iterations: 0.01 for a smoke run

    def phase(self, is_base: bool, joint: bool, steps: int) -> Phase:
        """What a task is trained under, with its number of iterations scaled.

        Args:
            steps: tasks of the whole stream; joint training without a number of its own gets their sum.
        """
        phase = self.joint if joint else self.base if is_base else self.incremental
        iterations = phase.iterations or self.base.iterations + (steps - 1) * self.incremental.iterations
        return Phase(iterations=max(1, round(iterations * self.scale)), lr=phase.lr, policy=phase.policy)


class Runtime(Part):
    """On which machine, where to, and which draw of chance."""

    seed: Annotated[Whole, Field(ge=0)] = 0
    data: Text | None = None  # folder of the data set. None: $CVIS_DATA/<data set>, then ./data/<data set>
    runs: Text = "runs"  # where runs and the shared step-0 models go
    device: Literal["auto", "cpu", "cuda"] = "auto"
    amp: Literal["auto", "bf16", "off"] = "auto"  # auto: bf16 on a GPU that has it, off on CPU
    workers: Annotated[Whole, Field(ge=0)] | None = None  # data-loading processes. None: on CUDA one per CPU, at most 8
    checkpoint_every: Count = 200  # iterations between checkpoints inside a step
    on_bad_frame: Literal["error", "skip"] = "error"  # in training; skip: another clip in its place, counted in results
    evaluate: Literal["each-step", "one-pass", "auto"] = "each-step"  # auto: one-pass for learners that can
    cache_features: Literal["off", "ram", "disk"] = "off"  # of frozen models; disk: for all runs
    cache_gb: Positive = 4.0  # of each process in RAM, or of all runs on disk
    deterministic: bool = False  # only algorithms that give the same bits again, where torch has one
    shipped_step0: bool = True  # take a step-0 model that comes with cvis, where one of the same recipe does
    launcher: Literal["none", "pytorch", "slurm"] = "none"  # pytorch: torchrun
    loggers: Annotated[list[Logger], Field(strict=False)] = ["tensorboard"]


class Names(Part):
    """What folders and tables call the run and its parts."""

    learner: str
    segmenter: str
    schedule: str
    preset: str | None
    run: str = Field(pattern=r"^[A-Za-z0-9][\w.+=,-]*$", description="use letters, digits and . _ + = , - only")


class Config(Part):
    """A run is a pure function of this."""

    scenario: Text  # name of a shipped stream, or path of a .toml file
    learner: dict[str, Any]  # type and settings; its class knows them
    segmenter: dict[str, Any]  # likewise
    names: Names
    protocol: Protocol = Protocol()
    sampling: Sampling = Sampling()
    schedule: Schedule = Schedule()
    runtime: Runtime = Runtime()


def dump(config: Config) -> str:
    """The configuration as the text of an mmengine config file."""
    return mmengine.Config(config.model_dump()).pretty_text


def fingerprint(values: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that changes results: what a resumed run must agree on.

    Args:
        values: ``model_dump(mode="json")`` of one, or what ``run.json`` keeps of it; keys that an older run did not
            know yet have their defaults.
    """
    relevant = {key: value for key, value in values.items() if key != "scenario"}  # the stream's checksum is compared
    runtime = {**Runtime().model_dump(), **values["runtime"]}  # of younger keys the defaults, here and below
    relevant["runtime"] = {k: v for k, v in runtime.items() if k not in MAY_DIFFER}
    if runtime["cache_features"] == "disk":  # where they lie changes nothing
        relevant["runtime"]["cache_features"] = "ram"
    schedule = {**Schedule().model_dump(), **values.get("schedule", {})}
    relevant["schedule"] = {**schedule, "incremental": {"views": None, **schedule["incremental"]}}
    relevant["sampling"] = {**Sampling().model_dump(), **values.get("sampling", {})}
    for part in ("learner", "segmenter"):  # the same file may be named from another folder
        relevant[part] = {**values[part], "type": short_name(values[part].get("type", ""))}
    return relevant
