"""The page as a reader gets it: its numbers, what it says when little is known, and that it needs nothing else."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import subprocess
import sys
import webbrowser
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from ordinal_blast import cli, record, report
from ordinal_blast.record import Examples
from ordinal_blast.report import load, rankings
from ordinal_blast.report.compare import FRAMES

COMMAND = "ordinal-blast report runs/losses --out reports/losses"


class Tables(HTMLParser):
    """The rows of all tables as lists of texts, all tags with attributes, and all text outside tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data):
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data


def read(path) -> Tables:
    return Tables(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(small, tmp_path_factory):
    return report.write([load(small)], tmp_path_factory.mktemp("report"), COMMAND)


def test_table_holds_mean_and_sd_of_the_result_files(small, page):
    plan = json.loads((small / "plan.json").read_text())
    rows = read(page).rows
    for number, variant in enumerate(plan["variants"]):
        for task in ("icm", "te"):
            results = [
                json.loads((small / "cells" / f"{number}-s{s}" / "result.json").read_text()) for s in plan["seeds"]
            ]
            tested = [r for result in results for r in result["rows"] if (r["task"], r["split"]) == (task, "test")]
            expected = []
            for key in ("accuracy", "mse", "mae", "qwk"):
                seen = [row["metrics"][key] for row in tested]
                expected.append(f"{np.mean(seen):.3f} ± {np.std(seen, ddof=1):.3f}".replace("-", "−"))
            assert any(row[0].endswith(variant) and row[1:] == expected for row in rows), (variant, task, expected)


def test_confusion_counts_are_summed_over_seeds(small, page):
    for number in range(3):
        for task in ("icm", "te"):
            expected = np.zeros((3, 3), int)
            for seed in range(3):
                result = record.read(small / "cells" / f"{number}-s{seed}").models["rnn"].splits["test"].tasks[task]
                known = result.labels >= 0
                np.add.at(expected, (result.labels[known], result.grades[known]), 1)
            figure = (page.parent / "figures" / f"losses-confusion-rnn-{task}-{number}.svg").read_text(encoding="utf-8")
            texts = re.findall(r">([0-9]+%?)</text>", figure)
            assert [int(text) for text in texts if not text.endswith("%")] == expected.ravel().tolist()
            shares = [f"{share:.0%}" for share in (expected / expected.sum(axis=1, keepdims=True)).ravel()]
            assert [text for text in texts if text.endswith("%")] == shares


def test_shared_training_is_counted_once(write_run, tmp_path):
    def shared(kept):
        if kept.variant == "b":
            kept.models["rnn"].training["shared_with"] = "0-s0"

    options = {"variants": ("a", "b"), "seeds": (0,), "stages": ("rnn",), "tasks": ("icm",), "n": 30}
    run = write_run(tmp_path / "run", change=shared, **options)
    found = read(report.write([load(run)], tmp_path / "out", COMMAND))
    assert ["training time, all cells", "6.7 min"] in found.rows  # 400 s of the one that was trained
    assert any(row[0] == "1-s0" and "trained as 0-s0" in row for row in found.rows)


def test_the_time_of_a_stage_that_cells_share_is_counted_once(write_run, tmp_path):
    def timed(kept):
        own = {"build_seconds": 90.0 if kept.variant == "a" else 0.5}
        shared = {"build_seconds": 300.0, "folder": "crops-0"}
        if kept.variant == "b":
            kept.models["rnn"].training["shared_with"] = "0-s0"
        return dataclasses.replace(kept, stages={"crops": shared, "rnn": own})

    options = {"variants": ("a", "b"), "seeds": (0,), "stages": ("rnn",), "tasks": ("icm",), "n": 30}
    found = read(report.write([load(write_run(tmp_path / "run", change=timed, **options))], tmp_path / "out", COMMAND))
    assert ["crops", "1", "5.0 min", "43%"] in found.rows
    assert ["rnn", "1", "6.7 min", "57%"] in found.rows  # trained for 400 s beside others, then built in 90


def test_rows_are_the_result_rows(small, page):
    with (page.parent / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 3 * 2 * 2  # variants, seeds, tasks, splits
    for row in rows:
        result = json.loads((small / "cells" / row["cell"] / "result.json").read_text())
        (source,) = (r for r in result["rows"] if (r["task"], r["split"]) == (row["task"], row["split"]))
        assert (row["variant"], int(row["seed"]), int(row["n"])) == (result["variant"], result["seed"], source["n"])
        assert {key: float(row[key]) for key in source["metrics"]} == pytest.approx(source["metrics"], rel=1e-12)


def test_same_inputs_give_the_same_bytes(small, page, tmp_path):
    again = report.write([load(small)], tmp_path, COMMAND).parent
    files = sorted(path.relative_to(page.parent) for path in page.parent.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert len(files) > 20
    for file in files:
        assert (page.parent / file).read_bytes() == (again / file).read_bytes(), file


def test_page_needs_nothing_from_outside(page):
    found = read(page)
    addresses = [value for _, attrs in found.tags for name, value in attrs.items() if name in ("src", "href", "srcset")]
    assert addresses
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    anchors = {attrs["id"] for _, attrs in found.tags if "id" in attrs}
    assert {address[1:] for address in addresses if address.startswith("#")} <= anchors
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in found.tags}
    assert set(re.findall(r"url\((.?.?.?)", page.read_text(encoding="utf-8"))) <= {"%23"}  # a place in the same figure
    assert "@import" not in page.read_text(encoding="utf-8")


def test_every_figure_is_a_file_and_has_words(page):
    found = read(page)
    images = [attrs for tag, attrs in found.tags if tag == "img"]
    assert all(len(attrs["alt"]) > 10 for attrs in images)
    drawn = sorted(path.name for path in (page.parent / "figures").glob("*.svg"))
    assert len(images) == len(drawn)
    assert [f"{name[:-4]}.pdf" for name in drawn] == sorted(
        path.name for path in (page.parent / "figures").glob("*.pdf")
    )
    linked = set(re.findall(r'src="(figures/[^"]+)"', (page.parent / "report.md").read_text(encoding="utf-8")))
    assert linked == {f"figures/{name}" for name in drawn}


def test_provenance_is_printed(small, page):
    text = read(page).text
    plan = json.loads((small / "plan.json").read_text())
    for expected in (
        COMMAND,
        plan["command"],
        plan["question"],
        "0.10.2",
        "1 x cpu (x86_64), 4 threads",
        "80/10/10 by patient",
        "00000002",
    ):
        assert expected in text


def test_hostile_names_stay_text(write_run, tmp_path):
    hostile = '<img src=x onerror=alert(1)>|$\\frac{1}{2}$"&'
    run = write_run(tmp_path / "run", ("plain", hostile), seeds=(0,), stages=("rnn",), tasks=("icm",), n=30)
    record.write_plan(run, record.read_plan(run) | {"experiment": "../<b>up</b>"})
    page = report.write([load(run)], tmp_path / "out", "report '<script>alert(1)</script>'")
    found = read(page)
    assert hostile in found.text
    assert not {"script", "b"} & {tag for tag, _ in found.tags}
    assert all(attrs["src"].startswith("data:") for tag, attrs in found.tags if tag == "img")
    markdown = (page.parent / "report.md").read_text(encoding="utf-8")
    assert "<img src=x" not in markdown
    assert "onerror=alert(1)&gt;&#124;" in markdown
    assert all(re.fullmatch(r"[a-z0-9-]+\.(svg|pdf|csv)", path.name) for path in (page.parent / "figures").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}


def test_what_is_undefined_is_explained_only_where_something_is(page):
    assert "undefined with one of the seeds" not in page.read_text(encoding="utf-8")


def test_one_seed_has_no_interval_and_says_so(write_run, tmp_path):
    run = write_run(
        tmp_path / "run", variants=("a", "b"), seeds=(3,), stages=("mlp",), tasks=("risk",), grades="EDCBA", n=60
    )
    text = read(report.write([load(run)], tmp_path / "out", COMMAND)).text
    assert "for these trained models: another seed is not covered" in text
    assert "One seed: intervals are over test examples, for these trained models." in text
    assert "±" not in text
    assert "RISK > D" in text
    assert "over new seeds and" not in text


def test_two_grades_have_one_boundary(write_run, tmp_path):
    run = write_run(
        tmp_path / "run", variants=("a", "b"), seeds=(0, 1), stages=("mlp",), tasks=("risk",), grades="ba", n=60
    )
    text = read(report.write([load(run)], tmp_path / "out", COMMAND)).text
    assert "RISK > b" in text
    assert "RISK > a" not in text


def test_failed_and_missing_cells_are_listed_and_left_out(write_run, tmp_path):
    options = {"variants": ("a", "b"), "seeds": (0, 1, 2), "stages": ("rnn",), "tasks": ("icm",), "n": 40}
    run = write_run(tmp_path / "run", failed=["1-s1"], missing=["0-s2"], **options)
    found = read(report.write([load(run)], tmp_path / "out", COMMAND))
    assert ["1-s1", "failed", "ValueError: the loss is NaN"] in found.rows
    assert ["0-s2", "missing", "Not started or not finished."] in found.rows
    assert "1 cell failed and 1 is missing of 6 planned" in found.text
    assert "paired by seed (1 seed)" in found.text  # only seed 0 finished for both
    assert "1-s1 failed, 0-s2 missing" in report.table([load(run)])


def test_of_many_cells_without_a_result_the_terminal_names_the_first(write_run, tmp_path):
    missing = [f"1-s{seed}" for seed in range(1, 12)]
    run = write_run(tmp_path / "run", variants=("a", "b"), seeds=range(12), stages=("mlp",), n=30, missing=missing)
    assert report.table([load(run)]).endswith("1-s7 missing, 1-s8 missing, and 3 more, which the report lists")


def test_a_boundary_without_a_curve_is_named(write_run, tmp_path):
    def no_worst(kept):
        labels = kept.models["rnn"].splits["test"].tasks["icm"].labels
        np.maximum(labels, 1, out=labels)

    options = {"seeds": (0,), "stages": ("rnn",), "tasks": ("icm",), "n": 30}
    run = write_run(tmp_path / "run", ("a", "b"), change=no_worst, **options)
    text = read(report.write([load(run)], tmp_path / "out", COMMAND)).text
    assert "No ROC of ICM > C: fewer than two test examples or patients on one side." in text


def test_nothing_finished_is_said(write_run, tmp_path):
    run = write_run(tmp_path / "run", variants=("a",), seeds=(0,), missing=["0-s0"])
    assert "No cell has finished" in read(report.write([load(run)], tmp_path / "out", COMMAND)).text
    assert "No cell has finished" in report.table([load(run)])


def test_single_task_variants_stand_beside_multi_task_ones(write_run, tmp_path):
    """A variant without a task is left out there, and only there."""

    def without_te(kept):
        for split in kept.models["rnn"].splits.values():
            split.columns["sick"] = np.arange(len(split.ids)) % 2
            if kept.variant == "icm only":
                del split.tasks["te"]

    run = write_run(tmp_path / "run", ("both", "icm only"), (0, 1), stages=("rnn",), n=40, change=without_te)
    icm, te = report.table([load(run)]).split("\n\n")[1:3]
    assert "RNN · ICM" in icm
    assert "icm only" in icm
    assert "RNN · TE" in te
    assert "icm only" not in te
    ranking = rankings.binary(load(run).groups(), "sick", "sickness")
    assert (ranking.name, list(ranking.scores)) == ("sickness, by ICM + TE", ["both"])
    assert "TE > C" in read(report.write([load(run)], tmp_path / "out", COMMAND)).text


def test_examples_carry_verdicts(write_run, tmp_path):
    def with_frames(kept):
        ids = kept.models["rnn"].splits["test"].ids
        return dataclasses.replace(kept, examples=Examples(np.zeros((3, 8, 8, 3), np.uint8), ids[:3]))

    options = {"seeds": (0,), "stages": ("rnn",), "tasks": ("icm",), "n": 30}
    run = write_run(tmp_path / "run", ("a", "b"), change=with_frames, **options)
    found = read(report.write([load(run)], tmp_path / "out", COMMAND))
    for number, variant in enumerate("ab"):
        result = record.read(run / "cells" / f"{number}-s0").models["rnn"].splits["test"].tasks["icm"]
        labels, grades = result.labels[:3], result.grades[:3]
        signs = [
            "?" if y < 0 else "✓" if y == g else "±1" if abs(y - g) == 1 else "✗"
            for y, g in zip(labels, grades, strict=True)
        ]
        expected = [f"{'CBA'[g]}\xa0{sign}" for g, sign in zip(grades, signs, strict=True)]
        assert [row[1] for row in found.rows if row[0][1:] == variant and len(row) == 2] == expected


def test_a_report_needs_no_jax():
    code = "import sys, ordinal_blast.report; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_frame_stands_beside_the_page_as_csv_and_latex(small, page):
    study = load(small)
    for name in FRAMES[1:]:
        frame, path = getattr(study, name), page.parent / "frames" / f"{name}.csv"
        assert path.exists() == bool(len(frame)), name
        if len(frame):
            kept = pd.read_csv(path)
            assert kept.shape == (len(frame), frame.shape[1] + 1), name  # and the experiment
            numbers = frame.select_dtypes("number")
            np.testing.assert_allclose(kept[numbers.columns].to_numpy(float), numbers.to_numpy(float), rtol=1e-8)
    text = (page.parent / "frames" / "differences.tex").read_text(encoding="utf-8")
    assert text.count("\\toprule") == 2  # a table a task


@pytest.mark.parametrize("there", [True, False])
def test_a_report_is_opened_where_there_is_a_browser(small, tmp_path, monkeypatch, capsys, there):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or there)
    assert cli.main(["report", str(small), "--out", str(tmp_path / "a b"), "--open"]) == 0
    assert opened == [(tmp_path / "a b" / "report.html").as_uri()]
    printed = capsys.readouterr()
    assert f"Report: {tmp_path / 'a b' / 'report.html'}" in printed.out
    assert ("no browser" in printed.err) != there
