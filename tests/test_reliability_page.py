"""docs/reliability.md names tests that there are, and every fault that one of them is about."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("reliability_script", ROOT / "scripts" / "reliability.py")
reliability = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = reliability  # dataclasses look for their module there
spec.loader.exec_module(reliability)
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_the_table_is_up_to_date():
    """The counts are those of the last run."""
    assert reliability.updated(PAGE, "faults", reliability.faults()) == PAGE, "scripts/reliability.py --rows --update"


def test_every_test_that_is_named_exists_and_says_what_it_proves():
    found = list(reliability.proofs())
    assert {proof.test for proof in found} >= set(reliability.ELSEWHERE)
    for proof in found:
        assert proof.fault, proof.test
        assert (ROOT / proof.test.partition("::")[0]).is_file()


def test_counts_and_outcomes_come_from_the_report(tmp_path):
    report = tmp_path / "junit.xml"
    case = '<testcase classname="tests.reliability.test_kills" name="test_killed[{}]" file="{}">{}</testcase>'
    kills = '<properties><property name="kills" value="3"/></properties>'
    file = "tests/reliability/test_kills.py"
    cases = [case.format("a", file, kills), case.format("b", file, f"{kills}<failure/>"), case.format("c", file, "")]
    report.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    counts, outcomes = reliability.read(report)
    assert counts == {"kills": 6}
    assert outcomes == {f"{file}::test_killed": "failure"}


def test_tables_go_between_the_marks():
    page = "before\n<!-- generated: begin counts -->\nold\n<!-- generated: end counts -->\nafter\n"
    counts, outcomes = Counter(kills=6), {"a": "passed", "b": "skipped"}
    text = reliability.last_run(counts, outcomes, 20)
    assert "- tests passed: 1, 1 skipped\n- kills survived: 6\n" in text
    assert reliability.updated(page, "counts", text) == page.replace("old\n", text)
    with pytest.raises(ValueError, match="lacks"):
        reliability.updated("no marks", "counts", "new\n")
