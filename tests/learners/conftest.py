"""A video of noise."""

import pytest
import torch
from PIL import Image

from cvis.types import Video


@pytest.fixture
def video(tmp_path) -> Video:
    frames = torch.randint(0, 256, (3, 32, 48, 3), dtype=torch.uint8).numpy()
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path)
    return Video(4, "v", 32, 48, tuple(paths))
