"""What stands in the docstrings of the notebook's functions is true of a finished run; mistakes are one line."""

import builtins
import doctest
import shutil
import sys
from types import ModuleType

import pytest
from tiny import SMALL

import cvis
from cvis import notebook
from cvis.engine.resolve import parse_value
from cvis.errors import UserError


class DataFrame:
    """As much of pandas' as the examples ask for: it is optional, and may not be here."""

    def __init__(self, records, columns):
        self.records, self.columns = records, columns

    def __getitem__(self, name):
        return [record[name] for record in self.records]


@pytest.fixture(scope="module")
def desk(stream, finished, tmp_path_factory):
    """The folder of somebody with a stream, a finished run on it, and footage of her own."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(stream.parent, folder, dirs_exist_ok=True)
    shutil.copytree(finished, folder / "runs" / finished.relative_to(finished.parents[3]))  # others may lie beside it
    shutil.copytree(next((folder / "test").iterdir()), folder / "film")
    (folder / stream.name).rename(folder / "my-stream.toml")
    return folder


def examples():
    """Every public name of the package, and every public method of the notebook's classes, with its examples."""
    values = {name: getattr(cvis, name) for name in cvis.__all__ if name != "__version__"}
    values |= {name: getattr(notebook, name) for name in notebook.__all__}
    for name, value in values.items():
        yield name, value
        if isinstance(value, type) and name in notebook.__all__:
            methods = [n for n, m in vars(value).items() if callable(m) or isinstance(m, property)]
            yield from ((f"{name}.{n}", vars(value)[n]) for n in methods if not n.startswith("_"))


def test_every_public_name_has_an_example_that_is_true(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    if "pandas" not in sys.modules:
        stand_in = ModuleType("pandas")
        stand_in.DataFrame = DataFrame
        monkeypatch.setitem(sys.modules, "pandas", stand_in)
    small = {key: parse_value(value) for key, _, value in (setting.partition("=") for setting in SMALL)}
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    for name, value in examples():
        (test,) = finder.find(value, name, globs={"small": small})
        assert test.examples, name
        assert runner.run(test).failed == 0, capsys.readouterr().out


def test_mistakes_are_one_line(desk, monkeypatch):
    monkeypatch.chdir(desk)
    runs = cvis.load_runs()
    for call, says in (
        (lambda: cvis.load_runs("run"), "run: does not exist; did you mean 'runs'?"),
        (lambda: runs.only(lerner="x"), "only: lerner: no such field; did you mean 'learner'?"),
        (lambda: runs.only(learner="crisp"), "no run is left; there are finetune"),
        (lambda: runs.table("mpa"), "did you mean 'mAP'?"),
        (lambda: runs.plot("curvs"), "did you mean 'curves'?"),
        (lambda: runs.plot("curves", "mAP_al"), "did you mean 'mAP_all'?"),
        (lambda: cvis.run("my-stream.toml", "finetune", set={"schedul.scale": 1}), "did you mean 'schedule'?"),
        (lambda: cvis.predict("runs", "film", min_score=7), "min_score: 7: is no score"),
    ):
        with pytest.raises(UserError) as error:
            call()
        assert says in str(error.value)
        assert "\n" not in str(error.value)


def test_without_pandas_one_line_says_what_to_install(desk, monkeypatch):
    real = builtins.__import__

    def refusing(name, *rest):
        if name == "pandas":
            raise ImportError("No module named 'pandas'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(UserError, match="pip install pandas"):
        cvis.load_runs(desk / "runs").to_pandas()


def test_a_prediction_is_a_film_and_counts_what_it_does_not_show(desk, monkeypatch):
    import av

    monkeypatch.chdir(desk)
    run = cvis.load_runs().folders[0]
    seen = cvis.predict(run, "film", min_score=0.0)
    none = cvis.predict(run, "film", min_score=1.0)
    assert (sum(seen.found.values()), seen.below) == (len(seen.tracks.scores), 0)
    assert none.below == len(none.tracks.scores) > 0
    with av.open(str(seen.save("seen.mp4"))) as film:
        assert sum(1 for _ in film.decode(video=0)) == len(list((desk / "film").iterdir()))
