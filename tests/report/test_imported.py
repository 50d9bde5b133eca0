"""Predictions made elsewhere become a study: by the table that a study gives, by files, and refused by line."""

import numpy as np
import pandas as pd
import pytest

import ordinal_blast
from ordinal_blast import record
from ordinal_blast.cli import main
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.evaluation import metrics
from ordinal_blast.report import load
from ordinal_blast.report.imported import from_predictions

HEAD = "item,variant,task,label,group,p_C,p_B,p_A"


def rows(variant, shares, labels="CABA", task="icm"):
    return [
        f"e{n},{variant},{task},{label},p{n // 2},{share},{0.5 - share / 2},{0.5 - share / 2}"
        for n, (label, share) in enumerate(zip(labels, shares, strict=True))
    ]


@pytest.fixture
def table(tmp_path):
    def write(*lines, head=HEAD):
        path = tmp_path / "predictions.csv"
        path.write_text("\n".join([head, *lines]) + "\n")
        return path

    return write


def test_the_predictions_of_a_study_come_back_as_the_same_study(small, tmp_path):
    before = load(small)
    after = from_predictions(before.predictions(), tmp_path / "again", primary="qwk", subject="binary_decomposition")
    tested = before.scores[before.scores["split"] == "test"].reset_index(drop=True)
    columns = ["variant", "seed", "stage", "task", "n", "accuracy", "mae", "qwk", "log_loss", "rps", "ece"]
    pd.testing.assert_frame_equal(
        after.scores[columns].sort_values(columns[:4]).reset_index(drop=True),
        tested[columns].sort_values(columns[:4]).reset_index(drop=True),
        rtol=1e-5,
    )
    same = ["variant", "stage", "task", "measure", "mean", "low_adjusted", "high_adjusted"]
    asked = before.asking(primary="qwk", subject="binary_decomposition").differences
    pd.testing.assert_frame_equal(after.differences[same], asked[same], rtol=1e-5)


def test_a_table_is_measured_as_numpy_measures_it(table, tmp_path):
    path = table(*rows("a", (0.9, 0.1, 0.2, 0.8)), *rows("b", (0.1, 0.9, 0.9, 0.9)))
    study = from_predictions(path, tmp_path / "run")
    probs = np.array([[s, 0.5 - s / 2, 0.5 - s / 2] for s in (0.9, 0.1, 0.2, 0.8)])
    labels = np.array([0, 2, 1, 2])
    expected = metrics.summary(labels, probs.argmax(1), num_classes=3, probs=probs)
    scores = study.scores.set_index("variant").loc["a"]
    assert {name: scores[name] for name in expected} == pytest.approx(expected, rel=1e-6, nan_ok=True)
    kept = record.read(tmp_path / "run" / "cells" / "a-s0").models["grader"].splits["test"]
    assert kept.columns["group"].tolist() == ["p0", "p0", "p1", "p1"]
    np.testing.assert_allclose(kept.tasks["icm"].scores, probs @ [0, 1, 2], rtol=1e-6)
    assert study.reference == "a"


def test_people_stand_beside_the_variants(table, tmp_path):
    annotated = tmp_path / "people.csv"
    said = ("ann", "CABA"), ("bob", "CABB"), ("eve", "AABC")
    lines = [f"e{n},{who},icm,{grade}" for who, grades in said for n, grade in enumerate(grades)]
    annotated.write_text("\n".join(["item,rater,task,value", *lines]) + "\n")
    path = table(*rows("a", (0.9, 0.1, 0.2, 0.8)))
    study = from_predictions(path, tmp_path / "run", raters=annotated, votes=("eve", "ann", "bob"))
    column = study.cells[0].tested("grader").columns["rater_icm"]
    assert column[0].tolist() == [2, 0, 0]  # eve, ann and bob, in the order that was asked for
    assert study.cells[0].record.dataset["raters"] == ["eve", "ann", "bob"]
    # Each against the vote of the other two, of ties the lower: e0 eve C≠A, ann A|C→C, bob C; e3: of 3 grades.
    row = study.raters[study.raters["ties"] == "low"].iloc[0]
    assert row["n"] == 4
    assert row["human"] == pytest.approx(np.mean([2 / 3, 1, 1, 0]))
    # Predicted: C (0.9), B by the first of two alike, B, C: against the votes C C C, A A A, B B B, B C C.
    assert row["model"] == pytest.approx(np.mean([1, 0, 1, 2 / 3]))


def test_people_who_graded_other_items_or_are_not_there_are_refused(table, tmp_path):
    path, annotated = table(*rows("a", (0.9, 0.1, 0.2, 0.8))), tmp_path / "people.csv"
    annotated.write_text("item,rater,task,value\nq,ann,icm,A\nq,bob,icm,C\n")
    with pytest.raises(UserError, match=r"none of the items: theirs are named as q, .* as e0"):
        from_predictions(path, tmp_path / "run", raters=annotated)
    with pytest.raises(UsageError, match="--votes"):
        from_predictions(path, tmp_path / "run", votes=("ann",))
    with pytest.raises(UsageError, match="--votes eve: the raters are ann, bob"):
        from_predictions(path, tmp_path / "run", votes=("eve",), raters=table_of(annotated))


def table_of(path):
    path.write_text("item,rater,task,value\ne0,ann,icm,A\ne0,bob,icm,C\n")
    return path


def test_the_command_reports_and_says_where_it_came_from(table, tmp_path, capsys):
    path = table(*rows("a", (0.9, 0.1, 0.2, 0.8)), *rows("b", (0.1, 0.9, 0.9, 0.9)))
    asked = ["import", str(path), "--workdir", str(tmp_path / "run"), "--name", "others", "--licence", "CC BY 4.0"]
    assert main([*asked, "--question", "Whose?", "--reference", "b"]) == 0
    assert "reference b" in capsys.readouterr().out
    page = (tmp_path / "run" / "report" / "report.md").read_text()
    for words in ("Whose?", "CC BY 4.0", "Predictions were made elsewhere", "made elsewhere", "import"):
        assert words in page
    assert main(asked) == 2
    assert "holds something already" in capsys.readouterr().err
    assert main(["review", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "r.html")]) == 2
    assert "give these as INPUT" in capsys.readouterr().err
    assert main(["grade", "--run", str(tmp_path / "run" / "cells" / "a-s0"), str(path)]) in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([*rows("a", (0.9, 0.1, 0.2, 0.8)), *rows("b", (0.9, 0.1, 0.2, 0.8), "CABB")], "a were not tested alike.*e3"),
        ([*rows("a", (0.9, 0.1, 0.2, 0.8)), *rows("b", (0.9, 0.1, 0.2, 0.8))[:3]], "not tested alike.*e3"),
        ([*rows("a", (0.9, 0.1, 0.2, 0.8)), rows("a", (0.9, 0.1, 0.2, 0.8))[0]], "line 6: e0 is there before.*line 2"),
        (["e0,a,icm,C,p,0.9,0.9,0.1"], r"line 2: the probabilities of icm are \[0.9, 0.9, 0.1\]"),
        (["e0,a,icm,C,p,1.5,-0.5,0"], "line 2: the probabilities"),
        (["e0,a,icm,D,p,1,0,0"], "line 2, label: D is none of the grades of icm, C, B, A"),
        (["e0,a,icm,C,p,1,0,x"], "line 2, p_A: x is no number"),
        (["e0,a,icm,C,p,1,0,0", "e1,a,icm,C,p,1,,0"], "line 3, p_B: a blank is no number"),
        (["e0,,icm,C,p,1,0,0"], "line 2: variant ''"),
        (["e0,a,icm,,p,1,0,0"], "line 2: no example of icm has a label"),
        (["e0,a,icm,C,p,1,0,0", "e1,a,te,C,p,1,0,0"], "a, test: e0 has no row of every task"),
        ([",a,icm,C,p,1,0,0"], "line 2: an item has no name"),
        (["e0,a,,C,p,1,0,0"], "line 2: the task is blank"),
    ],
)
def test_a_table_that_is_wrong_is_refused_by_line_and_leaves_nothing(table, tmp_path, lines, words):
    with pytest.raises(UserError, match=words):
        from_predictions(table(*lines), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_table_without_its_columns_or_with_one_grade_says_which(table, tmp_path):
    with pytest.raises(UserError, match="no column label"):
        from_predictions(table("e0,a,icm,1", head="item,variant,task,p_C"), tmp_path / "run")
    with pytest.raises(UserError, match="probabilities of 1 grades"):
        from_predictions(table("e0,a,icm,C,1", head="item,variant,task,label,p_C"), tmp_path / "run")
    with pytest.raises(UsageError, match="reference"):
        from_predictions(table(*rows("a", (0.9, 0.1, 0.2, 0.8))), tmp_path / "run", reference="b")


def test_the_call_is_public():
    assert ordinal_blast.from_predictions is from_predictions
