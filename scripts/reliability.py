"""Run the reliability tests and write what they prove: each fault, what happens, which test shows it, and how often.

    python scripts/reliability.py --kills 20 --update docs/reliability.md

A row is the docstring of a test: "fault: what happens". Counts are what tests record (``record_property``).
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from cvis.atomic import write_text

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "tests/reliability"
ELSEWHERE = (  # faults whose tests stand beside what they are about
    "tests/engine/test_run.py::test_a_loss_that_is_not_finite_in_one_process_stops_both",
    "tests/engine/test_run.py::test_a_gradient_that_is_not_finite_names_its_clips",
    "tests/engine/test_resume.py::test_a_damaged_checkpoint_is_named",
    "tests/runs/test_verify.py::test_every_edit_is_found",
    "tests/runs/test_verify.py::test_edited_predictions_are_found",
)
COUNTS = {"kills": "kills survived", "mutations": "mutations of files tried", "inputs": "inputs fuzzed"}
BEGIN, END = "<!-- generated: begin reliability -->", "<!-- generated: end reliability -->"


@dataclass(frozen=True)
class Proof:
    """A fault, what happens, and the test (``file::function``) that shows it."""

    fault: str
    outcome: str
    test: str


def proofs(root: Path = ROOT) -> Iterator[Proof]:
    """Of every test in the folder that says what it proves, and of those elsewhere."""
    inside = (path.relative_to(root).as_posix() for path in sorted((root / FOLDER).glob("test_*.py")))
    named = [(file, None) for file in inside] + [tuple(test.split("::")) for test in ELSEWHERE]
    for file, wanted in named:
        for node in ast.parse((root / file).read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            said = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            if node.name == wanted or (wanted is None and said):
                fault, _, outcome = said.partition(": ")
                yield Proof(fault, outcome, f"{file}::{node.name}")


def run(kills: int, report: Path) -> int:
    """Run the tests; pytest's exit code."""
    files = [FOLDER, *ELSEWHERE]
    command = [sys.executable, "-m", "pytest", "-q", *files, f"--junitxml={report}", "-o", "junit_family=xunit1"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "CVIS_KILLS": str(kills)}).returncode


def read(report: Path) -> tuple[Counter[str], dict[str, str]]:
    """The counts that tests recorded, and of each test its worst outcome."""
    counts: Counter[str] = Counter()
    outcomes: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('file') or _file(case.get('classname', ''))}::{re.sub(r'[[].*', '', case.get('name', ''))}"
        outcome = next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")
        if outcomes.get(test, "passed") == "passed":
            outcomes[test] = outcome
        for entry in case.iter("property"):
            if entry.get("name") in COUNTS:
                counts[str(entry.get("name"))] += int(entry.get("value", "0"))
    return counts, outcomes


def _file(classname: str) -> str:
    return classname.replace(".", "/") + ".py"


def markdown(counts: Counter[str], outcomes: dict[str, str], command: str) -> str:
    """The tables, as they stand in the page."""
    lines = ["| fault | what happens | test |", "|---|---|---|"]
    for proof in proofs():
        file, _, name = proof.test.partition("::")
        mark = "" if (outcome := outcomes.get(proof.test, "not run")) == "passed" else f" ({outcome})"
        cells = (proof.fault, proof.outcome, f"[`{name}`](../{file}){mark}")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", f"Counts of the last run of `{command}`:", ""]
    lines += [f"- {what}: {counts[name]}" for name, what in COUNTS.items() if counts[name]]
    return "\n".join(lines) + "\n"


def updated(page: str, tables: str) -> str:
    """The page with new tables between its two marks.

    Raises:
        ValueError: it lacks them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{tables}{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each of the learners that are killed")
    parser.add_argument("--update", type=Path, help="a page with the two marks; without it the tables are printed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        code = run(options.kills, report)
        tables = markdown(*read(report), f"python scripts/reliability.py --kills {options.kills}")
    if options.update is None:
        print(tables, end="")
    elif code == 0:
        write_text(options.update, updated(options.update.read_text(encoding="utf-8"), tables))
    return code


if __name__ == "__main__":
    sys.exit(main())
