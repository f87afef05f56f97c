"""The house rules of docs/design.md that a machine can check: who imports whom, and how long a file is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "cvis"
LAYERS = ("data", "scenario", "segmenters", "learners", "evaluation", "runs", "engine", "report", "cli")
FOUNDATION = {"types", "errors", "files", "atomic", "discovery", "validation"}
MAX_LINES = 350
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(source: str, package: str) -> Iterator[str]:
    """Every module a source text imports, anywhere in it, as an absolute name; ``from a import b`` gives a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def module_imports(path: Path) -> list[str]:
    package = ".".join(["cvis", *path.relative_to(PACKAGE).parent.parts])
    return list(imports(path.read_text(encoding="utf-8"), package))


def room(name: str) -> str | None:
    """The layer, or foundation file, that a dotted name of ours lies in; None for foreign and bare ``cvis``."""
    parts = name.split(".")
    return parts[1] if parts[0] == "cvis" and len(parts) > 1 and parts[1] in FOUNDATION | {*LAYERS} else None


def wrong_directions(path: Path) -> list[str]:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own not in FOUNDATION | {*LAYERS}:
        return []
    allowed = FOUNDATION if own in FOUNDATION else FOUNDATION | {*LAYERS[: LAYERS.index(own) + 1]}
    return [name for name in module_imports(path) if (target := room(name)) and target not in allowed]


def test_the_parser_sees_every_kind_of_import():
    late = "def f():\n    from cvis.engine import run\n    from ..data import clips\n    from . import x\n"
    source = f"import torch.nn\n{late}"
    assert list(imports(source, "cvis.report")) == ["torch.nn", "cvis.engine.run", "cvis.data.clips", "cvis.report.x"]


def test_every_folder_is_a_layer():
    folders = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert folders == set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_layer_imports_only_from_its_left(path):
    assert wrong_directions(path) == []


def test_a_wrong_direction_would_be_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    bad = tmp_path / "data" / "bad.py"
    bad.parent.mkdir()
    bad.write_text("def late():\n    from cvis.engine import run\n")
    assert wrong_directions(bad) == ["cvis.engine.run"]


def test_only_one_file_touches_mmdet_and_mmcv():
    users = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if any(name.split(".")[0] in ("mmdet", "mmcv") for name in module_imports(path))
    }
    assert users <= {"segmenters/openmmlab.py"}


@pytest.mark.parametrize("layer", ["evaluation", "runs", "report"])
def test_evaluation_runs_and_report_never_name_torch(layer):
    for path in (PACKAGE / layer).rglob("*.py"):
        heavy = [name for name in module_imports(path) if name.split(".")[0] in ("torch", "torchvision", "mmengine")]
        assert heavy == [], path


def test_evaluation_and_report_load_no_torch():
    code = "import sys, cvis.evaluation, cvis.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_holds_one_idea(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
