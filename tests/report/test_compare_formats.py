"""Every format: its structure, its ranks, and that no name of a run breaks it."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from run_folders import write_run

from cvis.errors import UserError
from cvis.report import comparison, load_runs, per_step
from cvis.report.baseline import with_baseline
from cvis.report.formats import FORMATS, render
from cvis.report.published import PublishedRow, PublishedTable, with_published
from cvis.report.result_tables import ResultTables

NASTY = r"""*<b>&_%$#{}~^\ | [x] "q" `c` é±中"""
VOID = {"br", "hr", "img", "input", "meta"}


@pytest.fixture
def document(tmp_path):
    """Two blocks of ours, a published one, differences; the best name is the worst to print."""
    random = {"model": "tiny", "pretrained": "random", "sha256": None}
    for seed, mAP in enumerate((30.0, 31.0)):
        write_run(tmp_path, "nasty", seed, mAP=mAP, FR=-0.001, label=NASTY, text_encoder=random)
        write_run(tmp_path, "second", seed, mAP=mAP - 5, FR=1 / 3)
        write_run(tmp_path, "third", seed, mAP=mAP - 10)
    write_run(tmp_path / "other", "apart", mAP=99.0, protocol={"init": "coco", "split_sha256": "ab" * 32})
    runs = load_runs([tmp_path]).runs
    printed = {"P&P|1": 50.0, "P2": 40.0}
    paper = PublishedTable(
        scenario="synthetic-20-4",
        title="A|B <i>, Table 1",
        rows=[PublishedRow(method=m, learner="x", final={"mAP": mAP}, steps={}) for m, mAP in printed.items()],
        notes=["another split"],
        segmenter="mask2former_tiny",
        init="coco",
    )
    return ResultTables(with_published(with_baseline(comparison(runs, ["mAP", "FR"]), "third"), [paper]))


def columns_of(line):
    """Cells of a LaTeX row: split at ampersands that are not escaped."""
    return len(re.split(r"(?<!\\)&", line))


def test_latex_has_one_number_of_columns_in_every_row(document):
    text = render(document, "latex")
    tabulars = re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.S)
    assert [spec for spec, _ in tabulars] == ["lllrrr", "lrrr"]
    for spec, body in tabulars:
        assert body.startswith("\\toprule\n")
        assert body.endswith("\\bottomrule\n")
        for line in body.splitlines():
            if line in (r"\toprule", r"\midrule", r"\bottomrule"):
                continue
            assert line.endswith(r" \\")
            spanned = re.match(r"\\multicolumn\{(\d+)\}\{l\}", line)
            assert (int(spanned[1]) if spanned else columns_of(line)) == len(spec), line


def test_latex_is_balanced_and_nothing_special_is_bare(document):
    text = render(document, "latex").split("\n", 1)[1]
    assert text.isascii()
    open_environments = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_environments.append(name)
        else:
            assert open_environments.pop() == name
    assert not open_environments
    bare = re.sub(r"\\.", "", text)  # every escaped character and command's first letter
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not set('#%_^~|<>"') & set(re.sub(r"\\label\{[^}]*\}", "", bare))
    for line in text.splitlines():
        assert not line.lstrip().startswith(("[", "*"))  # after \\ it would be an option of the line's end


def test_latex_of_a_hard_name(document):
    text = render(document, "latex")
    assert r"{*}\textless{}b\textgreater{}\&\_\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{} " in text
    assert r"\textbar{} {[}x{]} ''q'' `c` \'{e}$\pm$U+4E2D {[}random text encoder{]}" in text
    assert r"\textbf{30.50 $\pm$ 0.71}" in text
    assert r"\underline{25.50 $\pm$ 0.71}" in text
    assert r"\emph{another protocol, not comparable with the table above: init, split\_sha256}" in text
    assert r"init = 'coco', not 'random'; split\_sha256 = 'abababab..', not 'aa'" in text


def markdown_cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_tables_are_whole(document):
    text = render(document, "md")
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 4
    for lines in tables:
        assert len({len(markdown_cells(line)) for line in lines}) == 1
        assert all(re.fullmatch(r":---|---:", cell) for cell in markdown_cells(lines[1]))
    best, second, third = tables[0][2:]
    assert "**30.50 ± 0.71**" in best
    assert "<u>25.50 ± 0.71</u>" in second
    assert "**" not in third
    assert "<u>" not in third
    assert r"\*&lt;b&gt;&amp;\_%\$\#\{\}\~^\\ \| \[x\]" in best


class Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts, self.tables = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.append((tag, dict(attributes).get("class", "")))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append(0)
        if tag in ("td", "th"):
            self.tables[-1][-1] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_html_is_well_formed_and_escaped(document):
    text = render(document, "html")
    assert text.isascii()
    page = Parser()
    page.feed(text)
    assert page.open == []
    assert NASTY + " [random text encoder]" in page.texts
    assert {tag for tag, _ in page.tags} == {
        *("section", "h3", "table", "caption", "thead", "tbody", "tr", "th", "td", "strong", "u", "ul", "li")
    }
    assert [names for tag, names in page.tags if tag == "table"] == ["ours", "ours", "published", "difference"]
    assert all(len(set(rows)) == 1 for rows in page.tables)
    assert ("td", "num best") in page.tags
    assert ("td", "num second") in page.tags


def test_csv_has_a_line_per_row_and_metric_with_unrounded_numbers(document):
    lines = list(csv.DictReader(io.StringIO(render(document, "csv"))))
    assert len(lines) == 6 * 2  # four rows of ours, two of a paper
    second = {line["metric"]: line for line in lines if line["learner"] == "second"}
    assert float(second["FR"]["mean"]) == 1 / 3
    assert (second["mAP"]["rank"], second["mAP"]["n"], second["mAP"]["seeds"]) == ("2", "2", "0 1")
    assert (second["mAP"]["baseline"], second["mAP"]["difference"], second["mAP"]["pairs"]) == ("third", "5.0", "2")
    assert len(second["mAP"]["run_ids"].split()) == 2
    nasty = next(line for line in lines if line["learner"] == "nasty")
    assert nasty["name"] == NASTY + " [random text encoder]"
    apart = next(line for line in lines if line["learner"] == "apart")
    assert (apart["block"], apart["rank"]) == ("2", "0")
    assert apart["differs"].startswith("init = 'coco', not 'random'; split_sha256 = ")
    assert {(line["source"], line["block"]) for line in lines} == {("ours", "1"), ("ours", "2"), ("paper", "3")}
    assert {bool(line["note"]) for line in lines if line["source"] == "paper"} == {True}


def test_csv_of_steps_has_a_line_per_step(tmp_path):
    write_run(tmp_path, steps=(40.0, 30.0, 10.0))
    steps = per_step(load_runs([tmp_path]).runs, "mAP_seen")
    lines = list(csv.DictReader(io.StringIO(render(ResultTables(steps), "csv"))))
    assert [(line["metric"], line["step"], line["mean"]) for line in lines] == [
        ("mAP_seen", "0", "40.0"),
        ("mAP_seen", "1", "30.0"),
        ("mAP_seen", "2", "10.0"),
    ]


def test_json_has_ranks_sources_and_run_ids(document, tmp_path):
    (group,) = json.loads(render(document, "json"))["groups"]
    first, apart, paper = group["blocks"]
    row = first["rows"][0]
    assert (row["source"], row["ranks"], len(row["run_ids"])) == ("ours", {"mAP": 1, "FR": 1}, 2)
    assert apart["differs"]["init"] == {"here": "coco", "first": "random"}
    assert [row["ranks"] for row in apart["rows"]] == [{}]
    assert (paper["source"], paper["notes"], paper["rows"][1]["seeds"]) == ("paper", ["another split"], [])


@pytest.mark.parametrize("format", [f for f in FORMATS if f not in ("csv", "json")])
def test_every_printed_format_says_what_is_needed(document, format):
    text = render(document, format)
    for said in ("another split", "not comparable", "upper bound", "random weights", "paired Student t-test"):
        assert (said in text) == (said != "upper bound"), said
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "0.00 " in text
    assert "-0.00 " not in text


def test_no_runs_no_rows():
    for format in FORMATS:
        render(ResultTables([]), format)


def test_an_unknown_format(document):
    with pytest.raises(UserError, match=r"--format xls: .*; choose one of csv, html, json, latex, md, terminal"):
        render(document, "xls")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-x", "@SUM(1)"])
def test_csv_holds_no_formula(tmp_path, name):
    write_run(tmp_path, label=name, mAP=12.5)
    rows = list(csv.DictReader(io.StringIO(render(ResultTables(comparison(load_runs([tmp_path]).runs)), "csv"))))
    assert {row["name"] for row in rows} == {f"'{name}"}
    assert rows[0]["mean"] == "12.5"


def test_no_two_formats_share_a_suffix():
    from cvis.report.formats import FORMATS, SUFFIXES

    assert sorted(SUFFIXES.values()) == sorted(FORMATS)
