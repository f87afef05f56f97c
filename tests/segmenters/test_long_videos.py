"""Videos that are too long to be kept in memory are read window by window, to the same answers."""

import pytest
import torch
from tiny import SMALL_MODEL, noise_video

from cvis.data.videoset import VideoSet
from cvis.learners import build_learner
from cvis.scenario import Task
from cvis.segmenters import build_segmenter
from cvis.segmenters.mask2former import decoder, long
from cvis.types import Category

CLASSES = tuple(Category(i, name) for i, name in enumerate(("cat", "dog", "owl"), start=1))
MODEL = {**SMALL_MODEL, "test": dict(short_side=32, window=3)}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return noise_video(tmp_path_factory.mktemp("frames"), 7, 30)


def learner(name, **settings):
    """After step 1, in double precision: rounding must not decide anything."""
    torch.manual_seed(0)
    made = build_learner({"type": name, **settings}, build_segmenter(MODEL))
    for task in (Task(0, (1, 2), (), VideoSet(CLASSES, (), {}, ""), 0), Task(1, (3,), (1, 2), None, 0)):
        made.begin_task(task)
    if made.segmenter.fine_masks:  # which read nothing of it at first
        torch.nn.init.normal_(made.segmenter.groups[-1].mask_head[-1].weight, std=0.1)
    return made.eval().double()


def test_what_is_long_and_what_passes_together_depends_on_the_pixels_on_a_cpu_alone():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [long.is_long(frames, 64 * 96, cpu) for frames in (36, 64, 65)] == [False, False, True]
    assert [long.is_long(frames, 360 * 640, cpu) for frames in (9, 10)] == [False, True]
    assert [long.is_long(frames, 360 * 640, gpu) for frames in (64, 65)] == [False, True]
    assert [long.at_once(pixels, cpu) for pixels in (64 * 96, 360 * 640, 2**30)] == [170, 4, 1]
    assert long.at_once(360 * 640, gpu) == 64


def test_fewer_frames_at_once_are_the_same_video(video, monkeypatch):
    made = learner("finetune")
    whole, seen = made.predict(video), []
    extract = made.segmenter.extract
    monkeypatch.setattr(
        made.segmenter, "extract", lambda frames, *sizes: (seen.append(frames.shape[1]), extract(frames, *sizes))[1]
    )
    monkeypatch.setattr(long, "AT_ONCE", 2 * 32 * 48)
    found = made.predict(video)
    assert seen == [2, 2, 2, 1]
    assert (found.category_ids, found.segmentations) == (whole.category_ids, whole.segmentations)
    assert found.scores == pytest.approx(whole.scores, abs=1e-6)


def test_windows_of_a_long_video_are_one_video(video, tmp_path, monkeypatch):
    """Also for queries whose mask is empty in some windows, and in all of them: those may look everywhere."""
    empty, threshold = set(), []

    def rarely(embeddings, features, soft_masks=False):
        logits = decoder.mask_logits(embeddings, features).flatten(2)
        threshold.append(logits.amax(-1).median())  # half of the queries see nothing of the first video
        found = logits >= threshold[0]
        empty.update(found.any(-1).flatten().tolist())
        return found

    monkeypatch.setattr(decoder, "inside_pixels", rarely)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, settings in (
        ("finetune", {}),
        ("combo", {}),
        ("eclipse", dict(num_prompts=2)),
        ("anchor", dict(num_prompts=2)),
    ):
        made = learner(name, **settings)
        whole = made.predict(video)
        with monkeypatch.context() as patch:
            patch.setattr(long, "LARGEST", 6 * 32 * 48)
            if name != "anchor":  # it asks for all masks at once
                patch.setattr(long.LongMemory, "mask_features", None)
            found = made.predict(video)
        assert found.category_ids == whole.category_ids
        assert found.scores == pytest.approx(whole.scores, abs=1e-6)  # position codes are of single precision
        assert found.segmentations == whole.segmentations
        assert len(set(found.scores)) > 3
    assert empty == {False, True}
    assert not list(tmp_path.glob("cvis-*"))
