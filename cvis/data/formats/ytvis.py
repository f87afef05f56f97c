"""YouTube-VIS and OVIS: a JSON file. Masks of any form become compressed run-length code; ids and names stay."""

from __future__ import annotations

from dataclasses import replace

from cvis.data.formats.collect import Collector
from cvis.data.formats.format import Format, Source
from cvis.data.schema import parse
from cvis.data.videoset import VideoSet
from cvis.errors import Problem


def accepts(source: Source) -> bool:
    raw = source.json
    return isinstance(raw, dict) and isinstance(raw.get("videos"), list) and "images" not in raw


def read(source: Source, out: Collector) -> VideoSet:
    def report(problem: Problem) -> None:
        if problem.severity == "error":
            raise problem.error()
        if problem.value == "'all null'":
            out.skip(source.path, f"a track that {problem.what}")

    videos = parse(source.json, source.path, "", report)
    files = (
        replace(v, frames=tuple(out.file(source.path, f.as_posix(), f"{source.path}: video {v.id}") for f in v.frames))
        for v in videos.videos
    )
    return replace(videos, videos=tuple(files))


FORMAT = Format("YouTube-VIS or OVIS: a JSON file", accepts, read)
