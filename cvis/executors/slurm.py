"""Cells as jobs of Slurm, through submitit: arrays, dependencies, and requeueing when time runs out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cvis.errors import UserError
from cvis.executors.cells import Cell
from cvis.executors.process import ended, start, stop, wait, wait_until_free
from cvis.executors.profile import Profile

if TYPE_CHECKING:
    from cvis.executors import Tell

PATIENCE_S = 30
"""How long a cell may take to save when its job is to be requeued; Slurm waits for the job about so long."""

LONGEST = 1000
"""Of an array; Slurm's MaxArraySize is 1001 unless a site says otherwise."""


class Job:
    """What a job runs. submitit pickles it; it holds a command line, never the state of a run, which is on disk."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        wait_until_free(self.cell)
        self.process = start(self.cell)
        wait(self.process)
        ended(self.cell, code := self.process.returncode)
        if code:
            raise RuntimeError(f"{self.cell.name}: exit code {code}; see {self.cell.log}")

    def checkpoint(self) -> Any:
        """Time is out, or the job is preempted: the cell saves, and the same job is queued again."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            stop(self.cell, self.process, PATIENCE_S)
        return DelayedSubmission(Job(self.cell))


def execute(cells: Sequence[Cell], profile: Profile, tell: Tell) -> Mapping[str, int]:
    """Submit all cells and return: those that wait for nothing as one array, then those of each cell waited for.

    Raises:
        UserError: submitit is not installed, or ``sbatch`` is not here or refuses.
    """
    try:
        import submitit
    except ImportError as error:
        raise UserError("--executor slurm: submitit is not installed; pip install cvis[slurm]") from error
    if not cells:
        return {}
    folder = cells[0].log.parent / "slurm"
    jobs: dict[str, str] = {}  # name of a cell -> id of its job
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.after, []).append(cell)
    arrays = [(after, group[i : i + LONGEST]) for after, group in groups.items() for i in range(0, len(group), LONGEST)]
    for after, group in arrays:  # cells that others wait for come before them
        depends = {"dependency": f"afterok:{jobs[after]}"} if after in jobs else {}
        try:
            executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=profile.attempts - 1)
            executor.update_parameters(**_parameters(profile, depends))
            with executor.batch():
                submitted = [executor.submit(Job(cell)) for cell in group]
        except (RuntimeError, FileNotFoundError, submitit.core.utils.FailedJobError) as error:
            raise UserError(f"--executor slurm: {' '.join(str(error).split()):.300}; is this a login node?") from error
        for cell, job in zip(group, submitted, strict=True):
            jobs[cell.name] = job.job_id
            tell(f"{cell.name}: job {job.job_id}" + (f", after job {jobs[after]}" if depends else ""))
    return {}


def _parameters(profile: Profile, depends: Mapping[str, str]) -> dict[str, Any]:
    """For submitit; what the profile leaves out is the cluster's to decide."""
    chosen = {
        "name": "cvis",
        "timeout_min": profile.minutes,
        "cpus_per_task": profile.cpus,
        "mem_gb": profile.memory_gb,
        "gpus_per_node": profile.gpus or None,
        "slurm_partition": profile.partition,
        "slurm_account": profile.account,
        "slurm_additional_parameters": {**profile.slurm, **depends},
    }
    return {key: value for key, value in chosen.items() if value is not None}
