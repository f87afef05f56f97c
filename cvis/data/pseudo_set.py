"""Pseudo-videos on disk: a set in the format of YouTube-VIS, made of images in COCO's."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from cvis.data.clips import ClipSampler, ClipSampling, Sample
from cvis.data.pseudo import Motion, PseudoClips
from cvis.data.rle import encode
from cvis.data.videoset import VideoSet
from cvis.errors import UserError

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]


def write_pseudo_videos(
    images: VideoSet,
    root: Path,
    videos: int,
    seed: int = 0,
    frames: int = 8,
    short_side: int = 360,
    motion: Motion | None = None,
    update: Callable[[int], None] = lambda done: None,
) -> int:
    """Write ``root/instances.json`` and ``root/JPEGImages/<video>/<frame>.jpg``; ``root`` appears complete or not
    at all.

    Every byte follows from the images and the arguments. Each image is shown once before any is shown again.

    Args:
        videos: how many to make.
        frames: of each.
        short_side: of a frame, pixels.
        update: hears how many are done.

    Returns:
        The number of tracks.

    Raises:
        UserError: an image cannot be read, none has an instance, ``root`` exists, or the disk refuses the write.
    """
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise UserError(f"{root}: exists and is not an empty folder; choose another")
    for name, value in (("videos", videos), ("frames", frames), ("short_side", short_side)):
        if value < 1:
            raise UserError(f"pseudo-videos: {name}: {value}: must be at least 1")
    clips = PseudoClips(images, ClipSampling(num_frames=frames, short_sides=(short_side,)), motion or Motion())
    listed: dict[str, list[dict[str, Any]]] = {"videos": [], "annotations": []}
    temporary = root.absolute().parent / f".{root.name}.{uuid.uuid4().hex}.tmp"
    try:
        temporary.mkdir(parents=True)
        for done, (key,) in enumerate(ClipSampler(len(clips), 1, videos, seed), start=1):
            _write_video(temporary / "JPEGImages", done, clips[key], listed)
            update(done)
        categories = [{"id": category.id, "name": category.name} for category in images.categories]
        info = {"description": "cvis pseudo-videos", "seed": seed, "images_sha256": images.sha256}
        document = {"info": info, **listed, "categories": categories}
        (temporary / "instances.json").write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
        os.replace(temporary, root)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{root}: cannot be written: {reason}; free space or choose another folder") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(listed["annotations"])


def _write_video(folder: Path, number: int, sample: Sample, listed: dict[str, list[dict[str, Any]]]) -> None:
    length, _, height, width = sample.frames.shape
    names = [f"{number:06d}/{t:05d}.jpg" for t in range(length)]
    (folder / names[0]).parent.mkdir(parents=True)
    for name, frame in zip(names, sample.frames.numpy(), strict=True):
        bgr = np.ascontiguousarray(frame.transpose(1, 2, 0)[..., ::-1])
        (folder / name).write_bytes(cv2.imencode(".jpg", bgr, _JPEG)[1].tobytes())
    shared = {"height": height, "width": width, "length": length}
    listed["videos"].append({"id": number, "file_names": names, **shared})
    for category, masks in zip(sample.category_ids.tolist(), sample.masks.numpy(), strict=True):
        codes = [encode(mask) for mask in masks]
        listed["annotations"].append({
            "id": len(listed["annotations"]) + 1,
            "video_id": number,
            "category_id": category,
            "iscrowd": 0,
            "segmentations": [code and {"size": code["size"], "counts": code["counts"].decode()} for code in codes],
            "bboxes": [code and coco_mask.toBbox(code).tolist() for code in codes],
            "areas": [code and int(coco_mask.area(code)) for code in codes],
            **shared,
        })  # fmt: skip
