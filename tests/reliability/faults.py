"""What goes wrong in a process of ``cvis run``: functions that another process can be told to call."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import resource
import signal
import time


def disk_full_from_step_1() -> None:
    """No file may grow beyond a few KB once step 0 is done: as with a quota, and needs no privilege."""
    from cvis.engine import run

    learn = run._learn

    def full(this, task, *rest):
        if task.index == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return learn(this, task, *rest)

    run._learn = full


def loader_worker_dies() -> None:
    """The process that loads data gets what a terminal or a cluster sends to all, and later is killed."""
    from cvis.engine import train

    check, calls = train.check_loss, itertools.count()

    def kill(*arguments):
        (worker,) = multiprocessing.active_children()
        if (call := next(calls)) == 0:
            os.kill(worker.pid, signal.SIGTERM)
            os.kill(worker.pid, signal.SIGINT)
            time.sleep(0.2)
            assert worker.is_alive()
        if call == 3:
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
        return check(*arguments)

    train.check_loss = kill


def clock_jumps() -> None:
    """The wall clock jumps by an hour, forth and back, at every look at it."""
    hours = itertools.cycle((0, 1, -1))
    now = time.time
    time.time = lambda: now() + 3600 * next(hours)


def memory_for_one_frame() -> None:
    """In evaluation the model may look at one frame at a time."""
    import torch

    from cvis.segmenters.mask2former.model import Mask2Former

    features = Mask2Former.features

    def small(self, frames, *rest):
        if not self.training and frames.shape[1] > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return features(self, frames, *rest)

    Mask2Former.features = small


def tells_algorithms() -> None:
    """Print in each step whether torch takes deterministic algorithms only."""
    import torch

    from cvis.engine import run

    learn = run._learn

    def telling(*arguments):
        print("deterministic algorithms:", torch.are_deterministic_algorithms_enabled(), flush=True)
        return learn(*arguments)

    run._learn = telling
