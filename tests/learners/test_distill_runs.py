"""The methods that look back, from step 0 to the table: whole runs, interrupted runs, and what lies in their files."""

import itertools
import json
import math

import pytest
import torch
from compared_runs import assert_same_run, metrics, weights
from interrupted import Killed, die_at
from tiny import settings

from cvis.engine import checkpoint
from cvis.engine.run import run

CASES = {
    "mib": ("mib", "learner.mask_kd_weight=1.0"),
    "comformer": ("comformer",),
    "comformer-soft": ("comformer", "learner.soft_masks=true", "learner.focal=true"),
    "combo": ("combo", "learner.rank=4"),
    "balconpas": ("balconpas", "learner.tracks_per_class=2"),
    "replay": ("replay", "learner.tracks_per_class=2"),
    "pseudo": ("pseudo",),
    "mib-all-learn": ("mib", "protocol.freeze=none"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Where all of them run, so that they share their step-0 model."""
    return tmp_path_factory.mktemp("distill")


def configured(stream, runs, case, name):
    # every query of a model this small proposes, so that pseudo-labels are at work
    learner, *overrides = CASES[case]
    if learner in ("comformer", "combo", "balconpas", "pseudo"):
        overrides.append("learner.min_overlap=0.0")
    return settings(stream, runs, learner, "schedule.clip_grad=1.0", *overrides, name=f"{case}-{name}")


@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_run_ends_at_the_numbers_of_a_whole_one(case, stream, runs, monkeypatch):
    """Died in the middle of step 1 and of step 2: teachers are made again, memories are remembered."""
    whole = run(configured(stream, runs, case, "whole"))
    plan = die_at(monkeypatch, [(1, 3), (2, 2)])
    for _ in range(2):
        with pytest.raises(Killed):
            run(configured(stream, runs, case, "broken"))
    assert plan == []
    broken = run(configured(stream, runs, case, "broken"))
    assert_same_run(whole, broken)

    content = metrics(whole)
    numbers = [v for step in (*content["steps"], content["final"]) for v in step.values() if isinstance(v, float)]
    assert len(numbers) > 20
    assert all(map(math.isfinite, numbers))
    check_files(case, whole)


def check_files(case, folder):
    """A checkpoint holds the segmenter and, of a memory, the ids of tracks: no teacher, no pixels."""
    for step in range(3):
        state = checkpoint.load(folder / f"step{step}" / "model.pth")["state"]
        rest = {name: value for name, value in state.items() if not name.startswith("segmenter.")}
        if case == "combo":  # what a step adds: its own adapters, and how important queries are by now
            own = {f"adapters.{step - 1}.{part}" for part in ("down", "up")} if step else set()
            assert rest.keys() == {"query_importance", *own}
        else:
            memory = case in ("balconpas", "replay")
            assert rest.keys() == ({f"memory.step{step}"} if memory else set())
            assert all(value.dtype == torch.int64 and value.shape == ((2, 1, 1)[step], 2) for value in rest.values())
        frozen = [name for name in state if name.startswith("segmenter.backbone.")]
        assert bool(frozen) == (step == 0 or case == "mib-all-learn")
    total = json.loads((folder / "metrics.json").read_text())["steps"][-1]["total_params"]
    buffers = ("memory.", "query_importance")
    learned = (v.numel() for n, v in weights(folder).items() if not n.startswith(buffers) and v.is_floating_point())
    assert total == sum(learned)  # the teacher is nobody's parameter


@pytest.mark.parametrize("case", CASES)
def test_all_but_one_share_the_step_0_of_fine_tuning(case, stream, runs):
    """Whoever comes first: their step 0 is the same to the last bit; soft masks need another one."""
    folder = run(configured(stream, runs, case, "whole"))
    plain = run(settings(stream, runs, "finetune", "schedule.clip_grad=1.0"))
    mine, theirs = (checkpoint.load(f / "step0" / "model.pth")["state"] for f in (folder, plain))
    same = all(torch.equal(mine[name], value) for name, value in theirs.items())
    assert same == (case != "comformer-soft")


def test_mib_trains_the_same_step_0_as_fine_tuning(stream, tmp_path):
    """Each alone, in a store of its own: imprinting waits until there is something to imprint."""
    states = []
    for name in ("finetune", "mib"):
        config = settings(
            stream, tmp_path / name, name, "schedule.incremental.iterations=1", "schedule.base.iterations=2"
        )
        states.append(checkpoint.load(run(config) / "step0" / "model.pth")["state"])
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_memories_hold_old_tracks_of_the_right_classes(stream, runs):
    folder = run(configured(stream, runs, "replay", "whole"))
    annotations = json.loads((stream.parent / "train.json").read_text())["annotations"]
    category = {a["id"]: a["category_id"] for a in annotations}
    for step, classes in enumerate(((1, 2), (3,), (4,))):
        ids = checkpoint.load(folder / f"step{step}" / "model.pth")["state"][f"memory.step{step}"]
        assert [[category[i] for i in row] for row in ids.tolist()] == [[c] * 2 for c in classes]
        assert len(set(itertools.chain(*ids.tolist()))) == ids.numel()


def test_combo_is_called_what_it_is(stream, runs):
    content = json.loads((run(configured(stream, runs, "combo", "whole")) / "metrics.json").read_text())
    assert "CoMBO (re-implementation from the paper)" in content["label"]
