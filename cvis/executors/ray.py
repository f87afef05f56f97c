"""Cells as tasks of a Ray cluster, or of one that is started on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from cvis.errors import UserError
from cvis.executors.cells import Cell
from cvis.executors.local import NEVER_BEGUN
from cvis.executors.process import last_lines, run_to_its_end
from cvis.executors.profile import Profile

if TYPE_CHECKING:
    from cvis.executors import Tell

PATIENCE = ("RAY_raylet_start_wait_time_s", "120")
"""For a node to start: Ray's own 30 s are short on a busy machine. Read when Ray is imported."""


def execute(cells: Sequence[Cell], profile: Profile, tell: Tell) -> Mapping[str, int]:
    """Run all cells and wait: each is a process started by a task, so that it sees just the GPUs of the task.

    A task whose node or worker is lost is started again, and its cell goes on from its last checkpoint. All nodes must
    see the folder of the runs under the same path.

    Raises:
        UserError: Ray is not installed, or its cluster cannot be reached.
    """
    os.environ.setdefault(*PATIENCE)
    try:
        import ray
    except ImportError as error:
        raise UserError("--executor ray: Ray is not installed; pip install cvis[ray]") from error
    with redirect_stdout(sys.stderr):  # Ray says there which nodes are lost, and stdout is the table's
        return _execute(ray, cells, profile, tell)


def _execute(ray: Any, cells: Sequence[Cell], profile: Profile, tell: Tell) -> Mapping[str, int]:
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, profile)
    remote = ray.remote(_task).options(
        num_cpus=profile.cpus or 1, num_gpus=profile.gpus, max_retries=profile.attempts - 1, memory=_bytes(profile)
    )
    by_name: dict[str, Any] = {}
    for cell in cells:  # those that others wait for come first
        by_name[cell.name] = remote.remote(cell, by_name.get(cell.after))
        tell(f"{cell.name}: queued, log {cell.log}")
    names, codes = {task: name for name, task in by_name.items()}, dict[str, int]()
    logs = {cell.name: cell.log for cell in cells}
    try:
        waiting = list(names)
        while waiting:
            (task,), waiting = ray.wait(waiting, num_returns=1)
            name = names[task]
            try:
                codes[name] = ray.get(task)
            except ray.exceptions.RayError as error:
                codes[name] = NEVER_BEGUN
                tell(f"{name}: failed: {type(error).__name__}: its node was lost {profile.attempts} times")
                continue
            said = {0: "done", NEVER_BEGUN: "not begun: what it needs failed"}.get(codes[name])
            tell(f"{name}: {said or 'failed: ' + ''.join(last_lines(logs[name]))}")
    finally:
        if ours:
            ray.shutdown()
    return codes


def _task(cell: Cell, needed: int | None) -> int:
    """On some node: the exit code of the cell, whose ``needed`` one ended so."""
    if needed:
        return NEVER_BEGUN
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    return 0 if cell.is_done else run_to_its_end(cell, {"OMP_NUM_THREADS": threads})


def _connect(ray: Any, profile: Profile) -> None:
    options = {"log_to_driver": False, "include_dashboard": False, "logging_level": "ERROR"}
    if profile.address is None:
        options |= {"num_cpus": profile.jobs * (profile.cpus or 1)}
    try:
        ray.init(address=profile.address, **options)
    except Exception as error:  # a plain one where a busy machine does not start a node within Ray's 30 s
        raise UserError(
            f"--executor ray: address: {profile.address}: {error!s:.200}; start it with `ray start`"
        ) from error


def _bytes(profile: Profile) -> int | None:
    return profile.memory_gb and profile.memory_gb << 30
