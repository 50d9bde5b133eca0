"""Published values beside ours: in their own s.d., worse, better, undefined, and of variants that did not finish."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ordinal_blast import report
from ordinal_blast.report import load, published


@pytest.fixture
def beside(write_run, tmp_path):
    """`beside(values)`: a study whose configuration carried these published values, and its only group."""

    def write(values):
        published = {"source": "Someone 2020", "values": values}
        options = {"stages": ("mlp",), "tasks": ("grade",), "n": 60}
        carried = lambda kept: dataclasses.replace(kept, published=published)  # noqa: E731
        study = load(write_run(tmp_path / "run", ("a", "b"), change=carried, **options))
        return study, study.groups()[0]

    return write


def ours(group, variant, key):
    return group.rows[group.rows["variant"] == variant][key].to_numpy()


@pytest.mark.parametrize(
    ("key", "off", "reached"),
    [("mae", -2.1, False), ("mae", -1.9, True), ("mae", 3.0, True), ("qwk", 2.1, False), ("qwk", -3.0, True)],
)
def test_reached_is_within_two_published_sd_or_better(beside, key, off, reached):
    _, group = beside({})
    mean = ours(group, "b", key).mean()
    study, group = beside({"b": {key: [mean + off * 0.01, 0.01]}})
    (found,) = published.comparisons(group)
    assert found.distance == pytest.approx(-off, rel=1e-9)
    assert found.reached == reached
    told = "" if reached else f" Not reached: b on {found.measure.label}"
    assert published.verdict(group)[0].startswith(
        f"MLP · GRADE: {int(reached)} of 1 published means are reached by the mean of 3 seeds here, to within "
        f"2 published s.d. of single seeds, or better.{told}"
    )
    text = (report.write([study], study.folders[0] / "report", "c").parent / "report.md").read_text()
    sd = ours(group, "b", key).std(ddof=1)
    (line,) = [
        line for line in text.splitlines() if line.count("|") == 5 and f"{mean + off * 0.01:.3f} ± 0.010" in line
    ]
    assert f"{mean:.3f} ± {sd:.3f}" in line
    assert f"{-off:+.1f}".replace("-", "−") in line
    assert ("not reached" not in line) == reached
    assert "Someone 2020" in text


def test_no_value_is_not_reached_and_no_sd_asks_for_the_mean_itself(beside):
    _, group = beside({})
    mean = float(ours(group, "b", "mae").mean())
    _, group = beside({"a": {"mae": [mean, 0.0]}, "b": {"mae": [mean, 0.0]}})
    found = {each.variant: each for each in published.comparisons(group)}
    assert found["b"].reached
    assert found["a"].reached == (ours(group, "a", "mae").mean() <= mean)
    assert not dataclasses.replace(found["b"], own_mean=np.nan).reached


def test_what_did_not_finish_is_named(beside):
    _, group = beside({"a": {"mae": [9.0, 0.1]}, "never run": {"mae": [0.1, 0.1]}})
    (sentence,) = published.verdict(group)
    assert "1 of 1 published means" in sentence
    assert sentence.endswith("Published but not finished here: “never run”.")
