"""Many runs at once. A cell is one of them: a process whose whole state is its command line and its run's folder.

An executor is a module here with ``execute(cells, profile, tell)``: it starts each cell once the cell that it waits for
is done, and returns the exit codes of those that it waited for itself. There is no scheduler of our own: beside
processes of this machine, Slurm and Ray are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cvis.errors import UserError
from cvis.executors.cells import Cell
from cvis.executors.profile import Profile
from cvis.runs.mounts import locks_note

Tell = Callable[[str], None]
"""Told, in a line, what happens to a cell."""


def execute(name: str, cells: Sequence[Cell], profile: Profile, tell: Tell) -> Mapping[str, int]:
    """Run the cells that are not done.

    Args:
        name: of an executor.

    Returns:
        name of a cell -> its exit code, of the cells that were waited for: 0 is done.

    Raises:
        UserError: no such executor, or it cannot be had here.
    """
    from cvis.discovery import declared  # all executors; a cell's process, which imports this package, needs none
    from cvis.validation import did_you_mean

    executors = declared(__name__, "execute")
    if name not in executors:
        raise UserError(f"--executor {name}: no such executor; {did_you_mean(name, executors)}")
    left = [cell for cell in cells if not cell.is_done]
    if left and name != "local" and (note := locks_note(left[0].log.parent)):  # cells may meet from other machines
        tell(note)
    codes: Mapping[str, int] = executors[name](left, profile, tell)
    return codes
