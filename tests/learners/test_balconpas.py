"""Which queries BalConpas keeps, and where it looks at them, against a plain statement."""

import pytest
import torch
from two_models import disturb, look, make_clip, make_learner


@pytest.mark.parametrize(("features", "field"), [({}, "state"), (dict(features="after_norm"), "queries")])
def test_matched_queries_stay_where_the_old_model_had_them(features, field, monkeypatch):
    """5 * sum over layers of the mean over matched queries of mean_d (x_d - x'_d)^2; by default before the norm."""
    learner = make_learner("balconpas", min_overlap=0.0, **features).double()
    disturb(learner, 5)
    matched = []
    original = learner.segmenter.matched_to
    monkeypatch.setattr(learner.segmenter, "matched_to", lambda *given: matched.append(original(*given)) or matched[-1])
    clip = make_clip()
    with torch.no_grad():
        learner.teacher.segmenter.class_heads.no_object.bias -= 3  # so small a model sees hardly anything else
        new, old = look(learner, clip)
        found = learner.losses(clip, new, old)["loss_feature"].item()
    kept = [tuple(place) for place in matched[0].nonzero().tolist()]
    assert 0 < len(kept) < 12
    total = 0.0
    for ours, theirs in zip(new, old.layers, strict=True):
        for place in kept:
            a, b = getattr(ours, field)[place].tolist(), getattr(theirs, field)[place].tolist()
            total += sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a) / len(kept)
    assert found == pytest.approx(5 * total, rel=1e-11)
    assert total > 1e-4


@pytest.mark.parametrize("balance", [True, False])
def test_the_setting_of_replayed_clips_reaches_the_loss(balance, monkeypatch):
    """A clip that shows an old class is a replayed one; the other makes up for its no-object, or does not."""
    learner = make_learner("balconpas", tracks_per_class=2, replay_balance=balance)
    seen = []
    monkeypatch.setattr(learner.segmenter, "criterion", lambda new, targets, classify: seen.append(classify) or {})
    clip = make_clip((7,))
    with torch.no_grad():
        learner.losses(clip, *look(learner, clip))
    assert seen[0].keywords["balance"] is balance
    assert seen[0].keywords["replayed"].tolist() == [True, False]
