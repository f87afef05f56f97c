"""The data sets: what they hold, how their authors lay them out, and where they come from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cvis.data.problem import Problem, short
from cvis.data.videoset import VideoSet
from cvis.errors import UserError

YTVIS2019 = (
    "person giant_panda lizard parrot skateboard sedan ape dog snake monkey hand rabbit duck cat cow fish "
    "train horse turtle bear motorbike giraffe leopard fox deer owl surfboard airplane truck zebra tiger elephant "
    "snowboard boat shark mouse frog eagle earless_seal tennis_racket"
)
YTVIS2021 = (
    "airplane bear bird boat car cat cow deer dog duck earless_seal elephant fish flying_disc fox frog "
    "giant_panda giraffe horse leopard lizard monkey motorbike mouse parrot person rabbit shark skateboard "
    "snake snowboard squirrel surfboard tennis_racket tiger train truck turtle whale zebra"
)
OVIS = (  # "Vehical" is how the file spells it
    "Person Bird Cat Dog Horse Sheep Cow Elephant Bear Zebra Giraffe Poultry Giant_panda Lizard Parrot "
    "Monkey Rabbit Tiger Fish Turtle Bicycle Motorcycle Airplane Boat Vehical"
)


@dataclass(frozen=True)
class Layout:
    """Where one part of a data set may lie below its root: the first that exists counts."""

    annotations: tuple[str, ...]
    frames: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set. ``categories`` in the order of their ids, which count from 1."""

    title: str
    source: str  # where to get it
    layouts: Mapping[str, Layout]  # "train", "valid", "test"
    train_videos: int | None = None  # None: any number
    categories: tuple[str, ...] = ()  # (): any
    tests_on: str | None = None  # the part to test on; None: hold out a part of train


def _ytvis(part: str, *names: str) -> Layout:
    files = (f"{part}.json", f"{part}/{part}.json", f"{part}/instances.json", *names)
    return Layout(files, (f"{part}/JPEGImages", f"JPEGImages/{part}"))


def _ovis(part: str) -> Layout:
    files = (f"annotations_{part}.json", f"annotations/annotations_{part}.json")
    return Layout(files, (part, f"Images/{part}", f"images/{part}", f"JPEGImages/{part}"))


DATASETS: Mapping[str, Dataset] = {
    "ytvis2019": Dataset(
        "YouTube-VIS 2019",
        "https://youtube-vos.org/dataset/vis/ (2019 version, CodaLab competition 20128)",
        {
            "train": _ytvis(
                "train",
                "annotations/instances_train_sub.json",
                "annotations/youtube_vis_2019_train.json",
                "youtube_vis_2019_train.json",
            ),
            "valid": _ytvis("valid"),
            "test": _ytvis("test"),
        },
        2238,
        tuple(YTVIS2019.split()),
    ),
    "ytvis2021": Dataset(
        "YouTube-VIS 2021",
        "https://youtube-vos.org/dataset/vis/ (2021 version, CodaLab competition 7680)",
        {
            "train": _ytvis("train", "annotations/youtube_vis_2021_train.json", "youtube_vis_2021_train.json"),
            "valid": _ytvis("valid"),
            "test": _ytvis("test"),
        },
        2985,
        tuple(YTVIS2021.split()),
    ),
    "ovis": Dataset(
        "OVIS",
        "https://songbai.site/ovis/",
        {part: _ovis(part) for part in ("train", "valid", "test")},
        607,
        tuple(OVIS.split()),
    ),
    "custom": Dataset(
        "a data set of your own",
        "your own files in YouTube-VIS format",
        {
            "train": Layout(
                ("instances.json", "train.json", "train/instances.json"),
                ("JPEGImages", "train/JPEGImages", "train"),
            ),
            "test": Layout(("test.json", "test/instances.json"), ("test/JPEGImages", "JPEGImages", "test")),
        },
        tests_on="test",
    ),
    "synthetic": Dataset(
        "the synthetic data set",
        "`cvis data synth`",
        {
            "train": Layout(("train.json",), ("train/JPEGImages",)),
            "test": Layout(("test.json",), ("test/JPEGImages",)),
        },
        tests_on="test",
    ),
}


@dataclass(frozen=True)
class DataFiles:
    """Where a data set lies. Without a test part, the engine holds out a part of the training videos."""

    train_annotations: Path
    train_frames: Path | None  # None: no frame will be read
    test_annotations: Path | None = None
    test_frames: Path | None = None


def known(dataset: str) -> Dataset:
    """The entry of :data:`DATASETS`.

    Raises:
        UserError: there is no such data set.
    """
    if dataset not in DATASETS:
        raise UserError(f"dataset: {dataset}: there is no such data set; choose one of {', '.join(DATASETS)}")
    return DATASETS[dataset]


def data_root(dataset: str, root: Path | str | None) -> Path:
    """``root``; without one ``$CVIS_DATA/<dataset>``, or else ``./data/<dataset>``."""
    if root is not None:
        return Path(root).expanduser()
    return Path(os.environ.get("CVIS_DATA") or "data").expanduser() / dataset


def locate(dataset: str, root: Path | str | None) -> DataFiles:
    """The files of a data set below ``root`` (see :func:`data_root`), in any of its usual layouts.

    The official valid and test parts are not a test set here: their annotations are private. A user who has
    labels for them finds them with :func:`locate_part`.

    Raises:
        UserError: nothing is there; says what was looked for and where to get the data set.
    """
    entry, folder = known(dataset), data_root(dataset, root)
    train = locate_part(dataset, folder, "train")
    if train is None:
        raise missing(dataset, folder, "train").error()
    test = locate_part(dataset, folder, entry.tests_on) if entry.tests_on else None
    return DataFiles(*train, *(test or (None, None)))


def locate_part(dataset: str, root: Path, part: str) -> tuple[Path, Path] | None:
    """Annotation file and folder of frames of one part ("train", "valid", "test"); ``None`` if not both are there."""
    annotations, frames = find(dataset, root, part)
    return (annotations, frames) if annotations and frames else None


def find(dataset: str, root: Path, part: str) -> tuple[Path | None, Path | None]:
    """As :func:`locate_part`, each by itself."""
    layout = known(dataset).layouts.get(part, Layout((), ()))
    annotations = next((root / name for name in layout.annotations if (root / name).is_file()), None)
    frames = next((root / name for name in layout.frames if (root / name).is_dir()), None)
    return annotations, frames


def missing(dataset: str, root: Path, part: str) -> Problem:
    """Why :func:`locate_part` found nothing: what was looked for, and where to get it."""
    entry = known(dataset)
    layout = entry.layouts[part]
    looked = "a folder of frames: " + ", ".join(layout.frames)
    if find(dataset, root, part)[0] is None:
        looked = "an annotation file: " + ", ".join(layout.annotations)
    what = f"{entry.title} is not complete there; looked for {looked}"
    remedy = f"get it from {entry.source}, or say where it is with --data DIR"
    return Problem(str(root), "", part, what, remedy)


def expect(videos: VideoSet, dataset: str, file: Path | str = "annotations") -> None:
    """Refuse another data set under this one's name.

    Raises:
        UserError: the categories or the number of training videos are not those of ``dataset``.
    """
    for problem in differences(videos, dataset, file):
        raise problem.error()


def differences(videos: VideoSet, dataset: str, file: Path | str, part: str = "train") -> Iterator[Problem]:
    """What an annotation file has that the official one has not, and the reverse."""
    entry = known(dataset)
    remedy = f"this is not {entry.title}: get it from {entry.source}, or use the data set 'custom'"
    if entry.categories:
        found = {c.id: c.name for c in videos.categories}
        official = dict(enumerate(entry.categories, 1))
        for i in sorted(found.keys() | official.keys()):
            if plain_name(found.get(i, "")) != plain_name(official.get(i, "")):
                what = f"category {i} of {entry.title} is {short(official.get(i))}"
                yield Problem(str(file), f"categories (id {i})", short(found.get(i)), what, remedy)
    if part == "train" and entry.train_videos not in (None, len(videos)):
        what = f"{entry.title} has {entry.train_videos} training videos"
        yield Problem(str(file), "videos", str(len(videos)), what, remedy)


def plain_name(name: str) -> str:
    """Names are compared as people write them: case, space, hyphen and underscore do not count."""
    plain = name.lower().replace("-", "_").replace(" ", "_")
    return "vehical" if plain == "vehicle" else plain  # many copies of OVIS correct its spelling
