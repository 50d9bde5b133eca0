"""The primary measure per stratum: the frame against the arrays, and what the page says of it."""

import numpy as np
import pytest

from ordinal_blast.evaluation import metrics, multireader, simultaneous
from ordinal_blast.report import load, strata, stratum_blocks
from ordinal_blast.report.blocks import Details, Gallery, Text
from ordinal_blast.report.pictures import Studio


def with_clinics(kept):
    """Patients of three clinics, the last of few; a number of scanners, a column of outcomes and one of many values."""
    for model in kept.models.values():
        split = model.splits["test"]
        patients = np.arange(len(split.ids)) // 2
        split.columns["clinic"] = np.array(["north", "south", "=west"])[np.minimum(patients % 10 // 4, 2)]
        split.columns["scanner"] = patients % 2 + 1
        split.columns["outcome"] = np.arange(len(split.ids)) % 3 - 1
        split.columns["age"] = patients / 7
        split.columns["operator"] = np.array([f"operator {i % 13}" for i in patients])


@pytest.fixture(scope="module")
def study(write_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("strata")
    return load(write_run(path, ("cross_entropy", "coral"), stages=("rnn",), change=with_clinics))


def chosen(study, column, value, task="te"):
    split = study.cells[0].tested("rnn")
    return (split.columns[column] == value) & (split.tasks[task].labels >= 0)


def test_strata_are_columns_of_few_texts_or_whole_numbers(study):
    frame = study.strata.query("task == 'te' and variant == 'coral'")
    assert list(zip(frame["column"], frame["stratum"], strict=True)) == [
        ("", "all"),
        ("clinic", "=west"),
        ("clinic", "north"),
        ("clinic", "south"),
        ("scanner", "1"),
        ("scanner", "2"),
    ]
    assert set(study.strata["measure"]) == {"mae"}


def test_a_stratum_is_measured_on_its_examples_alone(study):
    row = study.strata.query("task == 'te' and variant == 'coral' and stratum == 'north'").iloc[0]
    rows = chosen(study, "clinic", "north")
    cells = [[c.tested("rnn").tasks["te"] for c in study.cells if c.variant == v] for v in study.variants]
    labels = cells[0][0].labels[rows]
    values = [metrics.mae(labels, result.grades[rows], num_classes=3) for result in cells[1]]
    assert row["estimate"] == pytest.approx(np.mean(values), rel=1e-12)
    assert row["grades"] == ", ".join(f"{g} {n}" for g, n in zip("CBA", np.bincount(labels, minlength=3), strict=True))
    groups = study.cells[0].tested("rnn").columns["group"][rows]
    assert (row["n"], row["units"]) == (rows.sum(), len(np.unique(groups)))
    compared = multireader.measure(
        "mae", labels, np.array([[r.grades[rows] for r in of] for of in cells]), num_classes=3, cases=groups
    )
    limits = simultaneous.interval(compared.mean(1), bounds=(0, 2))
    assert (row["low"], row["high"]) == pytest.approx(limits, rel=1e-12)
    gap = compared.difference(1, 0)
    assert (row["difference"], row["difference_low"]) == pytest.approx((gap.estimate, gap.ci[0]), rel=1e-12)


def test_all_examples_come_first_and_are_the_scores_of_the_study(study):
    row = study.strata.query("task == 'te' and variant == 'cross_entropy'").iloc[0]
    scores = study.scores.query("task == 'te' and variant == 'cross_entropy' and split == 'test'")["mae"]
    assert (row["column"], row["estimate"]) == ("", pytest.approx(scores.mean(), rel=1e-9))
    assert np.isnan(row["difference"])  # to itself
    mean = study.means.query(
        "stage == 'rnn' and task == 'te' and variant == 'cross_entropy' and measure == 'mae'"
    ).iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((mean["low"], mean["high"]), rel=1e-12)


def test_few_patients_and_grades_that_are_missing_are_said(study):
    warnings = study.strata.query("task == 'te'").drop_duplicates("stratum").set_index("stratum")["warning"]
    assert warnings["=west"] == "only 12 groups"
    assert warnings["all"] == ""
    assert strata._warning(40, False, np.array([0, 20, 20]), study.groups()[0]) == "no C"


def test_the_page_has_a_picture_per_column_a_table_and_what_is_not_to_be_relied_on(study):
    (part,) = stratum_blocks.blocks(study, study.groups()[1], Studio("x", study))
    gallery, details, warned, note = part.blocks
    assert isinstance(gallery, Gallery)
    assert isinstance(details, Details)
    assert isinstance(warned, Text)
    assert [picture.name for picture in gallery.pictures] == [
        "x-strata-rnn-te-mae-clinic.svg",
        "x-strata-rnn-te-mae-scanner.svg",
    ]
    assert [line.head for line in details.blocks[0].lines][:2] == ["all", "clinic: =west"]
    assert warned.text.startswith("Not to be relied on: clinic: =west (only 12 groups)")
    assert note.text == stratum_blocks.NOTE


def test_a_subject_is_set_against_the_reference_in_every_stratum(study):
    asked = load(study.folders[0])
    asked.plan["subject"] = "coral"
    table = stratum_blocks.blocks(asked, asked.groups()[1], Studio("x", asked))[0].blocks[1].blocks[0]
    assert table.header[-1] == "coral minus cross_entropy"
    gap = study.strata.query("task == 'te' and variant == 'coral' and stratum == '1'")["difference"].item()
    assert table.lines[4].entries[-1].text == f"{gap:+.3f}".replace("-", "−")


def test_what_is_primary_is_shown_for_its_task(study):
    asked = load(study.folders[0])
    asked.plan["primary"] = [["qwk", "te"], ["rps", ""], ["mmae", ""]]
    places = asked.strata[["task", "measure"]].drop_duplicates().astype(str).values.tolist()
    assert places == [["icm", "rps"], ["te", "qwk"], ["te", "rps"]]  # an extreme has no interval


@pytest.mark.parametrize("drawn", [{}, {"change": with_clinics, "resplit": True}])
def test_without_strata_or_on_other_examples_nothing_is_said(write_run, tmp_path, drawn):
    study = load(write_run(tmp_path, ("cross_entropy", "coral"), (0, 1), stages=("rnn",), n=30, **drawn))
    assert study.strata.empty
    assert list(study.strata.columns) == list(strata.COLUMNS)
    assert stratum_blocks.blocks(study, study.groups()[0], Studio("x", study)) == []
