"""A process that dies inside a step, without a process: the same training loop, left at chosen moments."""

from cvis.engine import train


class Killed(BaseException):
    """Stands for a process that dies: nothing in the engine may catch it."""


def die_at(monkeypatch, moments) -> list[tuple[int, int]]:
    """From now on training dies after these (step, iteration), one after the other; returns those still to come.

    It dies when it asks for the batch after: by then all that belongs to an iteration is done and on disk.
    """
    plan = list(moments)
    original = train.training_clips

    def dying(learner, task, config, device, iterations, start):
        clips = original(learner, task, config, device, iterations, start)

        def until_the_moment():
            for done, clip in enumerate(clips, start + 1):
                yield clip
                if plan and plan[0] == (task.index, done):
                    plan.pop(0)
                    raise Killed

        return until_the_moment()

    monkeypatch.setattr(train, "training_clips", dying)
    return plan
