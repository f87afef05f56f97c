"""What a machine or a cluster offers to the cells of a table, as a small TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cvis.files import read_toml
from cvis.validation import validate

Count = Annotated[int, Field(ge=1)]


class Profile(BaseModel):
    """One section for all executors: each reads what it knows of.

    ::

        jobs = 4                 # local: processes side by side
        gpus = 1                 # of a cell
        cpus = 8
        memory_gb = 64           # slurm, ray
        minutes = 720            # slurm: of one attempt; a cell that runs out is requeued and goes on
        partition = "gpu"        # slurm
        account = "vision"
        attempts = 5             # slurm, ray: starts of a cell that was preempted, timed out or lost its node
        address = "auto"         # ray: a cluster; without it one on this machine
        [slurm]                  # anything else that sbatch takes
        constraint = "a100"
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    jobs: Count = 1
    gpus: Annotated[int, Field(ge=0)] = 0
    cpus: Count | None = None
    memory_gb: Count | None = None
    minutes: Count = 720
    partition: str | None = None
    account: str | None = None
    attempts: Count = 5
    address: str | None = None
    slurm: dict[str, Any] = {}


def read_profile(path: Path | None, **given: Any) -> Profile:
    """A profile from its file, with what the command line says over it; without a file the defaults.

    Raises:
        UserError: no such file, not TOML, or a field that does not fit.
    """
    content = read_toml(path) if path else {}
    over = {key: value for key, value in given.items() if value is not None}
    return validate(Profile, {**content, **over}, str(path or "--jobs"))
