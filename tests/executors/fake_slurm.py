"""Just enough of Slurm for submitit: ``sbatch`` queues, ``srun`` runs, ``scontrol`` requeues, and the queue waits."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SBATCH = """#!{python}
import shutil, sys
from pathlib import Path
spool = Path({spool!r})
number = 100 + len(list(spool.glob("*.sh")))
shutil.copy(sys.argv[1], spool / f"{{number}}.sh")
print(f"Submitted batch job {{number}}")
"""
SRUN = """#!{python}
import os, sys
command = sys.argv[sys.argv.index({python!r}):]
os.execv(command[0], command)
"""
SCONTROL = """#!{python}
import sys
from pathlib import Path
with (Path({spool!r}) / "requeued").open("a") as file:
    file.write(sys.argv[2] + "\\n")
"""
PATIENCE_S = 600


@dataclass
class Slurm:
    spool: Path
    states: dict[str, bool] = field(default_factory=dict)  # id of a task -> did it succeed

    def install(self, monkeypatch) -> None:
        bin = self.spool / "bin"
        bin.mkdir(parents=True)
        for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", SCONTROL)):
            (bin / name).write_text(text.format(python=sys.executable, spool=str(self.spool)))
            (bin / name).chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", f"{bin}:{os.environ['PATH']}")

    def options(self, number: int) -> dict[str, str]:
        text = (self.spool / f"{number}.sh").read_text()
        return dict(re.findall(r"#SBATCH --([\w-]+)=(\S+)", text))

    def tasks(self, number: int) -> list[str]:
        last = re.match(r"0-(\d+)", self.options(number).get("array", ""))
        return [f"{number}_{i}" for i in range(int(last[1]) + 1)] if last else [str(number)]

    def run(self, disturbed: Mapping[str, Callable[[int], None]] = {}) -> None:
        """Work off what is in the queue and has not run; a task starts again if it asks for it.

        Args:
            disturbed: id of a task -> what is done to its job, of this process id, in its first attempt.
        """
        for script in sorted(self.spool.glob("*.sh")):
            needed = self.options(int(script.stem)).get("dependency", "").removeprefix("afterok:")
            for task in self.tasks(int(script.stem)):
                if task not in self.states and (not needed or self.states.get(needed)):
                    self.states[task] = self._start(script, task, disturbed.get(task))
                    if task in self._requeued():
                        self.states[task] = self._start(script, task, None)

    def _start(self, script: Path, task: str, disturb: Callable[[int], None] | None) -> bool:
        number, _, index = task.partition("_")
        one = {"SLURM_JOB_NUM_NODES", "SLURM_NTASKS"}
        names = (*one, "SLURM_NODEID", "SLURM_PROCID", "SLURM_LOCALID")
        place = {name: "1" if name in one else "0" for name in names} | {"SLURM_JOB_ID": number}
        place |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": index} if index else {}
        process = subprocess.Popen(["bash", "-c", f"exec bash {script}"], env={**os.environ, **place})
        if disturb is not None:
            disturb(process.pid)
        return process.wait(PATIENCE_S) == 0

    def _requeued(self) -> list[str]:
        path = self.spool / "requeued"
        return path.read_text().split() if path.is_file() else []


def late(moment: Callable[[], object]) -> Callable[[int], None]:
    """Tells a job, once it is so far, that its time is out."""

    def disturb(pid: int) -> None:
        while not moment():
            time.sleep(0.02)
        for job in children(pid):
            os.kill(job, signal.SIGUSR2)

    return disturb


def children(pid: int) -> list[int]:
    """The processes that a process started: here, of a shell, the job."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]
