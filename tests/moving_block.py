"""A video of one bright block that moves, whose frames say which they are."""

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from cvis.data.clips import ClipSampling
from cvis.data.videoset import VideoSet
from cvis.types import Category, Track, Video

PLAIN = ClipSampling(num_frames=2, frame_range=3, short_sides=(40,), flip=0.0)


def write_video(folder, video_id: int, length: int, height: int = 40, width: int = 56):
    """Frame t is a dark ground of grey level t with one bright block that moves; returns its masks too."""
    paths, masks = [], []
    for t in range(length):
        mask = np.zeros((height, width), np.uint8)
        mask[5 + t : 17 + t, 3 + 2 * t : 23 + 2 * t] = 1
        image = np.where(mask[..., None] > 0, 250, t).astype(np.uint8).repeat(3, axis=2)
        path = folder / f"{video_id}_{t:05d}.png"
        Image.fromarray(image).save(path)
        paths.append(path)
        masks.append(mask)
    return Video(video_id, f"v{video_id}", height, width, tuple(paths)), masks


def track(track_id: int, video_id: int, category_id: int, masks, iscrowd: bool = False) -> Track:
    rles = tuple(None if m is None else coco_mask.encode(np.asfortranarray(m)) for m in masks)
    areas = tuple(0.0 if m is None else float(m.sum()) for m in masks)
    return Track(track_id, video_id, category_id, rles, areas, iscrowd)


def video_set(*videos_and_tracks) -> VideoSet:
    videos = tuple(video for video, _ in videos_and_tracks)
    tracks = {video.id: tuple(track_list) for video, track_list in videos_and_tracks}
    return VideoSet((Category(4, "cat"), Category(9, "dog")), videos, tracks, "0" * 64)
