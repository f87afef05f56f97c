"""``cvis data pseudo-videos``: videos made of still images with instance masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvis.cli.output import examples, progress

EXAMPLES = examples(
    "cvis data pseudo-videos instances_train2017.json pseudo --images train2017 --videos 5000",
    "cvis data pseudo-videos instances.json pseudo --frames 16 --rotation 5 --paste 0",
)


def pseudo_videos(
    annotations: Annotated[Path, typer.Argument(help="Annotation file of images with masks, in COCO's format.")],
    root: Annotated[Path, typer.Argument(help="The folder to make.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images. Default: images or JPEGImages beside the file.")
    ] = None,
    videos: Annotated[int | None, typer.Option(help="How many videos. Default: one of each image.")] = None,
    frames: Annotated[int, typer.Option(help="Frames of each video.")] = 8,
    short_side: Annotated[int, typer.Option(help="Of a frame, pixels.")] = 360,
    rotation: Annotated[float, typer.Option(help="The camera is turned by at most so many degrees.")] = 15.0,
    zoom: Annotated[float, typer.Option(help="It comes nearer by at most this factor.")] = 2.0,
    colour: Annotated[float, typer.Option(help="Contrast, brightness and saturation change by this share.")] = 0.2,
    paste: Annotated[float, typer.Option(help="Probability that instances of another image pass in front.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 0,
) -> None:
    """Make videos of still images.

    In the format of YouTube-VIS: the camera moves, instances keep their identities.
    """
    from cvis.data.images import read_coco
    from cvis.data.pseudo import Motion
    from cvis.data.pseudo_set import write_pseudo_videos

    motion = Motion(rotation, zoom, colour, paste)
    stills = read_coco(annotations, images)
    count = len(stills) if videos is None else videos
    with progress("videos") as update:
        tracks = write_pseudo_videos(
            stills, root, count, seed, frames, short_side, motion, lambda done: update(done, count)
        )
    typer.echo(f"{root}: {count} videos of {frames} frames, {tracks} tracks; annotations in {root / 'instances.json'}")
