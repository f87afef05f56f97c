"""YouTube-VIS 2021: more videos than 2019, and other classes."""

from __future__ import annotations

from cvis.data.dataset import Dataset
from cvis.data.datasets.ytvis2019 import layout

CATEGORIES = (
    "airplane bear bird boat car cat cow deer dog duck earless_seal elephant fish flying_disc fox frog "
    "giant_panda giraffe horse leopard lizard monkey motorbike mouse parrot person rabbit shark skateboard "
    "snake snowboard squirrel surfboard tennis_racket tiger train truck turtle whale zebra"
)

DATASET = Dataset(
    title="YouTube-VIS 2021",
    source="https://youtube-vos.org/dataset/vis/ (2021 version, CodaLab competition 7680)",
    layouts={
        "train": layout("train", "annotations/youtube_vis_2021_train.json", "youtube_vis_2021_train.json"),
        "valid": layout("valid"),
        "test": layout("test"),
    },
    train_videos=2985,
    categories=tuple(CATEGORIES.split()),
)
