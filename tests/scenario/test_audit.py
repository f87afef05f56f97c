from __future__ import annotations

import pytest
from stream_videos import video_set

from cvis.errors import UserError
from cvis.scenario.audit import AnnotationLeak, audit
from cvis.scenario.visibility import make_tasks
from cvis.types import NO_OBJECT


@pytest.fixture
def task():
    return make_tasks(video_set({1: [1, 2, 3]}, 3), [(3,), (1,), (2,)])[1]


def test_new_classes_and_no_object_pass(task):
    audit([[1, 1], [], [NO_OBJECT]], task, ["a[0]", "b[0]", "c[0]"])


@pytest.mark.parametrize("replays", [False, True])
@pytest.mark.parametrize(("category_id", "passes_if_replaying"), [(3, True), (2, False), (99, False)])
def test_any_other_class_is_refused_with_step_class_and_clip(task, category_id, passes_if_replaying, replays):
    batch, names = [[1], [1, category_id]], ["a[0,3]", "b[4,9]"]
    if replays and passes_if_replaying:
        audit(batch, task, names, replays=True)
        return
    with pytest.raises(AnnotationLeak) as caught:
        audit(batch, task, names, replays=replays)
    message = str(caught.value)
    assert isinstance(caught.value, UserError)
    assert "b[4,9]" in message
    assert "step 1" in message
    assert str(category_id) in message
    assert "\n" not in message
    if category_id != 99:
        assert f"class{category_id}" in message


def test_tensors_are_taken_as_they_come(task):
    torch = pytest.importorskip("torch")
    audit([torch.tensor([1, 1]), torch.tensor([], dtype=torch.int64)], task)
    with pytest.raises(AnnotationLeak, match="clip 1 of the batch"):
        audit([torch.tensor([1]), torch.tensor([1, 2])], task)
