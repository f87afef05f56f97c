"""What is known of a data set, and how files on disk are compared with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cvis.errors import Problem, short

if TYPE_CHECKING:
    from cvis.data.videoset import VideoSet


@dataclass(frozen=True)
class Layout:
    """Where one part of a data set may lie below its root: the first that exists counts."""

    annotations: tuple[str, ...]
    frames: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """A data set as its authors publish it.

    Attributes:
        source: where to get it.
        layouts: of the parts that it has: "train", "valid", "test".
        train_videos: how many there must be; None: any number.
        categories: their names in the order of their ids, which count from 1; (): any.
        tests_on: the part to test on; None: a part of train is held out.
        own_files: a stream's file names the annotation files, so that they may lie anywhere.
        make: makes the data set where it is missing, and returns its folder; None: it must be fetched.
    """

    title: str
    source: str
    layouts: Mapping[str, Layout]
    train_videos: int | None = None
    categories: tuple[str, ...] = ()
    tests_on: str | None = None
    own_files: bool = False
    make: Callable[[], Path] | None = None

    def find(self, root: Path, part: str) -> tuple[Path | None, Path | None]:
        """Annotation file and folder of frames of one part below ``root``; None for what is not there."""
        layout = self.layouts.get(part, Layout((), ()))
        annotations = next((root / name for name in layout.annotations if (root / name).is_file()), None)
        frames = next((root / name for name in layout.frames if (root / name).is_dir()), None)
        return annotations, frames

    def missing(self, root: Path, part: str) -> Problem:
        """What :meth:`find` looked for and did not find, and where to get it."""
        layout = self.layouts[part]
        looked = "a folder of frames: " + ", ".join(layout.frames)
        if self.find(root, part)[0] is None:
            looked = "an annotation file: " + ", ".join(layout.annotations)
        what = f"{self.title} is not complete there; looked for {looked}"
        remedy = f"get it from {self.source}, or give its folder: --data DIR, or the argument of `cvis data check`"
        return Problem(str(root), "", part, what, remedy)

    def differences(self, videos: VideoSet, file: Path | str, part: str = "train") -> Iterator[Problem]:
        """What an annotation file has that the official one has not, and the reverse."""
        remedy = f"this is not {self.title}: get it from {self.source}, or use the data set 'custom'"
        if self.categories:
            given = {c.id: c.name for c in videos.categories}
            official = dict(enumerate(self.categories, 1))
            for i in sorted(given.keys() | official.keys()):
                if plain_name(given.get(i, "")) != plain_name(official.get(i, "")):
                    what = f"category {i} of {self.title} is {short(official.get(i))}"
                    yield Problem(str(file), f"categories (id {i})", short(given.get(i)), what, remedy)
        if part == "train" and self.train_videos not in (None, len(videos)):
            what = f"{self.title} has {self.train_videos} training videos"
            yield Problem(str(file), "videos", str(len(videos)), what, remedy)


def plain_name(name: str) -> str:
    """Names are compared as people write them: case, space, hyphen and underscore do not count."""
    plain = name.lower().replace("-", "_").replace(" ", "_")
    return "vehical" if plain == "vehicle" else plain  # many copies of OVIS correct its spelling
