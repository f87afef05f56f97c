"""The house rules of docs/design.md that a machine can check: who imports whom, and how long a file is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "cvis"
LAYERS = (
    *("data", "scenario", "segmenters", "learners", "evaluation", "runs", "engine", "executors", "testing"),
    *("report", "notebook", "cli"),
)
FOUNDATION = {"types", "errors", "files", "atomic", "discovery", "validation", "plugins", "blame"}
MAX_LINES = 350
LIGHT = ("data", "evaluation", "runs", "report")
"""Layers that never name what takes seconds to import, but for the two files that feed the training."""
TRAINING_DATA = {"data/clips.py", "data/pseudo.py", "data/sampler.py"}


def imports(source: str, package: str) -> Iterator[str]:
    """Every module a source text imports, anywhere in it, as an absolute name; ``from a import b`` gives a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_imports(path: Path) -> list[str]:
    package = ".".join(["cvis", *path.relative_to(PACKAGE).parent.parts])
    return list(imports(path.read_text(encoding="utf-8"), package))


def room(name: str) -> str | None:
    """The layer, or foundation file, that a dotted name of ours lies in; None for foreign and bare ``cvis``."""
    parts = name.split(".")
    return parts[1] if parts[0] == "cvis" and len(parts) > 1 and parts[1] in FOUNDATION | {*LAYERS} else None


def wrong_directions() -> list[str]:
    """Every import of a layer further right, or of a layer by a foundation file, as ``file: name``."""
    wrong = []
    for path in modules():
        layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if layer in LAYERS:
            allowed = FOUNDATION | {*LAYERS[: LAYERS.index(layer) + 1]}
        elif layer in FOUNDATION:
            allowed = FOUNDATION
        else:  # the package itself names the public objects of all layers
            continue
        names = [name for name in module_imports(path) if room(name) not in allowed | {None}]
        wrong += [f"{path.relative_to(PACKAGE)}: {name}" for name in names]
    return wrong


def importers(packages: set[str]) -> dict[str, set[str]]:
    """Foreign packages -> the files that name them."""
    named = [(str(p.relative_to(PACKAGE)), name.split(".")[0]) for p in modules() for name in module_imports(p)]
    return {package: {file for file, name in named if name == package} for package in packages}


def long_files(limit: int = MAX_LINES) -> dict[str, int]:
    lines = {str(p.relative_to(PACKAGE)): len(p.read_text(encoding="utf-8").splitlines()) for p in modules()}
    return {file: n for file, n in lines.items() if n > limit}


def test_the_parser_sees_every_kind_of_import():
    late = "def f():\n    from cvis.engine import run\n    from ..data import clips\n    from . import x\n"
    source = f"import torch.nn\n{late}"
    assert list(imports(source, "cvis.report")) == ["torch.nn", "cvis.engine.run", "cvis.data.clips", "cvis.report.x"]


def test_every_folder_is_a_layer_and_every_file_beside_them_foundation():
    assert {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()} == set(LAYERS)
    assert {p.stem for p in PACKAGE.glob("*.py")} == FOUNDATION | {"__init__", "__main__"}


def test_a_layer_imports_only_from_its_left():
    assert wrong_directions() == []


def test_only_one_file_touches_mmdet_and_mmcv():
    users = importers({"mmdet", "mmcv"})
    assert users["mmdet"] | users["mmcv"] == {"segmenters/openmmlab.py"}


def test_light_layers_never_name_torch():
    users = set().union(*importers({"torch", "torchvision", "mmengine"}).values())
    assert {file for file in users if file.split("/")[0] in LIGHT} == TRAINING_DATA


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("cvis.evaluation", "torch mmengine mmcv mmdet typer numba"),
        ("cvis.data.check, cvis.runs, cvis.report", "torch"),
        ("cvis.notebook", "torch matplotlib pandas"),
    ],
)
def test_light_layers_load_nothing_heavy(modules, heavy):
    code = f"import sys, {modules}; sys.exit(' '.join(set('{heavy}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_a_file_holds_one_idea():
    assert long_files() == {}


def test_a_breach_would_be_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    for file in ("data/bad.py", "files.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("def late():\n    from cvis.engine import run\n    import torch.nn\n")
    assert wrong_directions() == ["data/bad.py: cvis.engine.run", "files.py: cvis.engine.run"]
    assert importers({"torch"}) == {"torch": {"data/bad.py", "files.py"}}
    assert set(long_files(limit=2)) == {"data/bad.py", "files.py"}
