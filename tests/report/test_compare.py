"""A study as frames: typed, in the order of the plan, and the numbers of the records and of the page."""

import importlib.metadata

import numpy as np
import pandas as pd
import pytest

from ordinal_blast import record, report
from ordinal_blast.errors import UsageError
from ordinal_blast.report import load
from ordinal_blast.report.blocks import Section, Text
from ordinal_blast.report.compare import FRAMES, Frame, Study
from ordinal_blast.report.measures import PRIMARY, SECONDARY


@pytest.fixture(scope="module")
def study(small):
    return load(small)


def test_scores_are_those_of_the_records_in_the_order_of_the_plan(small, study):
    frame = study.scores
    assert len(frame) == 3 * 3 * 2 * 2  # variants, seeds, tasks, splits
    assert frame["variant"].cat.categories.tolist() == list(study.variants)
    assert frame.dtypes[["seed", "n", "num_classes"]].tolist() == [np.int64] * 3
    assert frame.dtypes[["loss", "qwk", "ece"]].tolist() == [np.float64] * 3
    assert all(isinstance(frame[name].dtype, pd.CategoricalDtype) for name in ("stage", "task", "split", "objective"))
    row = frame.query("cell == '1-s2' and task == 'te' and split == 'train'").iloc[0]
    result = record.read(small / "cells" / "1-s2").models["rnn"].splits["train"].tasks["te"]
    assert (row["variant"], row["seed"], row["n"]) == (study.variants[1], 2, result.n)
    assert {name: row[name] for name in result.measures} == dict(result.measures)


def test_a_study_shows_itself_in_one_line(small, study):
    name, reference = study.plan["experiment"], study.reference
    assert repr(study) == f"<Study {name}: 3 variants, reference {reference}; 9 of 9 cells finished; {small}>"


def test_names_are_categories_in_the_order_of_the_plan_and_stages_in_that_of_the_chain(write_run, tmp_path):
    frames = load(write_run(tmp_path, ("zeta", "alpha", "mu"), (0, 1), n=30))
    for frame in (frames.scores, frames.differences, frames.predictions()):
        assert frame["variant"].cat.categories.tolist() == ["zeta", "alpha", "mu"]
        assert frame["stage"].cat.categories.tolist() == ["cnn", "rnn"]
    assert frames.differences["reference"].cat.categories.tolist() == ["zeta", "alpha", "mu"]
    assert frames.differences["stage"].unique().tolist() == ["rnn", "cnn"]  # the whole system first
    assert frames.differences["measure"].unique().tolist() == [measure.key for measure in (*PRIMARY, *SECONDARY)]


def test_every_frame_is_named_once_and_a_frame(study):
    properties = {name for name, kind in vars(Study).items() if isinstance(kind, Frame)} | {"scores"}
    assert len(set(FRAMES)) == len(FRAMES)
    assert set(FRAMES) == properties
    assert all(isinstance(getattr(study, name), pd.DataFrame) for name in FRAMES)


def test_a_frame_is_a_copy(study):
    frame = study.scores
    frame["qwk"] = 0.0
    assert (study.scores["qwk"] != 0).all()


def test_differences_are_those_of_the_page(study, tmp_path):
    frame = study.differences.query("task == 'icm' and measure == 'mae'")
    assert frame["variant"].tolist() == list(study.rivals)
    assert set(frame["reference"]) == {study.reference}
    about = frame[["seeds", "basis", "family", "comparisons", "higher_is_better"]].drop_duplicates()
    assert about.values.tolist() == [[3, "seeds and examples", "primary", 4, False]]
    table = study.scores.query("task == 'icm' and split == 'test'").pivot(index="seed", columns="variant", values="mae")
    gaps = table[list(study.rivals)].sub(table[study.reference], axis=0)
    np.testing.assert_allclose(frame["mean"], gaps.mean(), rtol=1e-9)
    assert ((frame["p"] < 0.05) == ((frame["low"] > 0) | (frame["high"] < 0))).all()
    text = (report.write([study], tmp_path, "c").parent / "report.md").read_text(encoding="utf-8")
    for row in frame.itertuples():
        shown = f"{row.mean:+.3f} [{row.low_adjusted:+.3f}, {row.high_adjusted:+.3f}] {row.verdict}"
        assert text.count(shown.replace("-", "−")) >= 2  # in the answer, and with the other measures


def test_predictions_are_one_row_an_example_with_what_travels_along(small, study):
    frame = study.predictions(variant=study.variants[1], seed=2, task="te")
    result = record.read(small / "cells" / "1-s2").models["rnn"].splits["test"].tasks["te"]
    assert frame.columns.tolist() == [
        *("variant", "seed", "stage", "task", "split", "id", "label", "grade", "score", "p_C", "p_B", "p_A", "group")
    ]
    assert frame.dtypes[["seed", "label", "grade", "score", "p_A"]].tolist() == [np.int64] * 3 + [np.float64] * 2
    np.testing.assert_array_equal(frame["label"], result.labels)
    np.testing.assert_array_equal(frame["grade"], result.grades)
    np.testing.assert_array_equal(frame[["p_C", "p_B", "p_A"]], result.probs)
    assert frame["group"][3] == "patient-1"
    assert len(study.predictions()) == 3 * 3 * 2 * 60
    assert len(study.predictions(split="train", seed=0)) == 3 * 2 * 180


def test_a_column_named_like_one_of_ours_stands_beside_it(write_run, tmp_path):
    def change(kept):
        kept.models["rnn"].splits["test"].columns["score"] = np.arange(30)

    frame = load(write_run(tmp_path, ("a",), (0,), stages=("rnn",), n=30, change=change)).predictions(task="icm")
    assert frame["score_column"].tolist() == list(range(30))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"variant": "corn"}, "no variant is 'corn': there are cross_entropy, ordinal_cross_entropy"),
        ({"seed": 7}, "no seed is 7: there are 0, 1, 2"),
        ({"stage": "cnn"}, "no stage is 'cnn': there are rnn"),
        ({"split": "val"}, "no split is 'val': there are test, train"),
    ],
)
def test_what_a_study_does_not_have_is_told_with_what_it_has(study, asked, message):
    with pytest.raises(UsageError, match=message):
        study.predictions(**asked)


def test_frames_of_nothing_are_empty(write_run, tmp_path):
    study = load(write_run(tmp_path, ("a",), (0,), missing=["0-s0"]))
    assert study.scores.empty
    assert study.differences.empty
    assert study.scores.dtypes["seed"] == np.int64


def test_a_study_writes_its_report_and_is_loaded_from_it(write_run, tmp_path):
    study = load(write_run(tmp_path / "run", ("a", "b"), (0, 1), stages=("rnn",), n=30))
    page = study.report(tmp_path / "run" / "report")
    text = page.read_text(encoding="utf-8")
    assert f"ordinal-blast report {tmp_path / 'run'} --out {tmp_path / 'run' / 'report'}" in text
    assert load(page.parent).variants == ("a", "b")
    elsewhere = study.report(str(tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match="is a report, which keeps no predictions: give the --workdir"):
        load(elsewhere.parent)


def test_measures_of_ones_own_stand_beside_the_others(write_run, tmp_path):
    def change(kept):
        for _, _, result in kept.results():
            result.measures["cost"] = 2.0 + kept.seed / 10 + (kept.variant == "b") * (1 + kept.seed / 5)
        kept.measures["cost"] = False

    run = write_run(tmp_path / "run", ("a", "b"), (0, 1), stages=("rnn",), tasks=("icm",), n=30, change=change)
    study = load(run)
    (row,) = study.differences.query("measure == 'cost'").itertuples()
    assert (row.mean, row.higher_is_better) == (pytest.approx(1.1), False)
    page = study.report(tmp_path / "out")
    text = (page.parent / "report.md").read_text(encoding="utf-8")
    assert text.count("QWK ↑ | cost ↓ |") >= 2  # scores and differences
    assert "2.050 ± 0.071" in text
    assert "seeds alone: not tested" in text
    assert "cost ↓" in report.table([study])
    assert "cost" in pd.read_csv(page.parent / "rows.csv")
    assert (page.parent / "figures" / "losses-difference-rnn-icm-cost.svg").exists()


def _plug(monkeypatch, sections):
    point = importlib.metadata.EntryPoint("wing", "my_wing:sections", "ordinal_blast.report")
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda _: sections)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == point.group else [])


def test_an_installed_package_adds_sections_and_facts(small, monkeypatch, tmp_path):
    def sections(study, studio):
        shown = Section(studio.anchor("wing"), "Wing span", [Text(f"{len(study.cells)} cells fly.")])
        return [shown, Section(studio.anchor("silent"), "Silent", [], [("Feathers", "7")])]

    _plug(monkeypatch, sections)
    text = (load(small).report(tmp_path).parent / "report.md").read_text(encoding="utf-8")
    assert text.index("## RNN · TE") < text.index("## Wing span\n\n9 cells fly.") < text.index("## Training")
    assert "- Feathers: 7" in text
    assert "Silent" not in text


def test_sections_that_fail_are_named(small, monkeypatch, tmp_path):
    _plug(monkeypatch, lambda study, studio: 1 / 0)
    with pytest.raises(UsageError, match=r"sections of my_wing:sections .* cannot be made: ZeroDivisionError"):
        load(small).report(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_reference_without_a_finished_cell_is_named_where_others_are(write_run, tmp_path):
    study = load(write_run(tmp_path, ("a", "b", "c"), (0, 1), missing=["0-s0", "0-s1"], stages=("rnn",), n=30))
    assert set(study.auc["reference"]) == {"a"}
    assert set(study.auc["variant"]) == {"b", "c"}
    assert study.differences.empty


def test_another_question_is_asked_while_the_subject_of_the_first_has_no_finished_cell(write_run, tmp_path):
    run = write_run(tmp_path, ("a", "b", "c"), (0, 1), failed=["2-s0", "2-s1"], stages=("rnn",), n=30)
    plan = record.read_plan(run)
    record.write_plan(run, {**plan, "subject": "c", "families": {"late": ["c"]}})
    study = load(run).asking(primary="qwk")
    assert (study.subject, study.primary, study.families) == ("c", (("qwk", ""),), {"late": ("c",)})
