"""What the truth tells, against counts of the predictions and columns."""

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import truth
from ordinal_blast.report import load


def test_truths_are_counts_of_grades_annotations_and_true_grades(embryos):
    study = load(embryos)
    rows = study.truths.query("stage == 'rnn' and task == 'te' and variant == 'cross_entropy'").set_index("quantity")
    cells = [cell for cell in study.cells if cell.variant == "cross_entropy"]
    split, train = cells[0].tested("rnn"), cells[0].record.models["rnn"].splits["train"]
    known, taught = split.tasks["te"].labels >= 0, train.tasks["te"].labels >= 0
    labels, true, latent = (
        column[known] for column in (split.tasks["te"].labels, split.columns["te_true"], split.columns["latent_te"])
    )
    grades = np.array([cell.tested("rnn").tasks["te"].grades[known] for cell in cells])
    scores = [cell.tested("rnn").tasks["te"].scores[known] for cell in cells]
    cuts = truth.best_cuts(train.columns["latent_te"][taught], train.tasks["te"].labels[taught], 3)
    expected = {
        "accuracy": np.mean(grades == labels),
        "true grade": np.mean(true == labels),
        "best grader": np.mean(np.digitize(latent, cuts) == labels),
        "accuracy at the truth": np.mean(grades == true),
        "annotator's share": np.mean([np.mean((g == true)[g != labels]) for g in grades]),
        "correlation": np.mean([stats.spearmanr(latent, score).statistic for score in scores]),
        "annotator's correlation": stats.spearmanr(latent, labels).statistic,
    }
    expected["best grader - variant"] = expected["best grader"] - expected["accuracy"]
    expected["at the truth, variant - annotator"] = expected["accuracy at the truth"] - expected["true grade"]
    expected["correlation, variant - annotator"] = expected["correlation"] - expected["annotator's correlation"]
    assert rows["mean"].to_dict() == pytest.approx(expected, rel=1e-9)
    assert ((rows["low"] < rows["mean"]) & (rows["mean"] < rows["high"])).all()
    alone = rows.loc[["true grade", "best grader", "annotator's correlation"]]
    assert set(alone["basis"]) == {"examples"}
    assert set(rows.drop(alone.index)["basis"]) == {"seeds and examples"}
    assert rows["p"].notna().to_dict() == {name: " - " in name for name in expected}


def test_without_a_training_set_of_known_quality_there_is_no_best_grader(write_run, tmp_path, of_embryos):
    def change(kept):
        kept = of_embryos(kept)
        for model in kept.models.values():
            del model.splits["train"].columns["latent_icm"]
        return kept

    rows = load(write_run(tmp_path, ("a",), (0, 1), n=60, change=change)).truths
    assert "best grader" not in set(rows.query("task == 'icm'")["quantity"])
    assert "best grader" in set(rows.query("task == 'te'")["quantity"])


def test_other_data_have_no_truths(small):
    assert load(small).truths.empty
