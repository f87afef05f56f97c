"""ANCHOR: hypotheses of all groups, the confidence of masks, duplicates; a stream from end to end."""

import json

import torch
from tiny import settings

from cvis.engine.run import run
from cvis.learners.anchor import hypotheses, mask_confidence, without_duplicates


def test_foreign_classes_get_a_share_of_the_best_own_score():
    own = torch.tensor([[0.8, 0.1, -torch.inf], [-torch.inf, -torch.inf, 0.3]])
    assert torch.allclose(hypotheses(own, 0.5, 1.0), torch.tensor([[0.8, 0.1, 0.4], [0.15, 0.15, 0.3]]))
    squared = torch.tensor([[0.64, 0.01, -torch.inf], [-torch.inf, -torch.inf, 0.09]])
    assert torch.allclose(hypotheses(own, 0.0, 2.0), squared)


def test_confidence_is_a_mean_inside_the_mask():
    masks = torch.tensor([[[[2.0, -1.0], [0.5, -3.0]]], [[[-1.0, -1.0], [-1.0, -1.0]]]])
    inside = (1 / (1 + torch.tensor([-2.0, -0.5]).exp())).mean()
    assert torch.allclose(mask_confidence(masks), torch.stack([inside, torch.tensor(0.0)]))


def test_of_one_object_each_class_keeps_the_better_track():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(12, 2, 6, 8, generator=generator) > torch.rand(12, 1, 1, 1, generator=generator) * 0.8
    masks[5] = masks[2]
    masks[7] = False
    scores = (torch.rand(12, 3, generator=generator) * 8).round() / 8  # with ties
    found = without_duplicates(scores, masks, 0.6)
    dropped = 0
    for a in range(12):
        for c in range(3):
            worse = False
            for b in range(12):
                union = int((masks[a] | masks[b]).sum())
                same = a != b and union > 0 and int((masks[a] & masks[b]).sum()) / union > 0.6
                worse |= same and (scores[b, c] > scores[a, c] or (scores[b, c] == scores[a, c] and b < a))
            dropped += worse
            assert found[a, c] == (-torch.inf if worse else scores[a, c])
    assert 0 < dropped < 36
    assert torch.equal(without_duplicates(scores, masks, 1.0), scores)


def test_a_stream_from_end_to_end(stream, tmp_path):
    """Old groups stay as they are, every class can be answered by any group, and no text encoder is asked for."""
    folder = run(settings(stream, tmp_path, "anchor", "learner.num_prompts=3"))
    content = json.loads((folder / "metrics.json").read_text())
    assert content["label"] == "ANCHOR"
    assert content["text_encoder"] is None
    states = [torch.load(folder / f"step{t}" / "model.pth", weights_only=True)["state"] for t in range(3)]
    assert not [name for name in states[2] if ".groups.1." in name]  # only what changed is stored
    assert states[2]["segmenter.groups.2.mask_head.4.weight"].shape == (128, 64)  # half of it for the finest map
    assert states[2]["analytic.moments.samples"].shape == (4,)
    assert states[2]["analytic.moments.samples"].min() > 0
    assert all(0 <= step["mAP_all"] <= 100 for step in content["steps"])


def test_the_upper_bound_is_joint_training_with_a_head(stream, tmp_path):
    bound, joint = (
        run(settings(stream, tmp_path, name, *few))
        for name, few in (("anchor_joint", ("learner.num_prompts=3",)), ("joint", ()))
    )
    content = json.loads((bound / "metrics.json").read_text())
    assert content["upper_bound"]
    with_head, plain = (torch.load(f / "step0" / "model.pth", weights_only=True)["state"] for f in (bound, joint))
    assert {name for name in with_head if not name.startswith(("analytic.", "outlines."))} == set(plain)
    assert all(torch.equal(with_head[name], value) for name, value in plain.items())
    assert with_head["analytic.moments.samples"].min() > 0
