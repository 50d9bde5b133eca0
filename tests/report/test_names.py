"""Names that users chose: on one line, visible, short, and still told apart, in every form of the report."""

from __future__ import annotations

import csv
import html
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from ordinal_blast import report
from ordinal_blast.report import figures, load, theme
from ordinal_blast.report.names import LONGEST, cut, labels, one_line, visible

HOSTILE = (
    "plain",
    "_hidden",
    "costs $5 and $x^2",
    "$unclosed",
    "an_objective_with_a_long_name_1",
    "an_objective_with_a_long_name_2",
    "line\nbreak",
    "bell\x07 \x00 null",
    "turned \u202eback",
    "gap < 1 & gap > 1",
    "<script>alert(1)</script>",
    "`code` *bold* [x](http://y) |cell|",
    "=HYPERLINK(1)",
    "נבדק",
    "🥚 egg",
    "n" * 3000,
)


@pytest.mark.parametrize(("grades", "rotated"), [(("C", "B", "A"), 1), (("mild", "moderate", "critical"), 4)])
def test_long_names_of_grades_stand_upright_below_a_confusion_matrix(grades, rotated):
    (look,) = theme.looks(["a"], "a").values()
    drawn = figures.confusion(np.eye(3, dtype=int), grades, look)
    assert drawn.svg.count("rotate(-90") == rotated  # the label of the vertical axis, and the names


def test_labels_are_short_on_one_line_and_never_alike():
    found = labels(HOSTILE)
    assert list(found) == list(HOSTILE)
    assert len(set(found.values())) == len(HOSTILE)
    assert all(len(label) <= LONGEST and "\n" not in label for label in found.values())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cross_entropy", "n" * 24], ["cross_entropy", "n" * 24]),
        (["n" * 25, "m"], ["n" * 23 + "…", "m"]),
        (["x" * 23 + "_1", "x" * 23 + "_2"], ["x" * 12 + "…" + "x" * 9 + "_1", "x" * 12 + "…" + "x" * 9 + "_2"]),
        (["x" * 50, "x" * 51], ["1 " + "x" * 21 + "…", "2 " + "x" * 21 + "…"]),
        (["a\nb", "a b"], ["1 a b", "2 a b"]),
    ],
)
def test_labels_keep_what_tells_names_apart(names, expected):
    assert list(labels(names).values()) == expected


def test_what_cannot_be_shown_is_replaced_and_nothing_else():
    assert visible("a\x00\x1b[31m\ud800\u202eb\n\tc") == "a��[31m��b\n\tc"
    assert visible("ä 👩‍🔬 עברית") == "ä 👩‍🔬 עברית"
    assert one_line(" \n ") == "(no name)"
    assert cut("abcdef", 4) == "abc…"


@pytest.fixture(scope="module")
def page(write_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile")
    grades = ("<b>worst</b>", "$half|way$", "`best` of *all*")
    run = write_run(path / "run", variants=HOSTILE, seeds=(0, 1), stages=("rnn",), tasks=("a..b",), grades=grades, n=40)
    return report.write([load(run)], path / "report", "the command")


def test_every_figure_is_sound_and_names_what_it_shows(page):
    figures = {path.name: path.read_text(encoding="utf-8") for path in (page.parent / "figures").glob("*.svg")}
    assert all(re.fullmatch(r"[a-z0-9-]+\.svg", name) for name in figures)
    for content in figures.values():
        ElementTree.fromstring(content)  # a control character would make it no XML
    texts = html.unescape("".join(figures.values()))
    for label in labels(HOSTILE).values():
        assert f">{label}<" in texts, label
    (curves,) = (content for name, content in figures.items() if "validation-qwk" in name)
    for label in labels(HOSTILE).values():  # "_hidden" among them
        assert f">{label}<" in html.unescape(curves), label
    assert ">$half|way$<" in texts


def test_names_stay_text_in_html_and_markdown(page):
    source = page.read_text(encoding="utf-8")
    assert "<script" not in source
    assert "<b>" not in source
    assert "\x00" not in source
    assert "\u202e" not in source
    assert "&lt;b&gt;worst&lt;/b&gt; &lt; $half|way$ &lt; `best` of *all*" in source
    markdown = (page.parent / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown
    assert "<b>worst" not in markdown
    assert "&#96;code&#96; &#42;bold&#42; [x]&#40;http://y) &#124;cell&#124;" in markdown
    assert "costs &#36;5 and &#36;x^2" in markdown
    assert "line break" in markdown
    for line in markdown.splitlines():
        if line.startswith("|") and "variant" not in line.lower():
            assert line.endswith("|"), line


def test_rows_open_as_text_in_a_spreadsheet(page):
    with (page.parent / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"'=HYPERLINK(1)", "plain", "🥚 egg"} <= {row["variant"] for row in rows}
    assert not [value for row in rows for value in row.values() if value[:1] in "=@\t\r" and value]
    assert all(float(row["qwk"]) <= 1 for row in rows)  # a negative number stays one
