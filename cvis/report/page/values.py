"""What the templates show beside tables, as plain values: facts, figures and videos. No HTML here."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from cvis.report.value import Table


@dataclass(frozen=True)
class Figure:
    """A plot as inline SVG, from our own drawing code: the one thing here that is markup already."""

    caption: str
    svg: Markup
    wide: bool = False


@dataclass(frozen=True)
class Option:
    """One of several choices of which a reader sees one at a time."""

    id: str
    title: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Fact:
    """A key with its value, or with further facts below it."""

    key: str
    text: str = ""
    meaning: str = ""
    parts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Facts that are shown together, and for which rows they hold."""

    title: str
    facts: tuple[Fact, ...]
    note: str = ""


@dataclass(frozen=True)
class LearnerVideo:
    """One learner on one video."""

    learner: str
    description: str  # what a screen reader says
    source: str  # data: URI of an mp4
    poster: str  # data: URI of one of its frames, for before it plays and on paper
    width: int
    height: int


@dataclass(frozen=True)
class VideoGroup:
    """All learners on one video, under each other."""

    title: str
    note: str
    videos: tuple[LearnerVideo, ...]


@dataclass(frozen=True)
class Panel:
    """Everything about one stream with one segmenter."""

    id: str
    title: str
    scenario: str
    segmenter: str
    results: tuple[Table, ...]
    curves: tuple[Figure, ...]
    steps: tuple[Option, ...]
    figures: tuple[Figure, ...]
    classes: tuple[Option, ...]
    queries: tuple[Option, ...]
    videos: tuple[VideoGroup, ...]
    stream: tuple[Fact, ...]  # the classes that each step brings
    protocols: tuple[Facts, ...]
    runs: Table
    settings: tuple[Facts, ...]
    environments: tuple[Facts, ...]
    notes: tuple[str, ...] = ()  # what could not be drawn, and why

    @property
    def learners_shown(self) -> list[str]:
        """Those of the videos, each once."""
        return list(dict.fromkeys(video.learner for group in self.videos for video in group.videos))


@dataclass(frozen=True)
class Models:
    """One stream with all its segmenters side by side: for each metric a matrix of learners and segmenters."""

    id: str
    scenario: str
    options: tuple[Option, ...]
    figures: tuple[Figure, ...]

    @property
    def title(self) -> str:
        return f"{self.scenario} · all models"


@dataclass(frozen=True)
class Page:
    title: str
    summary: str
    version: str
    panels: tuple[Panel, ...]
    models: tuple[Models, ...]
    left_out: tuple[tuple[str, str], ...]  # path, reason
    glossary: tuple[Fact, ...]
