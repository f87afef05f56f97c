"""A process that dies inside a step, without a process: the same training loop, left at chosen moments."""

from cvis.engine.hooks import CheckpointInStep


class Killed(BaseException):
    """Stands for a process that dies: nothing in the engine may catch it."""


def die_at(monkeypatch, moments) -> list[tuple[int, int]]:
    """From now on training dies after these (step, iteration), one after the other; returns those still to come."""
    plan = list(moments)
    original = CheckpointInStep.after_train_iter

    def dying(self, runner, *arguments, **named):
        original(self, runner, *arguments, **named)
        if plan and plan[0] == (int(self.file.parent.name.removeprefix("step")), runner.iter + 1):
            plan.pop(0)
            raise Killed

    monkeypatch.setattr(CheckpointInStep, "after_train_iter", dying)
    return plan
