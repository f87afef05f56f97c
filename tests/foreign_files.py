"""Two made-up videos, and the same annotations as six kinds of tools would have written them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from cvis.data.ytvis import read_ytvis

HEIGHT, WIDTH, LENGTH = 20, 30, 4
OBJECTS = {  # video -> object number -> class, first frame, frame after the last, and the box's left edge at frame 0
    "walk": {1: ("car", 0, 4, 2), 2: ("dog", 1, 3, 14)},
    "swim": {1: ("dog", 0, 2, 5)},
}


def box(video: str, number: int, t: int) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 of an object, which moves by 2 pixels to the right in every frame; None where it is not seen."""
    _, start, stop, left = OBJECTS[video][number]
    return (left + 2 * t, 3 + 8 * (number - 1), left + 2 * t + 6, 9 + 8 * (number - 1)) if start <= t < stop else None


def mask(video: str, number: int, t: int) -> np.ndarray:
    whole = np.zeros((HEIGHT, WIDTH), bool)
    if edges := box(video, number, t):
        x0, y0, x1, y1 = edges
        whole[y0:y1, x0:x1] = True
    return whole


def truth() -> dict[tuple[str, str, int], np.ndarray]:
    """(video, class, n-th of them) -> bool [T, H, W]."""
    return {
        (video, OBJECTS[video][n][0], 0): np.stack([mask(video, n, t) for t in range(LENGTH)])
        for video, objects in OBJECTS.items()
        for n in objects
    }


def corners(x0, y0, x1, y1) -> list[list[int]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def frames(root: Path, names: tuple[str, ...] = tuple(OBJECTS), size=(WIDTH, HEIGHT)) -> Path:
    """``root/JPEGImages/<video>/00000.jpg``."""
    for video in names:
        folder = root / "JPEGImages" / video
        folder.mkdir(parents=True)
        for t in range(LENGTH):
            Image.new("RGB", size, (40 * t, 90, 20)).save(folder / f"{t:05d}.jpg")
    return root / "JPEGImages"


def everything():
    """video, object, frame, class and mask, wherever one is seen."""
    for video, objects in OBJECTS.items():
        for number, (name, *_) in objects.items():
            for t in range(LENGTH):
                if box(video, number, t):
                    yield video, number, t, name, mask(video, number, t)


def code(full: np.ndarray) -> dict:
    rle = coco.encode(np.asfortranarray(full, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()}


CATEGORIES = [{"id": 3, "name": "car"}, {"id": 7, "name": "dog"}]
IDS = {"car": 3, "dog": 7}


def coco_video(root: Path) -> Path:
    videos = [{"id": n, "name": name} for n, name in enumerate(OBJECTS, start=5)]
    images = [
        dict(id=10 * v["id"] + t, video_id=v["id"], frame_id=t, file_name=f"{v['name']}/{t:05d}.jpg",
             height=HEIGHT, width=WIDTH)
        for v in videos
        for t in reversed(range(LENGTH))
    ]  # fmt: skip
    ids = {v["name"]: v["id"] for v in videos}
    annotations = [
        dict(id=n, image_id=10 * ids[video] + t, category_id=IDS[name], instance_id=100 * ids[video] + number,
             segmentation=code(full), attributes={"occluded": True} if t == 0 else {})
        for n, (video, number, t, name, full) in enumerate(everything())
    ]  # fmt: skip
    return write(root, dict(videos=videos, images=images, annotations=annotations, categories=CATEGORIES))


def coco_images(root: Path) -> Path:
    """The first frame of each video; masks are polygons."""
    content = json.loads(coco_video(root).read_text())
    content.pop("videos")
    content["images"] = [image for image in content["images"] if image["frame_id"] == 0]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [
        {**a, "segmentation": [[value for corner in corners(*_box(a)) for value in corner]]}
        for a in content["annotations"]
        if a["image_id"] in kept
    ]
    return write(root, content)


def _box(annotation: dict) -> list[int]:
    x, y, w, h = map(int, coco.toBbox(annotation["segmentation"]))
    return [x, y, x + w, y + h]


def cvat(root: Path) -> Path:
    """A project of two tasks: an object is given by its first and last polygon, one in every frame as a mask, one as
    boxes that CVAT interpolated."""
    tasks, tracks = "", ""
    for k, video in enumerate(OBJECTS):
        tasks += f"<task><id>{k}</id><name>{video}</name><size>{LENGTH}</size><start_frame>0</start_frame>"
        tasks += f"<stop_frame>{LENGTH - 1}</stop_frame><frame_filter/><source>{video}.mp4</source></task>"
    for track, (video, number) in enumerate([("walk", 1), ("walk", 2), ("swim", 1)]):
        name, start, stop, _ = OBJECTS[video][number]
        kind = ("polygon", "mask", "box")[track]
        seen = (start, stop - 1) if kind == "polygon" else range(start, stop)
        shapes = "".join(_shape(kind, video, number, t, t not in (start, stop - 1)) for t in seen)
        if stop < LENGTH:
            shapes += f'<box frame="{stop}" outside="1" xtl="0" ytl="0" xbr="1" ybr="1"/>'
        shapes += '<points frame="0" points="1,1"/>' if kind == "box" else ""
        tracks += f'<track id="{track}" label="{name}" task_id="{list(OBJECTS).index(video)}">{shapes}</track>'
    meta = f"<version>1.1</version><meta><project><tasks>{tasks}</tasks></project></meta>"
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{meta}{tracks}</annotations>'
    (root / "annotations.xml").write_text(text)
    return root / "annotations.xml"


def _shape(kind: str, video: str, number: int, t: int, between: bool) -> str:
    x0, y0, x1, y1 = box(video, number, t)
    head = f'{kind} frame="{t}" outside="0" occluded="0" keyframe="{int(not between)}"'
    if kind == "box":
        return f'<{head} xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}"/>'
    if kind == "polygon":
        points = ";".join(f"{x}.00,{y}.00" for x, y in corners(x0, y0, x1, y1))
        return f'<{head} points="{points}"><attribute name="colour">red</attribute></{kind}>'
    w, h = x1 - x0 + 2, y1 - y0  # an empty column on either side
    runs = ", ".join(map(str, [1, *[w - 2, 2] * (h - 1), w - 2, 1]))
    return f'<{head} rle="{runs}" left="{x0 - 1}" top="{y0}" width="{w}" height="{h}"/>'


def labelme(root: Path) -> Path:
    """Each kind of shape once at least; the frames lie beside the files."""
    for video, objects in OBJECTS.items():
        for t in range(LENGTH):
            shapes = [_labelled(video, n, t, name) for n, (name, *_) in objects.items() if box(video, n, t)]
            shapes += [dict(label="line", points=[[0, 0], [3, 3]], group_id=None, shape_type="line")] * (t == 0)
            content = dict(version="5.5.0", shapes=shapes, imagePath=f"..\\x\\{t:05d}.jpg", imageData=None)
            folder = root / "JPEGImages" / video
            (folder / f"{t:05d}.json").write_text(json.dumps(dict(content, imageHeight=HEIGHT, imageWidth=WIDTH)))
    return root / "JPEGImages"


def _labelled(video: str, number: int, t: int, name: str) -> dict:
    x0, y0, x1, y1 = box(video, number, t)
    shape = dict(label=name, group_id=number, shape_type="polygon", points=corners(x0, y0, x1, y1), flags={})
    if t == 0:
        shape["flags"] = {"blurred": True}
    if number == 2:
        file = io.BytesIO()
        Image.fromarray(np.ones((y1 - y0, x1 - x0), bool)).save(file, "PNG")
        edges = [[x0, y0], [x1 - 1, y1 - 1]]
        shape.update(shape_type="mask", points=edges, mask=base64.b64encode(file.getvalue()).decode())
    elif t == 1:
        shape.update(shape_type="rectangle", points=[[x0, y0], [x1, y1]])
    return shape


def indexed(root: Path, numbers: dict[tuple[str, int], int], large: bool = False) -> Path:
    """PNGs, a folder for each video; (video, object) -> the number of its pixels."""
    for video, objects in OBJECTS.items():
        (root / "masks" / video).mkdir(parents=True)
        for t in range(LENGTH):
            pixels = np.zeros((HEIGHT, WIDTH), np.uint16 if large else np.uint8)
            for n in objects:
                pixels[mask(video, n, t)] = numbers[video, n]
            picture = Image.fromarray(pixels)
            if not large:
                picture.putpalette(list(range(256)) * 3)
            picture.save(root / "masks" / video / f"{t:05d}.png")
    return root / "masks"


def davis(root: Path) -> Path:
    names = {video: {str(n): name for n, (name, *_) in objects.items()} for video, objects in OBJECTS.items()}
    (root / "davis_semantics.json").write_text(json.dumps(names))
    return indexed(root, {(video, n): n for video, objects in OBJECTS.items() for n in objects})


def mots_numbers() -> dict[tuple[str, int], int]:
    return {(v, n): 1000 * (1 + (name == "dog")) + n for v, o in OBJECTS.items() for n, (name, *_) in o.items()}


def mots_png(root: Path) -> Path:
    return indexed(root, mots_numbers(), large=True)


def mots_txt(root: Path) -> Path:
    folder = root / "txt"
    folder.mkdir()
    numbers = mots_numbers()
    for video in OBJECTS:
        lines = [
            f"{t} {numbers[v, n]} {numbers[v, n] // 1000} {HEIGHT} {WIDTH} {code(full)['counts']}"
            for v, n, t, _, full in everything()
            if v == video
        ]
        lines.append(f"0 10000 10 {HEIGHT} {WIDTH} {code(np.eye(HEIGHT, WIDTH, dtype=bool))['counts']}")
        (folder / f"{video}.txt").write_text("\n".join(lines) + "\n")
    return folder


def write(root: Path, content: object) -> Path:
    path = root / "annotated.json"
    path.write_text(json.dumps(content))
    return path


def one_task(shapes: str, meta: str = "<size>9</size>") -> str:
    track = f'<track id="0" label="car">{shapes}</track>' if shapes else ""
    return f"<annotations><meta><task><source>walk</source>{meta}</task></meta>{track}</annotations>"


def polygon(frame: int, *points: tuple[float, float], outside: int = 0) -> str:
    return f'<polygon frame="{frame}" outside="{outside}" points="{";".join(f"{x},{y}" for x, y in points)}"/>'


def tracks(out: Path) -> dict[tuple[str, str, int], np.ndarray]:
    """Of an imported set: (video, class, n-th of them) -> bool [T, H, W]."""
    videos = read_ytvis(out / "instances.json", out / "JPEGImages", cache=False)
    names = {category.id: category.name for category in videos.categories}
    found: dict[tuple[str, str, int], np.ndarray] = {}
    for track in videos.all_tracks:
        video = videos.by_id[track.video_id]
        masks = [
            np.zeros((video.height, video.width), bool) if code is None else coco.decode(code) > 0
            for code in track.segmentations
        ]
        key = (video.name, names[track.category_id])
        found[(*key, sum(other[:2] == key for other in found))] = np.stack(masks)
    return found


def same(found, wanted) -> bool:
    return found.keys() == wanted.keys() and all(np.array_equal(found[key], wanted[key]) for key in wanted)
