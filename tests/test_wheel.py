"""The wheel holds every data file that an installed cvis looks for."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

from hatchling.builders.wheel import WheelBuilder

from cvis.files import shipped

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("scenarios", "configs", "templates", "benchmarks/published")


def test_the_wheel_holds_what_is_shipped(tmp_path):
    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    held = set(ZipFile(wheel).namelist())
    files = [path for folder in SHIPPED for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert all(shipped(folder) == ROOT / folder for folder in SHIPPED)
    names = {f"cvis/_files/{file.relative_to(ROOT)}" for file in files if "__pycache__" not in file.parts}
    assert names <= held
    assert "cvis/_files/templates/learner/pyproject.toml" in held
    assert not any(name.startswith(("tests/", "examples/")) for name in held)
