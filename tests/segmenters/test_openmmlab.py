"""The stand-in for mmcv's compiled operators."""

import subprocess
import sys
import textwrap

import pytest


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_real_operators_win(tmp_path):
    """With a real ``_ext`` (here: a module that has every operator) nothing is replaced."""
    (tmp_path / "_ext.py").write_text("REAL = True\ndef __getattr__(name):\n    return lambda *a, **k: name\n")
    code = """
        import sys, warnings
        warnings.simplefilter("ignore")
        import mmcv
        mmcv.__path__.insert(0, sys.argv[1])
        from cvis.segmenters import openmmlab
        import mmcv._ext
        print(mmcv._ext.REAL, openmmlab.has_real_ops(), openmmlab.install_stand_in())
    """
    assert run(code, str(tmp_path)).split() == ["True", "True", "False"]


def test_import_is_silent_and_operators_name_themselves():
    openmmlab = pytest.importorskip("cvis.segmenters.openmmlab")
    if openmmlab.has_real_ops():
        pytest.skip("mmcv's compiled operators are installed here")
    code = """
        from cvis.segmenters import openmmlab
        import mmcv._ext
        try:
            mmcv._ext.nms(1)
        except openmmlab.MissingOperator as error:
            assert "nms" in str(error) and "pip install" in str(error)
        else:
            raise SystemExit("did not raise")
    """
    assert run(code) == ""


def test_only_one_module_imports_openmmlab():
    """mmdet and mmcv come through one door, so that the stand-in is always in place first."""
    from pathlib import Path

    import cvis

    root = Path(cvis.__file__).parent
    offenders = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if path.name != "openmmlab.py"
        and any(
            line.lstrip().startswith(("import mmdet", "from mmdet", "import mmcv", "from mmcv"))
            for line in path.read_text().splitlines()
        )
    ]
    assert offenders == []
