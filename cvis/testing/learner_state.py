"""Checks of what a learner knows and where it keeps it: resume, seeds, labels, memory."""

from __future__ import annotations

import copy

from cvis.engine import checkpoint
from cvis.engine.evaluate import predict_steps
from cvis.engine.tasks import StateError, begin_task
from cvis.scenario import AnnotationLeak, audit
from cvis.testing.check import Failed, NotApplicable, listed
from cvis.testing.plain import differing, numbers
from cvis.testing.trial import CPU, Step, Trial, dying_after


def same_seed(trial: Trial) -> None:
    """Trained again from the same seed, it is the same model to the last bit, with the same answers.

    Else no number could be repeated. The engine seeds Python, NumPy and torch before each phase of a step.
    """
    expected = trial.whole[trial.incremental]
    if different := _again(trial, expected):
        remedy = "draw random numbers from torch, numpy or random without a generator or seed of your own"
        raise Failed(f"{different} of two runs with the same seed; {remedy}, and never iterate over a set")


def resume(trial: Trial) -> None:
    """Interrupted in the middle of each step and between steps, it ends where an undisturbed run ends.

    A resumed run goes through ``begin_task`` of all steps and loads ``state_dict``: state in a plain attribute is lost.
    """
    _require_same_seed(trial)
    for index in range(trial.own, len(trial.tasks)):
        task = trial.tasks[index]
        learner = trial.rebuilt(index)
        with dying_after(learner, 1):
            trial.train(learner, task)
        learner = trial.rebuilt(index)
        trial.train(learner, task, resumed=True)
        after, expected = trial.finish(learner, task), trial.whole[index]
        if lost := differing(expected.plain, after.plain):
            remedy = "keep what is learned in a buffer (register_buffer in begin_task), and drop it in end_task if not"
            what = f"self.{lost[0]} and {len(lost) - 1} more" if len(lost) > 1 else f"self.{lost[0]}"
            raise Failed(f"{what}: differs between an undisturbed and a resumed step {index}; {remedy}")
        if different := _difference(after, expected):
            remedy = "keep all that is learned in buffers and parameters, and make them in begin_task"
            raise Failed(f"{different} of a step {index} that was resumed and one that was not; {remedy}")


def state_dict(trial: Trial) -> None:
    """A new learner that goes through ``begin_task`` of all steps has a state of the same names and shapes.

    That is how a stored model is opened; what only ``loss`` or ``end_task`` makes could not be loaded.
    """
    if isinstance(trial.error, StateError):
        raise Failed(str(trial.error)) from trial.error
    stored = trial.whole[-1].state
    learner = trial.rebuilt(len(trial.tasks) - 1)
    new = learner.state_dict()
    if different := [n for n in {**stored, **new} if n not in stored or n not in new]:
        remedy = "make the same parameters and buffers in begin_task, whatever happened in between"
        raise Failed(f"{listed(different)}: not in both the trained and the rebuilt state; {remedy}")
    for name, value in stored.items():
        if getattr(value, "shape", None) != getattr(new[name], "shape", None):
            shapes = f"{list(value.shape)} when trained, {list(new[name].shape)} when rebuilt"
            raise Failed(f"{name!r}: has the shape {shapes}; let it depend on the tasks seen alone")
    learner.load_state_dict(stored, strict=True)
    if different := differing(checkpoint.snapshot(learner.state_dict()), stored):
        raise Failed(f"{listed(different)}: other values when loaded; let load_state_dict restore what state_dict says")


def other_labels(trial: Trial) -> None:
    """Annotations of other classes than a step's own change nothing of what it learns.

    They are wrong in a second copy of the stream; with ``replays = True`` old classes are right there too.
    """
    if isinstance(trial.error, AnnotationLeak):
        raise Failed(str(trial.error)) from trial.error
    _require_same_seed(trial)
    index = trial.incremental
    learner, task = trial.rebuilt(index), trial.tasks[index]
    shown = learner.train_data(task)
    ids = [sorted(shown.classes_of(video.id)) for video in shown.videos]
    try:
        audit(ids, task, [video.name for video in shown.videos], learner.replays)
    except AnnotationLeak as error:
        raise Failed(str(error)) from error
    tasks = trial.poisoned(index, old_too=not learner.replays)
    learner = trial.rebuilt(index, tasks)
    trial.train(learner, tasks[index])
    if different := _difference(trial.finish(learner, tasks[index]), trial.whole[index]):
        remedy = "train on task.train and train_data alone, and set replays = True if old annotations are shown again"
        raise Failed(f"{different} of step {index} once other steps' annotations are wrong; {remedy}")


def replays(trial: Trial) -> None:
    """``replays`` says whether training clips hold old classes again.

    Tables tell methods with a memory of data from those without.
    """
    if len(trial.tasks) == 1:
        raise NotApplicable("its stream has one step")
    learner = trial.rebuilt(trial.incremental)
    task = trial.tasks[trial.incremental]
    shown = {track.category_id for track in learner.train_data(task).all_tracks}
    if learner.replays and shown.isdisjoint(task.old_classes):
        raise Failed(
            "replays: is True, and train_data shows no old class; set replays = False, or return the memory too"
        )


def one_pass(trial: Trial) -> None:
    """With ``one_pass``, the last model and each step's ``heads`` say again what every step said, to the last bit.

    Else ``--evaluate one-pass`` would give other numbers than a test after each step.
    """
    if not trial.kind.one_pass:
        raise NotApplicable("one_pass is False")
    heads = []
    for step in trial.whole:
        learner = trial.rebuilt(step.task.index)
        checkpoint.load_state(learner, step.state, trial.folder / f"step{step.task.index}")
        heads.append(copy.deepcopy(learner.heads()))
    answers = predict_steps(learner, trial.scenario.test.videos, heads, "test", amp=False)
    for step, tracks in zip(trial.whole, zip(*answers, strict=True), strict=True):
        if list(tracks) != step.tracks:
            remedy = "let heads() return all that later steps change, or set one_pass = False"
            raise Failed(f"predict_steps: step {step.task.index}: other answers than after the step; {remedy}")


def memory(trial: Trial) -> None:
    """What it keeps outside of ``state_dict`` grows from step to step by no more numbers than what is stored.

    A hidden copy of models or data would be neither counted in ``stored_params`` nor there after a resume.
    """
    first, last = trial.whole[0], trial.whole[-1]
    if first is last:
        raise NotApplicable("its stream has one step")
    kept = numbers(last.plain) - numbers(first.plain)
    stored = numbers(last.state) - numbers(first.state)
    if kept > stored:
        grown = max(last.plain, key=lambda name: numbers(last.plain[name]) - numbers(first.plain.get(name)))
        remedy = "drop it in end_task, or store it in buffers and be counted for it"
        raise Failed(f"self.{grown}: has grown by {kept} numbers, where state_dict has grown by {stored}; {remedy}")


def _again(trial: Trial, expected: Step) -> str:
    """How a second undisturbed run differs after a step."""
    if "again" not in trial.kept:
        learner = trial.build()
        for task in trial.tasks[: expected.task.index + 1]:
            begin_task(learner, task, trial.config, CPU)
            trial.train(learner, task)
            step = trial.finish(learner, task)
        trial.kept["again"] = _difference(step, expected)
    return trial.kept["again"]


def _require_same_seed(trial: Trial) -> None:
    if _again(trial, trial.whole[trial.incremental]):
        raise NotApplicable("its numbers differ from run to run anyway")


def _difference(one: Step, other: Step) -> str:
    """What differs in words; empty: nothing."""
    if names := differing(one.state, other.state):
        return f"state_dict: {listed(names)} differ at the end"
    return "predict: the answers differ at the end" if one.tracks != other.tracks else ""
