"""What studies say of the paper's claims, and what Table 7's gain is made of: numbers, verdicts, and the page."""

import dataclasses

import numpy as np
import pytest

from ordinal_blast import report
from ordinal_blast.embryo import claim_blocks, claims, gain_blocks, paper
from ordinal_blast.evaluation import multireader
from ordinal_blast.report import contrasts, load
from ordinal_blast.report.blocks import Part, Table
from ordinal_blast.report.formats import interval, number
from ordinal_blast.report.measures import PRIMARY
from ordinal_blast.report.pictures import Studio

RULES = tuple(
    f"{loss} {rule} {weights}"
    for loss in ("cross_entropy", paper.LOSS)
    for rule in ("mode", "median")
    for weights in ("weighted", "unweighted")
)


@pytest.fixture(scope="module")
def studies(tmp_path_factory, write_run, of_embryos):
    root = tmp_path_factory.mktemp("studies")
    losses = ("cross_entropy", paper.LOSS, "binary_decomposition")
    tasks = ("ICM and TE", "ICM alone", "TE alone")
    runs = {"losses": losses, "multitask": tasks, "frames": ("CNN at tA", "RNN", "CNN at 105 hpi")}
    stages = {"frames": ("grader",)}
    for name, variants in runs.items():
        write_run(root / name, variants, (0, 1), n=120, stages=stages.get(name, ("cnn", "rnn")), change=of_embryos)
    return [load(root / name) for name in runs]


def by_place(answers):
    return {
        (one.claim.stage, one.claim.variant, one.claim.rivals[one.task], one.task, one.measure.key): one
        for one in answers
    }


def test_claims_that_a_study_can_answer_are_those_whose_variants_it_has(studies):
    answers = claims.said(studies)
    texts = [one.claim.text for one in answers[::4]]
    assert texts == [
        "The ordinal cross-entropy grades better than the categorical cross-entropy",
        "The ordinal cross-entropy grades better than the ordinal binary decomposition",
        "The recurrent network on a sequence grades better than the CNN at tA",
        "The CNN grades better at tA than at 105 hpi",
        "The CNN grades better when it learns both tasks than one",
        "The recurrent network grades better when it learns both tasks",
    ]
    assert claims.said(studies[1:2])[0].claim.kind == claims.TASKS
    assert claims.said([]) == []


def test_a_claim_has_the_difference_of_both_variants_here_and_in_the_paper(studies):
    of = by_place(claims.said(studies))
    one = of["cnn", paper.LOSS, "cross_entropy", "icm", "accuracy"]
    scores = studies[0].scores.query("stage == 'cnn' and task == 'icm' and split == 'test'")
    means = scores.groupby("variant", observed=True)["accuracy"].mean()
    assert one.mean == pytest.approx(means[paper.LOSS] - means["cross_entropy"])
    assert one.paper == pytest.approx(0.639 - 0.610)
    assert of["grader", "RNN", "CNN at tA", "te", "mse"].paper == pytest.approx(0.361 - 0.383)
    assert of["rnn", "ICM and TE", "TE alone", "te", "accuracy"].paper == pytest.approx(0.696 - 0.680)
    assert of["cnn", "ICM and TE", "ICM alone", "icm", "mse"].paper == pytest.approx(0.417 - 0.431)
    assert one.comparisons == 8  # two rivals, two tasks, two measures
    assert (one.seeds, one.n) == (2, 117)


def test_the_interval_of_a_claim_holds_the_one_that_is_not_adjusted(studies):
    one = by_place(claims.said(studies))["cnn", paper.LOSS, "cross_entropy", "te", "mse"]
    rows = studies[0].differences.query(
        f"stage == 'cnn' and task == 'te' and measure == 'mse' and variant == '{paper.LOSS}'"
    )
    assert one.mean == pytest.approx(rows["mean"].item())
    assert one.low < rows["low"].item() < one.mean < rows["high"].item() < one.high


def test_every_claim_is_a_sentence_and_a_line_with_what_supports_it(studies):
    (section,) = claim_blocks.sections(studies, Studio("several", studies[0]))
    bullets, _, *parts = section.blocks
    assert [part.title for part in parts] == [
        claims.LOSSES,
        claims.TIME,
        claims.TASKS,
        "Embryologists, outcome, cropper",
    ]
    assert len(bullets.items) == 6 + 2 + 2 + 1
    one = by_place(claims.said(studies))["cnn", paper.LOSS, "cross_entropy", "icm", "accuracy"]
    (table,) = parts[0].blocks
    assert table.header == ["Claim", "ICM Accuracy ↑", "ICM MSE ↓", "TE Accuracy ↑", "TE MSE ↓"]
    entry = table.lines[0].entries[0]
    assert entry.text == number(one.mean, sign=True)
    assert entry.small == interval(one.low, one.high)
    assert [line.head for line in table.lines[1::2]] == ["in the paper"] * 2
    assert [entry.text for entry in table.lines[1].entries] == ["+0.029", "−0.086", "+0.008", "−0.061"]
    human, *_, cropper = parts[-1].blocks[0].lines
    row = studies[0].raters.query(
        f"variant == '{paper.LOSS}' and stage == 'rnn' and task == 'icm' and ties == 'median'"
    )
    assert human.entries[1].text == number(-row["mean"].item(), sign=True)
    assert [entry.text for entry in human.entries[:1]] == ["+0.068"]
    assert [entry.text for entry in cropper.entries] == ["0.960", "0.810", "contradicted"]


def test_the_page_of_several_studies_begins_with_the_claims_and_that_of_one_has_none(studies, tmp_path):
    report.write(studies, tmp_path / "all", "the command")
    report.write(studies[:1], tmp_path / "one", "the command")
    texts = [(tmp_path / name / "report.md").read_text() for name in ("all", "one")]
    assert texts[0].startswith("# What the studies say together")
    assert "## The claims of the paper" in texts[0]
    assert "The claims of the paper" not in texts[1]


@pytest.fixture(scope="module")
def apart(tmp_path_factory, write_run, of_embryos):
    return load(write_run(tmp_path_factory.mktemp("rules"), RULES, (0, 1, 2), n=120, change=of_embryos))


def test_decision_and_loss_add_up_to_the_gain_and_the_weights_are_a_difference_of_gains(apart):
    (section,) = gain_blocks.sections(apart, Studio("key", apart))
    assert section.title == "Table 7 taken apart"
    part = next(block for block in section.blocks if isinstance(block, Part) and block.title == "CNN")
    icm = next(block for block in part.blocks if isinstance(block, Table))
    assert icm.header == ["", "Accuracy ↑", "MSE ↓", "MAE ↓"]
    values = np.array([[float(entry.text.replace("−", "-")) for entry in line.entries] for line in icm.lines])
    gain, decision, loss, without, weights, own = values
    np.testing.assert_allclose(decision + loss, gain, atol=2e-3)  # three decimals each
    np.testing.assert_allclose(gain - without, weights, atol=2e-3)
    scores = apart.scores.query("stage == 'cnn' and task == 'icm' and split == 'test'")
    means = scores.groupby("variant", observed=True)["mae"].mean()
    assert own[2] == pytest.approx(
        means["cross_entropy mode weighted"] - means["cross_entropy mode unweighted"], abs=1e-3
    )


def test_other_studies_are_not_taken_apart(studies):
    assert gain_blocks.sections(studies[0], Studio("key", studies[0])) == []


def test_what_weights_add_has_the_interval_of_a_difference_of_differences(apart):
    groups = {(group.stage, group.task): group for group in apart.groups()}
    group = groups["cnn", "te"]
    share = gain_blocks.SHARES[4]
    labels = group.of(group.cells[0]).labels[group.known]
    order = (*share.plus, *share.minus)
    grades = np.stack([group.seeded(variant, (0, 1, 2), "grades")[:, group.known] for variant in order])
    whole = multireader.measure("mae", labels, grades, num_classes=3, cases=group.patients)
    gaps = np.array([1, 1, -1, -1]) @ whole.values
    mae = next(measure for measure in PRIMARY if measure.key == "mae")
    asked = contrasts.ask(group, mae, share.plus, share.minus)
    assert asked.tested.differences["plus"].estimate == pytest.approx(gaps.mean())
    (joint,) = asked.tested.joints
    alone = joint.comparison.difference(1, 0, "seeds")
    assert alone.standard_error == pytest.approx(gaps.std(ddof=1) / np.sqrt(3))
    assert contrasts.ask(group, mae, ["nothing"], share.minus[:1]) is None


def test_several_sets_that_embryologists_graded_have_a_line_each(tmp_path, write_run, of_embryos):
    def change(kept):
        kept = of_embryos(kept)
        for model in kept.models.values():
            other = model.splits["panel"]
            model.splits["panel2"] = dataclasses.replace(other, name="panel2")
        return kept

    write_run(tmp_path / "a", ("cross_entropy", paper.LOSS), (0, 1), n=120, change=change)
    study = load(tmp_path / "a")
    (section,) = claim_blocks.sections([study], Studio("key", study))
    heads = [line.head for line in section.blocks[-1].blocks[0].lines]
    assert [head.partition("does, ")[2] for head in heads[:4]] == [
        "ICM, set panel",
        "TE, set panel",
        "ICM, set panel2",
        "TE, set panel2",
    ]
