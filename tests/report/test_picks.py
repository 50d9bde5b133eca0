"""Agreement within groups: the frame against the arrays, and what the page says of it."""

import numpy as np
import pytest

from ordinal_blast.evaluation import agreement, cohorts, simultaneous
from ordinal_blast.report import load, pick_blocks, picks
from ordinal_blast.report.blocks import Table, Text
from ordinal_blast.report.pictures import Studio


def with_outcome(kept):
    """Every example of the test split with an outcome that its label decides, every fifth not known."""
    for model in kept.models.values():
        split = model.splits["test"]
        outcome = (split.tasks["icm"].labels > 1).astype(int)
        outcome[::5] = -1
        split.columns["heartbeat"] = outcome


def alone(kept):
    """Every example of the test split in a group of its own."""
    for model in kept.models.values():
        model.splits["test"].columns["group"] = model.splits["test"].ids


@pytest.fixture(scope="module")
def study(write_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("picks")
    return load(write_run(path, ("cross_entropy", "coral", "median"), stages=("rnn",), n=60, change=with_outcome))


def arrays(study, variant, task="icm"):
    split = study.cells[0].tested("rnn")
    cells = [cell for cell in study.cells if cell.variant == variant]
    return split.columns["group"], np.stack([cell.tested("rnn").tasks[task].scores for cell in cells]).astype(float)


def row_of(study, measure, variant, task="icm", target=""):
    rows = study.agreement.set_index(["task", "variant", "measure", "target"]).sort_index()
    return rows.loc[(task, variant, measure, target)]


@pytest.mark.parametrize(
    ("measure", "call"),
    [
        ("kendall_w", agreement.kendalls_w),
        ("rank_correlation", agreement.rank_correlation),
        ("top1", agreement.top_agreement),
    ],
)
def test_agreement_over_seeds_is_that_of_the_scores(study, measure, call):
    groups, scores = arrays(study, "coral")
    row, by_hand = row_of(study, measure, "coral"), call(scores, groups)
    assert (row["estimate"], row["low"], row["high"], row["chance"]) == (
        *[by_hand.estimate, *by_hand.ci],
        by_hand.chance,
    )
    assert (row["groups"], row["examples"], row["seeds"], row["basis"]) == (30, 60, 3, "seeds and examples")


def test_the_reference_is_met_by_other_seeds_of_it(study):
    groups, scores = arrays(study, "coral")
    _, reference = arrays(study, "cross_entropy")
    by_hand = agreement.top_agreement(scores, groups, reference)
    assert row_of(study, "top1_reference", "coral")["estimate"] == by_hand.estimate
    assert "top1_reference" not in set(study.agreement.query("variant == 'cross_entropy'")["measure"])


@pytest.mark.parametrize(
    ("measure", "call"), [("c_index", cohorts.c_index), ("critical_errors", cohorts.critical_errors)]
)
@pytest.mark.parametrize("target", ["icm", "heartbeat"])
def test_grades_and_outcomes_are_met_where_they_are_known(study, measure, call, target):
    groups, scores = arrays(study, "median")
    split = study.cells[0].tested("rnn")
    labels = split.tasks["icm"].labels if target == "icm" else split.columns["heartbeat"]
    known = labels >= 0
    by_hand = call(labels[known], scores[None][..., known], groups[known])
    row = row_of(study, measure, "median", target=target)
    assert (row["estimate"], row["groups"]) == (by_hand.mean(0).estimate, by_hand.units)
    if row["groups"] >= picks.FEW:
        assert (row["low"], row["high"]) == simultaneous.interval(by_hand.mean(0), bounds=(0, 1))
    else:
        assert row["why"] == "too few for an interval"


def test_all_tasks_are_one_by_the_sum_of_their_scores(study):
    groups, icm = arrays(study, "coral")
    _, te = arrays(study, "coral", "te")
    row = row_of(study, "top1", "coral", task="icm + te")
    assert row["estimate"] == agreement.top_agreement(icm + te, groups).estimate
    assert set(study.agreement.query("task == 'icm + te'")["target"]) == {"", "heartbeat"}


def test_the_page_says_the_share_its_interval_and_chance(study):
    studio, (group, _) = Studio("x", study), study.groups()
    (part,) = pick_blocks.blocks(study, group, studio)
    row = row_of(study, "top1", "cross_entropy")
    sentence, table = part.blocks[0], part.blocks[1]
    assert isinstance(sentence, Text)
    assert isinstance(table, Table)
    assert sentence.text == (
        f"Two seeds of cross_entropy pick the same example of a group in {100 * row['estimate']:.0f} % of 30 groups "
        f"(95 % interval {100 * row['low']:.0f} % to {100 * row['high']:.0f} %); picks at random would in 50 %."
    )
    assert [line.head for line in table.lines] == [*study.variants, "at random"]
    assert table.header[:3] == ["Variant", "Same pick twice ↑", "As the reference"]
    (part,) = pick_blocks.together(study, "rnn", studio, "treatment", "embryo")
    assert part.title == "RNN: would it pick the same embryo twice?"


def test_a_variant_with_the_scores_of_another_is_named_and_not_shown(study, write_run, tmp_path):
    def copied(kept):
        for _, _, result in kept.results():
            result.scores[:] = np.arange(len(result.scores)) % (3 + kept.seed)

    same = load(write_run(tmp_path, ("cross_entropy", "coral"), stages=("rnn",), n=30, change=copied))
    (part,) = pick_blocks.blocks(same, same.groups()[0], Studio("x", same))
    assert [line.head for line in part.blocks[1].lines] == ["cross_entropy", "at random"]
    notes = [block.text for block in part.blocks[2:]]
    assert "coral has the scores of cross_entropy, and so its picks." in notes


@pytest.mark.parametrize("drawn", [{"change": alone}, {"resplit": True}])
def test_without_groups_or_on_other_examples_nothing_is_said(write_run, tmp_path, drawn):
    study = load(write_run(tmp_path, ("cross_entropy", "coral"), (0, 1), stages=("rnn",), n=30, **drawn))
    assert study.agreement.empty
    assert list(study.agreement.columns) == list(picks.COLUMNS)
    assert pick_blocks.blocks(study, study.groups()[0], Studio("x", study)) == []


def test_one_seed_has_an_order_but_no_agreement(write_run, tmp_path):
    study = load(write_run(tmp_path, ("cross_entropy", "coral"), (0,), stages=("rnn",), n=60))
    assert set(study.agreement["measure"]) == {"critical_errors", "c_index"}
    assert set(study.agreement["basis"]) == {"examples"}
    (part,) = pick_blocks.blocks(study, study.groups()[0], Studio("x", study))
    assert isinstance(part.blocks[0], Table)
    assert "1 seed;" in part.blocks[0].caption


def test_scores_that_are_all_alike_rank_nothing(write_run, tmp_path):
    def flat(kept):
        for _, _, result in kept.results():
            result.scores[:] = 0.0

    study = load(write_run(tmp_path, ("cross_entropy", "coral"), stages=("rnn",), n=30, change=flat))
    assert set(study.agreement["measure"]) == {"top1", "top1_reference", "critical_errors", "c_index"}
    top = study.agreement.query("measure == 'top1'")
    assert top["estimate"].tolist() == top["chance"].tolist()
