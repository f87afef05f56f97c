"""YouTube-VIS 2019 (Yang et al., "Video Instance Segmentation", ICCV 2019)."""

from __future__ import annotations

from cvis.data.dataset import Dataset, Layout

CATEGORIES = (
    "person giant_panda lizard parrot skateboard sedan ape dog snake monkey hand rabbit duck cat cow fish "
    "train horse turtle bear motorbike giraffe leopard fox deer owl surfboard airplane truck zebra tiger elephant "
    "snowboard boat shark mouse frog eagle earless_seal tennis_racket"
)


def layout(part: str, *more: str) -> Layout:
    """Where the videos of YouTube-VIS and their annotations may lie, of any year; ``more`` annotation files."""
    files = (f"{part}.json", f"{part}/{part}.json", f"{part}/instances.json", *more)
    return Layout(files, (f"{part}/JPEGImages", f"JPEGImages/{part}"))


DATASET = Dataset(
    title="YouTube-VIS 2019",
    source="https://youtube-vos.org/dataset/vis/ (2019 version, CodaLab competition 20128)",
    layouts={
        "train": layout(
            "train",
            "annotations/instances_train_sub.json",
            "annotations/youtube_vis_2019_train.json",
            "youtube_vis_2019_train.json",
        ),
        "valid": layout("valid"),
        "test": layout("test"),
    },
    train_videos=2238,
    categories=tuple(CATEGORIES.split()),
)
