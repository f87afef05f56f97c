"""Every learner's own reading of a video can be followed from window to window."""

from dataclasses import replace

import pytest
import torch
from tiny import SMALL_MODEL, noise_video

from cvis.data.videoset import VideoSet
from cvis.learners import build_learner
from cvis.scenario import Task
from cvis.segmenters import build_segmenter
from cvis.types import Category

CLASSES = tuple(Category(i, name) for i, name in enumerate(("cat", "dog", "owl"), start=1))


def learner(name, **settings):
    """After step 1: one class more, and for prompt learners a second group of two queries."""
    torch.manual_seed(0)
    made = build_learner({"type": name, **settings}, build_segmenter(SMALL_MODEL)).eval()
    nothing = VideoSet(CLASSES, (), {}, "")
    for task in (Task(0, (1, 2), (), nothing, 0), Task(1, (3,), (1, 2), nothing, 0)):
        made.begin_task(task)
    return made


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return noise_video(tmp_path_factory.mktemp("frames"), 4, 40)


def predict(made, video, **test):
    made.segmenter.inference = replace(made.segmenter.inference, **test)
    return made.predict(video)


def test_every_reading_can_be_followed(video):
    prompts = dict(num_prompts=2)
    for name, settings in (
        ("finetune", {}),
        ("combo", {}),
        ("eclipse", prompts),
        ("eclipse", {**prompts, "answers": "group"}),
        ("anchor", prompts),
    ):
        made = learner(name, **settings)
        whole = predict(made, video)
        assert predict(made, video, window=4, tracking="queries") == whole
        followed = predict(made, video, window=1, tracking="queries")
        assert followed != whole
        assert {len(codes) for codes in followed.segmentations} == {4}
        lists = 2 if settings.get("answers") == "group" else 1
        assert 10 <= len(followed) <= 10 * lists


def test_a_groups_tracks_are_of_its_own_queries(video):
    """What a later group does changes nothing in the list of an earlier one."""
    made = learner("eclipse", num_prompts=2, answers="group", deltas=[0.0], train_no_object=False)
    memory = made.segmenter.video_features(video)
    assert [answer.groups for answer in made._read(memory, [made.heads()])] == [(6,), (0, 2)]
    other = learner("eclipse", num_prompts=2)
    together = other._read(memory, [other.heads()])
    assert [answer.groups for answer in together] == [(6, 2)]
    before = predict(made, video, window=1, tracking="queries")
    with torch.no_grad():
        made.segmenter.group(1).queries.add_(1.0)
    after = predict(made, video, window=1, tracking="queries")
    assert after != before
    assert after.segmentations[:10] == before.segmentations[:10]
    assert after.scores[:10] == before.scores[:10]
