"""What a page says of its own numbers: class weights, warnings of the data, hardware, the decision, the split."""

from __future__ import annotations

import dataclasses

import pytest

from ordinal_blast import report
from ordinal_blast.report import load
from ordinal_blast.report.caveats import caveats


@pytest.fixture
def told(write_run, tmp_path):
    """`told(change)`: the caveats of a run of a and b, two seeds, with every record changed so, and the page."""

    def tell(change=None):
        options = {"seeds": (0, 1), "stages": ("rnn",), "tasks": ("icm",), "n": 30}
        study = load(write_run(tmp_path / "run", ("a", "b"), change=change, **options))
        return " ".join(caveats(study)), report.write([study], tmp_path / "out", "c").read_text(encoding="utf-8")

    return tell


def test_class_weights_are_told_with_what_they_do(told):
    assert "class weights" not in told()[0]
    notes, page = told(lambda kept: dataclasses.replace(kept, class_weights="inverse_frequency"))
    assert notes.count("All variants were trained with class weights, which change what a proper loss estimates") == 1
    assert ".10, .38 and .52" in page
    assert ".272, .336 and .392" in page
    # The example: p / frequency, scaled to sum to 1; the first grade at which the sum passes a half is the median.
    weighted = [p / f for p, f in zip((0.10, 0.38, 0.52), (0.13, 0.40, 0.47), strict=True)]
    shares = [each / sum(weighted) for each in weighted]
    assert shares == pytest.approx([0.272, 0.336, 0.392], abs=5e-4)
    assert 0.10 + 0.38 < 0.5 < shares[0] + shares[1]


def test_class_weights_that_are_undone_are_told_as_undone(told):
    def change(kept):
        if kept.variant == "b":
            kept.objective["correct_weights"] = True
            return dataclasses.replace(kept, class_weights="inverse_frequency")

    notes, _ = told(change)
    assert "b was trained with class weights that are undone after training" in notes
    assert "which change what a proper loss estimates" not in notes


@pytest.mark.parametrize(
    ("way", "said"),
    [("adjust_loss", "trained by a loss whose logits rise by 1"), ("adjust_decision", "decided with log")],
)
def test_an_adjustment_of_the_logits_is_told_with_what_probabilities_mean_then(told, way, said):
    def change(kept):
        if kept.variant == "b":
            kept.objective[way] = 1.0

    assert "equally common" not in told()[0]
    notes, _ = told(change)
    assert f"b was {said}" in notes
    assert "those where all grades are equally common" in notes


@pytest.mark.parametrize(("selects", "said"), [(True, ". These also selected the epoch"), (False, ", which selected")])
def test_a_calibration_is_told_with_what_else_its_examples_decided(told, selects, said):
    def change(kept):
        if kept.variant == "b":
            kept.objective["calibration"] = "temperature"
            fitted = {"icm": {"calibration": {"selects_epoch": selects}}}
            models = {name: dataclasses.replace(model, fitted=fitted) for name, model in kept.models.items()}
            return dataclasses.replace(kept, models=models)

    assert "recalibrated" not in told()[0]
    notes, page = told(change)
    sentence = f"b was recalibrated after training, by one temperature fitted to the validation examples{said}"
    assert sentence in notes
    assert "was recalibrated after training, by one temperature" in page


def test_warnings_of_the_data_are_told_once_with_their_seeds(told):
    def change(kept):
        warnings = ("grade A has no example", *["grade B has none"] * (kept.seed == 1))
        return dataclasses.replace(kept, warnings=warnings)

    notes, page = told(change)
    assert notes.count("Data: grade A has no example.") == 1
    assert notes.count("Data (seed 1): grade B has none.") == 1
    assert "grade A has no example" in page


def test_hardware_and_threads_are_told_and_where_cells_differ_all_of_them(told):
    same, _ = told()
    assert (
        "All cells ran on 1 x cpu (x86_64), 4 threads: other devices, threads or versions differ in round-off" in same
    )

    def change(kept):
        kept.provenance["device"] = f"1 x cpu (x86_64), {1 + kept.seed} threads"

    notes, page = told(change)
    assert "(1 x cpu (x86_64), 1 threads; 1 x cpu (x86_64), 2 threads), which differs in round-off" in notes
    assert ">devices and threads</th><td>1 x cpu (x86_64), 1 threads; 1 x cpu (x86_64), 2 threads</td>" in page


def test_source_text_that_changed_between_cells_is_told(told):
    assert "source text" not in told()[0]
    notes, _ = told(lambda kept: kept.identity["code"].update({"my_loss.py": str(kept.seed)}))
    assert "Cells were made by different source text: my_loss.py changed between them." in notes


def test_the_rule_is_named(told):
    _, page = told(lambda kept: kept.objective.update(rule="native", decides_by="median (fitted cut points)"))
    assert "median (fitted cut points)" in page
    assert ">native<" not in page


def test_few_on_the_smaller_side_are_told(write_run, tmp_path):
    def change(kept):
        labels = kept.models["rnn"].splits["test"].tasks["icm"].labels
        labels[:] = 1
        labels[:6], labels[6:70] = 0, 2  # three patients below, 32 above

    options = {"seeds": (0, 1), "stages": ("rnn",), "tasks": ("icm",), "n": 140, "change": change}
    notes = " ".join(caveats(load(write_run(tmp_path / "run", ("a", "b"), **options))))
    assert "RNN · ICM: fewer than 20 test examples or patients are on the smaller side of ICM > C (3)." in notes
    assert "There are 3 on the smaller side" in notes
    assert "ICM > B" not in notes


def test_a_question_that_was_asked_later_is_told_and_the_page_names_the_command_that_asks_it(write_run, tmp_path):
    study = load(write_run(tmp_path / "run", ("a", "b c"), (0, 1), stages=("rnn",), tasks=("icm",), n=30))
    assert study.asking(primary="mae").otherwise == {}
    assert "Asked of finished runs" not in " ".join(caveats(study))
    later = study.asking(subject="b c").asking(primary=["qwk:icm", "mae"])
    assert caveats(later)[0].startswith(
        "Asked of finished runs, otherwise than their ablation declared: subject “b c”, primary “qwk:icm” and mae."
    )
    page = later.report(tmp_path / "out").read_text(encoding="utf-8")
    assert "--subject &#x27;b c&#x27; --primary qwk:icm --primary mae" in page.replace("&#39;", "&#x27;")
