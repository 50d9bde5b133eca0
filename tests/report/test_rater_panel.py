"""A panel of raters from a long table: who is odd, who votes, and what the frames rest on."""

import numpy as np
import pandas as pd
import pytest

from ordinal_blast import cli, raters
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.evaluation import left_out, metrics

GRADES = np.asarray(("C", "B", "A"))
RATERS = ("Ann", "Ben", "Cora", "Dirk", "Eve", "net")


@pytest.fixture(scope="module")
def table():
    """Four careful raters, of whom Dirk's scale is reversed, one who answers at random, and a network."""
    rng = np.random.default_rng(3)
    quality = rng.normal(size=(90, 1)) + rng.normal(size=(90, 6)) * [0.3, 0.3, 0.3, 0.3, 0.3, 0.4]
    seen = np.digitize(quality, [-0.8, 0.5])
    seen[:, 3] = 2 - seen[:, 3]
    seen[:, 4] = rng.integers(0, 3, 90)
    seen[rng.random(seen.shape) < 0.2] = -1
    return seen


@pytest.fixture(scope="module")
def written(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("raters") / "long.csv"
    rows = [
        (f"e{n}", RATERS[r], "icm", GRADES[table[n, r]], f"p{n // 2}")
        for n, r in np.ndindex(*table.shape)
        if table[n, r] >= 0
    ]
    pd.DataFrame(rows, columns=["item", "rater", "task", "value", "group"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def panel(written):
    return raters(written, networks=["net"])


def test_odd_raters_are_named_and_no_others(panel):
    rows = panel.raters.set_index("rater")
    assert rows["says"].to_dict() == dict.fromkeys(RATERS, "") | {"Dirk": "reversed", "Eve": "at random"}
    assert rows.loc["Dirk", "p_adjusted"] < 0.05
    assert rows.loc["Eve", "tau_low"] < 0 < rows.loc["Eve", "tau_high"]
    assert [said.split(":")[0] for said in panel.odd()] == [
        "icm by Dirk is reversed",
        "icm by Eve cannot be told from grades at random",
    ]


def test_values_are_those_of_the_statistics_on_the_table(panel, table):
    order = [int(item[1:]) for item in panel.annotations.items]
    people, patients = table[order][:, :5], np.asarray(order) // 2
    one = left_out.people(people, "median", num_classes=3, cases=patients)
    row = panel.left_out[(panel.left_out["ties"] == "median") & (panel.left_out["grader"] == "average rater")].iloc[0]
    assert row["accuracy"] == one.values[0, 0]
    assert row["units"] == one.units == 45
    both = (people[:, :2] >= 0).all(axis=1)
    pair = panel.pairs.iloc[0]
    assert pair[["first", "second", "n"]].tolist() == ["Ann", "Ben", both.sum()]
    assert pair["qwk"] == pytest.approx(metrics.qwk(*people[both, :2].T, 3))
    assert panel.distribution["count"].sum() == (people >= 0).sum()


def test_the_average_rater_alone_is_the_one_beside_networks(panel, table):
    people, said = table[:, :5], np.maximum(table[:, 5], 0)
    alone = left_out.people(people, "share", num_classes=3)
    beside = left_out.compare(people, said[None, None], "share", num_classes=3)
    assert alone.values[0, 0] == pytest.approx(beside.values[0, 0], rel=1e-12)
    assert alone.mean(0).ci == pytest.approx(beside.mean(0, "examples").ci, rel=1e-12)


def test_who_votes_can_be_chosen_and_a_released_consensus_compared(written):
    of = raters(written, votes=["Cora", "Ann"], ties="first", released="Ben", networks=["net"])
    assert of.people == ("Cora", "Ann", "Dirk", "Eve")
    votes = of.votes.set_index("item")
    values = pd.read_csv(written).pivot(index="item", columns="rater", values="value")
    expected = values["Cora"].fillna(values["Ann"]).dropna()
    assert (votes.loc[expected.index, "vote"] == expected).all()
    assert of.released.loc[0, "equal"] == (votes["vote"] == votes["released"]).sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"votes": ["Zoe", "Ann"]}, "--votes Zoe: the raters are Ann, "),
        ({"networks": ["Zoe"]}, "--network Zoe: the raters are Ann, "),
        ({"released": "Zoe"}, "--released Zoe: the raters are Ann, "),
        ({"ties": "dice"}, "--ties dice: the rules are low, high, median, drop, first"),
        ({"votes": ["Ann"]}, r"1 of the raters votes \(Ann\): two or more are needed"),
        ({"votes": ["Ann", "net"], "networks": ["net"]}, "--votes net: it is a network, or the released consensus"),
    ],
)
def test_names_and_rules_that_there_are_not_are_refused(written, options, message):
    with pytest.raises(UsageError, match=message):
        raters(written, **options)


def test_raters_with_nothing_in_common_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("item,rater,task,value\ne1,r,t,1\ne2,s,t,2\n")
    with pytest.raises(UsageError, match="no task has two items, or groups, that two of the raters who vote graded"):
        raters(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"cannot read .*b.csv: there is nothing of that name"):
        raters(tmp_path / "b.csv")
    with pytest.raises(UsageError, match="no files"):
        raters()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--grades", "icm"], 2, "argument --grades: 'icm' names no task: give TASK=WORST,...,BEST, such as icm=C,B,A"),
        (["--votes", "Ann,,Ben"], 2, "argument --votes: 'Ann,,Ben' is no list of names"),
        (["--ties", "dice"], 2, "--ties dice: the rules are"),
        (["--encoding", "klingon"], 2, "--encoding klingon: there is no encoding of that name"),
    ],
)
def test_a_bad_command_is_one_clear_line(written, capsys, arguments, code, message):
    assert cli.main(["raters", str(written), *arguments]) == code
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_the_command_leaves_figures_to_the_page(written, tmp_path, capsys):
    assert cli.main(["raters", str(written), "--network", "net", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "━━ icm" in printed
    assert "Dirk" in printed
    assert "<img" not in printed
    assert printed.endswith(f"Report: {tmp_path / 'out' / 'report.html'}\n")
    assert (tmp_path / "out" / "figures" / "raters-icm-by-vote.csv").is_file()


def test_a_rater_with_one_grade_alone_is_named(tmp_path):
    rows = [(f"e{n}", rater, "t", 1 if rater == "Eve" else n % 2) for n in range(20) for rater in ("Ann", "Ben", "Eve")]
    pd.DataFrame(rows, columns=["item", "rater", "task", "value"]).to_csv(tmp_path / "a.csv", index=False)
    of = raters(tmp_path / "a.csv")
    assert of.raters.set_index("rater")["says"].to_dict() == {"Ann": "", "Ben": "", "Eve": "one grade"}
    assert of.odd() == [
        "t by Eve is always the same: Kendall's tau-b with the vote of the others is – no interval, 20 items"
    ]


def test_whole_grades_become_expansion_icm_and_te(tmp_path):
    said = {
        "Ann": ("4AB", "3BC", "2", "5AA", "<3CC", ""),
        "Ben": ("4BB", "3BC", "1", "5AA", "3CC", "4BA"),
        "Eve": ("3AB", "ND", "2", "4AA", "3CB", "4AA"),
    }
    rows = [(f"e{n}", rater, "gardner", text) for rater, texts in said.items() for n, text in enumerate(texts)]
    pd.DataFrame(rows, columns=["item", "rater", "task", "value"]).to_csv(tmp_path / "a.csv", index=False)
    of = raters(tmp_path / "a.csv")
    assert [task.name for task in of.annotations.tasks] == ["expansion", "icm", "te"]
    assert of.annotations.tasks[1].grades == ("C", "B", "A")
    assert of.annotations.grades["expansion"][:, 0].tolist() == [3, 2, 1, 4, -4, -1]
    assert of.annotations.grades["icm"][:, 0].tolist() == [2, 1, -2, 2, 0, -1]
    votes = of.votes.set_index(["task", "item"])["vote"]
    assert votes[("te", "e1")] == "C"
    assert votes[("icm", "e2")] == "not defined"
    (tmp_path / "a.csv").write_text((tmp_path / "a.csv").read_text() + "e9,Ann,gardner,4EE\n")
    with pytest.raises(UserError, match=r"a.csv, line 20: '4EE' is no grade such as 4AA"):
        raters(tmp_path / "a.csv")
