"""Images as a second source of training clips: what a step may see of them, and what depends on them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CLASSES, COLOURS, HEIGHT, WIDTH, make_data, settings

from cvis.data.images import in_classes_of, read_coco
from cvis.engine.config import Config
from cvis.engine.images import add_images
from cvis.engine.run import run
from cvis.engine.store import StepZero, recipe
from cvis.engine.train import train_step, training_clips
from cvis.errors import UserError
from cvis.learners.finetune import FineTune
from cvis.runs.verify import verify
from cvis.scenario import load_scenario
from cvis.scenario.audit import AnnotationLeak
from cvis.scenario.images import with_images
from cvis.segmenters import build_segmenter
from cvis.types import NO_OBJECT

CPU = torch.device("cpu")
REALIMGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "realimgs" / "instances.json"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tiny stream, and images of its classes (but one, which has another name) that show two classes each."""
    root = tmp_path_factory.mktemp("images")
    make_data(root)
    names = [*CLASSES[:3], "banana"]
    listed: dict[str, list] = {"images": [], "annotations": []}
    for n in range(6):
        picture = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
        for k, own in enumerate((n % 4, (n + 1) % 4)):
            left = 6 + 20 * k
            picture[8:24, left : left + 16] = COLOURS.get(names[own], (90, 60, 30))
            box = [left, 8, left + 16, 8, left + 16, 24, left, 24]
            listed["annotations"].append(
                dict(id=2 * n + k + 1, image_id=n + 1, category_id=10 + own, segmentation=[box], area=256, iscrowd=0)
            )
        Image.fromarray(picture).save(root / f"{n}.png")
        listed["images"].append(dict(id=n + 1, file_name=f"{n}.png", height=HEIGHT, width=WIDTH))
    categories = [dict(id=10 + i, name=name.upper()) for i, name in enumerate(names)]
    (root / "coco.json").write_text(json.dumps({**listed, "categories": categories}))
    return root


def configured(root, runs, *overrides) -> Config:
    given = (f"sampling.images.annotations={root / 'coco.json'}", f"sampling.images.frames={root}")
    return settings(root / "tiny.toml", runs, "finetune", *given, *overrides)


def batches(stream, config, index):
    learner = FineTune(build_segmenter(config.segmenter))
    return training_clips(learner, stream[index], config, CPU, iterations=20)


@pytest.mark.parametrize(("visibility", "policy"), [("overlap", "drop"), ("disjoint", "empty_target")])
def test_a_step_sees_its_own_classes_alone(root, tmp_path, visibility, policy):
    config = configured(root, tmp_path, "sampling.images.ratio=4")
    scenario = load_scenario(root / "tiny.toml", visibility=visibility, other_class_policy=policy)
    stream, _ = add_images(scenario, config.sampling.images)
    for task in stream:
        seen = {
            c for clip in batches(stream, config, task.index) for t in clip.targets for c in t.category_ids.tolist()
        }
        assert seen - {NO_OBJECT} <= set(task.new_classes)
        assert (NO_OBJECT in seen) <= (policy == "empty_target")
    count = [task.images and len(task.images) for task in stream]
    assert count == ([5, 3, None] if visibility == "overlap" else [3, 3, None])  # nobody calls grey "banana"


def test_the_guard_covers_images(root, tmp_path):
    """Whoever puts an image's other annotations back is stopped before the loss."""
    config = configured(root, tmp_path, "sampling.images.ratio=1000")
    scenario = load_scenario(root / "tiny.toml")
    images, _ = in_classes_of(read_coco(root / "coco.json", root), scenario.train.categories)
    task = with_images(scenario, images)[0]
    leaky = replace(task, images=images)
    learner = FineTune(build_segmenter(config.segmenter))
    learner.begin_task(leaky)
    with pytest.raises(AnnotationLeak, match=r"png\[image\].*category_id: 3 \(blue\): an annotation of a class"):
        train_step(
            learner, leaky, config.schedule.phase(True, False, 3), config, CPU, False, tmp_path / "last.pth", None
        )


def test_a_run_with_images_says_so_and_shares_no_step_0_with_others(root, tmp_path):
    config = configured(root, tmp_path, "schedule.base.iterations=2", "schedule.incremental.iterations=1")
    folder = run(config)
    record = json.loads((folder / "run.json").read_text())
    protocol = json.loads((folder / "metrics.json").read_text())["protocol"]
    assert protocol["images_sha256"] == record["images_sha256"]
    assert protocol["sampling"]["images"]["ratio"] == 1.0
    assert str(root) not in json.dumps(protocol)  # the same images may lie elsewhere
    assert not verify(folder).differences

    scenario = load_scenario(root / "tiny.toml")
    plain = settings(root / "tiny.toml", tmp_path, "finetune", *("schedule.base.iterations=2",))
    stream, sha256 = add_images(scenario, config.sampling.images)
    assert sha256 == record["images_sha256"]
    fewer = with_images(scenario, stream[0].images.select([1, 2]))

    def key(of, task):
        return StepZero(tmp_path, recipe(of, task, CPU, False)).key

    others = (
        configured(root, tmp_path, "schedule.base.iterations=2", f"sampling.images.{k}") for k in ("ratio=2", "zoom=1")
    )
    keys = [key(config, stream[0]), key(config, fewer[0]), key(plain, scenario[0])]
    keys += [key(other, stream[0]) for other in others]
    assert len(set(keys)) == 5
    assert keys[0] == record["step0"]["key"]
    assert "images" not in recipe(plain, scenario[0], CPU, False)["sampling"]  # models made before there were images
    tracked = settings(
        root / "tiny.toml", tmp_path, "finetune", "schedule.base.iterations=2", "segmenter.test.tracking=queries"
    )
    assert key(tracked, scenario[0]) == keys[2]

    content = json.loads((root / "coco.json").read_text())
    content["annotations"].pop(0)
    (root / "coco.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"images_sha256: this run was begun with"):
        run(config)


def test_classes_without_a_name_of_the_streams_are_refused(root, tmp_path):
    content = json.loads((root / "coco.json").read_text())
    for category in content["categories"]:
        category["name"] = f"my {category['name']}"
    (tmp_path / "other.json").write_text(json.dumps(content))
    config = configured(root, tmp_path, f"sampling.images.annotations={tmp_path / 'other.json'}")
    with pytest.raises(UserError, match=r"sampling.images.annotations: .*no annotated class has the name.*my BLUE"):
        add_images(load_scenario(root / "tiny.toml"), config.sampling.images)


@pytest.mark.skipif(not REALIMGS.is_file(), reason="the 200 COCO images are not on this machine")
def test_real_images():
    from cvis.data.clips import ClipSampling
    from cvis.data.datasets.ytvis2021 import DATASET
    from cvis.data.pseudo import Motion, PseudoClips
    from cvis.types import Category

    categories = [Category(i, name) for i, name in enumerate(DATASET.categories, start=1)]
    images, unmatched = in_classes_of(read_coco(REALIMGS), categories)
    assert "dining table" in unmatched
    assert {c.name for c in categories if c.id in {t.category_id for t in images.all_tracks}} >= {
        "person",
        "tennis_racket",
    }
    clips = PseudoClips(images, ClipSampling(num_frames=3, short_sides=(96,)), Motion())
    shown = [clips[index, 0] for index in range(0, len(clips), 20)]
    assert all(sample.masks.flatten(1).any(1).all() for sample in shown)


def test_wrong_keys(root, tmp_path):
    """The keys are checked like all others."""
    with pytest.raises(UserError, match=r"sampling.images.rotations: 3: no such key; did you mean 'rotation'"):
        configured(root, tmp_path, "sampling.images.rotations=3")
    with pytest.raises(UserError, match=r"sampling.images.ratio: 0: not possible"):
        configured(root, tmp_path, "sampling.images.ratio=0")
