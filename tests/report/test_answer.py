"""The plain answer says no more than the adjusted intervals do."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ordinal_blast import record, report
from ordinal_blast.report import answer, load
from ordinal_blast.report.pictures import Studio

OPTIONS = {"stages": ("rnn",), "tasks": ("icm",), "n": 60}


def graded(shares):
    """A change: per variant, the share of test examples that get their true grade; the others get another."""

    def change(kept):
        result = kept.models["rnn"].splits["test"].tasks["icm"]
        rng = np.random.default_rng([kept.seed, *kept.variant.encode()])
        wrong = rng.random(len(result.labels)) > shares[kept.variant]
        truth = np.maximum(result.labels, 0)
        result.grades[:] = np.where(wrong, np.abs(truth - 1), truth)

    return change


@pytest.fixture
def told(write_run, tmp_path):
    """`told(shares, **asked)`: the study whose variants get these shares of grades right, asked so."""

    def tell(shares, asked=None, **options):
        run = write_run(tmp_path / "run", tuple(shares), change=graded(shares), **OPTIONS | options)
        study = load(run)
        return study.asking(**asked) if asked else study

    return tell


def test_a_subject_that_is_better(told):
    study = told({"a": 0.3, "b": 0.95, "c": 0.3}, {"subject": "b", "primary": "accuracy"})
    (row,) = study.differences.query("variant == 'b' and measure == 'accuracy'").itertuples()
    assert answer.lead(study) == (
        f"b is better than a in Accuracy (+{row.mean:.3f} [+{row.low_adjusted:.3f}, +{row.high_adjusted:.3f}]). "
        "Intervals hold over new seeds and new test examples, adjusted for 2 comparisons."
    )


def test_a_subject_that_is_worse_where_less_is_better(told):
    study = told({"a": 0.95, "b": 0.3}, {"subject": "b"})
    assert answer.lead(study).startswith("b is worse than a in MAE (+")
    assert answer.lead(study).endswith("new test examples, one comparison, so not adjusted.")


def test_a_subject_of_which_it_cannot_be_told(told):
    study = told({"a": 0.6, "b": 0.6}, {"subject": "b", "primary": ["mae", "qwk"]})
    assert answer.lead(study).startswith("Whether b is better or worse than a cannot be told in MAE (")
    assert "]) and QWK (" in answer.lead(study)
    assert "adjusted for 2 comparisons" in answer.lead(study)


def test_a_subject_that_is_equivalent(told):
    study = told({"a": 0.6, "b": 0.6}, {"subject": "b", "equivalence": 0.9})
    assert answer.lead(study).startswith("b is equivalent to a, to within ±0.9, in MAE (")


def test_a_subject_whose_scores_are_the_same(write_run, tmp_path):
    study = load(write_run(tmp_path / "run", ("a", "b"), change=graded({"a": 1.0, "b": 1.0}), **OPTIONS))
    assert answer.lead(study.asking(subject="b")) == (
        "b is not tested against a in MAE (the same by construction: no test)."
    )


def test_without_a_subject_all_are_looked_at(told):
    study = told({"a": 0.5, "b": 0.97, "c": 0.5, "d": 0.1})
    pattern = (
        r"In MAE, better than a: b −0\.\d+ \[.*\]; worse than a: d \+0\.\d+ \[.*\]; of 1 variant it cannot be told\."
    )
    assert re.match(pattern, answer.lead(study))


def test_nothing_established_is_no_proof(told):
    lead = answer.lead(told({"a": 0.6, "b": 0.6, "c": 0.6}, seeds=range(5)))
    assert lead.startswith("No difference to a is established in MAE for any of 2 variants; that is no proof")


def test_one_seed_speaks_of_these_models(told):
    study = told({"a": 0.3, "b": 0.95}, {"subject": "b"}, seeds=(0,))
    assert answer.lead(study).startswith("b is better than a in MAE (−")
    assert "for these trained models: another seed is not covered" in answer.lead(study)
    assert answer.planned(study) == ""


def test_what_the_design_can_show(told):
    study = told({"a": 0.6, "b": 0.6}, {"subject": "b", "equivalence": 0.3})
    here = study.design[study.design["present"]].iloc[0]
    sentence = answer.planned(study)
    assert sentence.startswith(
        f"3 seeds on 30 test patients can show differences of {here['detectable']:.3f} or more in MAE"
    )
    assert "To see the ±0.3 of MAE beyond which it matters takes" in sentence
    assert "No design up to 50 seeds on 300 test patients would show the ±0.0001" in answer.planned(
        study.asking(equivalence=0.0001)
    )
    assert answer.planned(study.asking(equivalence=2.0)).endswith(
        "That is enough to see the ±2 of MAE beyond which it matters."
    )


def test_the_first_screen_has_one_figure_and_one_table(told, tmp_path):
    study = told({"a": 0.3, "b": 0.95, "c": 0.3}, {"subject": "b"})
    text = (study.report(tmp_path / "out").parent / "report.md").read_text(encoding="utf-8")
    first = text.split("## Answer")[1].split("\n## ")[0]
    assert first.count("<img") == 1
    (own,) = study.means.query("variant == 'b' and measure == 'mae'").itertuples()
    assert f"<b>{own.mean:.3f}</b> [{own.low:.3f}, {own.high:.3f}]".replace("-", "−") in first
    assert first.count("<b>") == 1
    assert "Bold: better than a by the adjusted interval, and nothing else." in first


def test_a_larger_mean_is_not_bold(told, tmp_path):
    study = told({"a": 0.6, "b": 0.62})
    text = (study.report(tmp_path / "out").parent / "report.md").read_text(encoding="utf-8")
    assert "<b>" not in text.split("## Answer")[1].split("## Training")[0]
    assert "▲" not in report.table([study]).split("\n\n")[1]


def test_grades_that_are_never_found_and_collapsed_runs_are_named(write_run, tmp_path):
    def constant(kept):
        grades = kept.models["rnn"].splits["test"].tasks["icm"].grades
        grades[grades == 0] = 1
        if kept.cell == "1-s1":
            grades[:] = 2

    study = load(write_run(tmp_path / "run", ("a", "b"), (0, 1), change=constant, **OPTIONS))
    text = (study.report(tmp_path / "out").parent / "report.md").read_text(encoding="utf-8")
    first = text.split("## Answer")[1].split("What is compared.")[0]
    lines = {line.split("|")[1].strip()[2:]: line for line in first.splitlines() if line.startswith("| ")}
    assert lines["a"].endswith("| C (2/2) | 0 of 2 seeds |")
    assert lines["b"].endswith("| C (2/2), B (1/2) | 1 of 2 seeds |")
    (note,) = answer.collapsed(study)
    assert note.endswith("the same grade with at least one seed: RNN · ICM: b.")
    assert note in answer.findings(study, Studio("x", study))


def test_what_other_measures_establish_is_said_by_its_own_family(told):
    study = told({"a": 0.3, "b": 0.95}, {"primary": "qwk"})
    (finding,) = answer.findings(study, Studio("x", study))
    opening = "RNN · ICM, against a, each measure by itself: better in Accuracy b; better in MSE b"
    assert finding.text.startswith(opening)
    assert finding.rows == ["x-differences-rnn-icm-b"]


@pytest.mark.parametrize(
    ("shares", "asked", "tone"),
    [
        ({"a": 0.3, "b": 0.95}, {"subject": "b"}, "better"),
        ({"a": 0.95, "b": 0.3}, {"subject": "b"}, "worse"),
        ({"a": 0.6, "b": 0.6}, {"subject": "b"}, "open"),
        ({"a": 0.6, "b": 0.6}, {"subject": "b", "equivalence": 0.9}, "equivalent"),
        ({"a": 0.5, "b": 0.97, "c": 0.1}, None, "mixed"),
    ],
)
def test_the_headline_says_what_kind_of_answer_it_is_and_where_it_stands(told, tmp_path, shares, asked, tone):
    study = told(shares, asked)
    headline = answer.headline(study, Studio("x", study))
    assert headline.tone == tone
    assert answer.lead(study).startswith(headline.sentence)
    assert [row.rsplit("-", 1)[1] for row in headline.rows] == [v for v in shares if v != "a"]
    page = study.report(tmp_path / "out").read_text(encoding="utf-8")
    assert page.count(' id="losses-answer-b"') == 1
    assert 'href="#losses-answer-b"' in page


def test_the_band_of_a_figure_is_what_does_not_matter(told):
    study = told({"a": 0.6, "b": 0.6})
    bands = [
        answer.blocks(one, Studio("x", one))[0].blocks[0].caption.partition(" Band: ")[2]
        for one in (study, study.asking(equivalence=0.3))
    ]
    assert bands == ["", "±0.3, within which no difference matters."]


def test_a_primary_measure_that_no_cell_has_is_named(write_run, tmp_path):
    run = write_run(tmp_path, ("a", "b"), (0, 1), stages=("rnn",), n=30)
    record.write_plan(run, {**record.read_plan(run), "primary": [["nosuch", ""], ["mae", "eye"]]})
    assert answer.lead(load(run)) == (
        "No seed has nosuch and mae of eye of both a and another variant: nothing is compared."
    )
