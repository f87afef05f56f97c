"""The steps of the optimisers and the learning rate of every iteration, beside formulas worked by hand."""

import math

import pytest
import torch
from tiny import settings

from cvis.engine.config import Phase, Schedule
from cvis.engine.optim import build_optimizer, build_schedulers
from cvis.errors import UserError

SCHEDULE = Schedule(optimizer="adamw", momentum=0.9, weight_decay=0.05, backbone_lr_mult=0.1)
PHASE = Phase(iterations=2, lr=0.1, policy="constant")


def rates(iterations: int, policy: str, milestones=(2 / 3,)) -> list[float]:
    """The learning rate of each iteration; the first is that of the first."""
    weight = torch.nn.Parameter(torch.ones(2))
    phase = Phase(lr=1e-3, iterations=iterations, policy=policy)
    optimizer = build_optimizer([dict(params=[weight])], phase, SCHEDULE)
    schedulers = build_schedulers(optimizer, phase, list(milestones))
    seen = []
    for _ in range(iterations):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen


def test_cosine_warms_up_over_a_tenth_and_falls_to_a_thousandth():
    seen = rates(200, "cosine")
    for i in (0, 1, 7, 19):
        assert seen[i] == pytest.approx(1e-3 * (0.01 + 0.99 * i / 19), rel=1e-12)
    for i in (20, 21, 110, 199):
        fall = (1 + math.cos(math.pi * (i - 20) / 180)) / 2
        assert seen[i] == pytest.approx(1e-6 + (1e-3 - 1e-6) * fall, rel=1e-12)


def test_multistep_divides_by_ten_at_each_milestone():
    seen = rates(30, "multistep", (1 / 3, 2 / 3))
    assert seen == pytest.approx([1e-3] * 10 + [1e-4] * 10 + [1e-5] * 10, rel=1e-12)


def test_exponential_falls_to_a_hundredth_from_the_milestone_on():
    wanted = [1e-3] * 15 + [1e-3 * 0.01 ** (i / 25) for i in range(25)]
    assert rates(40, "exponential", (0.375,)) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("iterations", "policy"), [(40, "constant"), (9, "cosine"), (9, "multistep")])
def test_the_rate_stays_where_the_policy_or_a_short_phase_says_so(iterations, policy):
    assert set(rates(iterations, policy)) == {1e-3}


def test_sgd_steps_as_worked_by_hand():
    """v <- 0.9 v + g + d w; w <- w - lr v, the rate of the backbone a tenth, no decay where none is wanted."""
    head, backbone = (torch.nn.Parameter(torch.tensor([2.0, -1.0], dtype=torch.float64)) for _ in range(2))
    groups = [dict(params=[head]), dict(params=[backbone], backbone=True, decay_mult=0.0)]
    optimizer = build_optimizer(groups, PHASE, SCHEDULE.model_copy(update={"optimizer": "sgd"}))
    for gradient in ([1.0, 3.0], [0.5, 0.0]):
        head.grad, backbone.grad = (torch.tensor(gradient, dtype=torch.float64) for _ in range(2))
        optimizer.step()
    # head: v1 = (1.1, 2.95), w1 = (1.89, -1.295); v2 = 0.9 v1 + (0.5, 0) + 0.05 w1 = (1.5845, 2.59025)
    assert head.tolist() == pytest.approx([1.89 - 0.15845, -1.295 - 0.259025], abs=1e-12)
    # backbone: v1 = (1, 3), w1 = (1.99, -1.03); v2 = (1.4, 2.7)
    assert backbone.tolist() == pytest.approx([1.99 - 0.014, -1.03 - 0.027], abs=1e-12)


def test_the_first_step_of_adamw_is_its_rate_along_the_sign_after_decay():
    weight = torch.nn.Parameter(torch.tensor([2.0, -1.0]))
    optimizer = build_optimizer([dict(params=[weight])], PHASE, SCHEDULE)
    weight.grad = torch.tensor([3.0, -0.01])
    optimizer.step()
    assert weight.tolist() == pytest.approx([2 * 0.995 - 0.1, -0.995 + 0.1], abs=1e-5)


def test_an_unknown_optimiser_is_refused_with_the_configuration(stream, tmp_path):
    with pytest.raises(UserError, match=r"schedule\.optimizer: 'adam': not possible; did you mean 'adamw'"):
        settings(stream, tmp_path, "finetune", "schedule.optimizer=adam")
