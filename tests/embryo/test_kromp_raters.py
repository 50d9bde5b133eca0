"""The files of Kromp's raters, in their layout with made-up grades: the consensus, a reversed rater, bad files."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from ordinal_blast import cli, raters
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.report import load

PATIENTS, IMAGES = 45, 2
ORDER = ("Gardner_Expert", *(f"Annotator_{number}" for number in (8, 7, 5, 2, 1, 0)))
APART = tuple(f"Annotator_{number}" for number in (3, 4, 6, 9, 10))
COLUMNS = ("exp", "icm", "te")


def codes(rng, expansion, quality, reverse):
    """What a rater writes of an image: three codes, blanks among them."""
    seen = int(np.clip(np.rint(expansion + rng.normal(0, 0.5)), 0, 4))
    wrote = 4 - seen if reverse else seen
    parts = [int(np.clip(np.rint(1 - q + rng.normal(0, 0.5)), 0, 2)) for q in quality]
    if seen < 2:
        parts = [3, 3]
    if rng.random() < 0.08:
        parts[0] = 3 if parts[0] != 3 else 1  # contradicts the expansion
    return ["" if rng.random() < 0.03 else code for code in (wrote, *parts)]


def consensus(sheets, image):
    """The vote as the authors' program takes it: the first of the most frequent codes, in the order of its raters."""
    votes = {"exp": [], "icm": [], "te": []}
    for rater in ORDER:
        exp, *parts = sheets[rater].get(image, ("", "", ""))
        votes["exp"] += [exp] if exp != "" else []
        for task, code in zip(("icm", "te"), parts, strict=True):
            if code not in ("", 3) and exp not in (0, 1):
                votes[task].append(code)
    exp = max(votes["exp"], key=votes["exp"].count)
    parts = [max(votes[t], key=votes[t].count) if exp > 1 and votes[t] else "ND" for t in ("icm", "te")]
    return [exp, *parts]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A folder with annotations, two networks, and the consensus as the figshare record has it."""
    root, rng = tmp_path_factory.mktemp("kromp"), np.random.default_rng(0)
    images = [f"{patient:04d}_{k:02d}.png" for patient in range(PATIENTS) for k in range(1, IMAGES + 1)]
    truth = {image: (rng.integers(0, 5), rng.normal(0.3, 0.7, 2)) for image in images}
    sheets = {}
    (root / "annotations").mkdir()
    for rater in (*ORDER, *APART):
        seen = [image for image in images if rater == ORDER[0] or rng.random() < 0.6]
        sheets[rater] = {image: codes(rng, *truth[image], rater == "Annotator_4") for image in seen}
        lines = [",".join(map(str, (image, *row))) for image, row in sheets[rater].items()]
        (root / "annotations" / f"{rater}.csv").write_text("\n".join(lines) + "\n")
    for network in ("xception", "swin"):
        folder = root / "model_predictions" / network
        folder.mkdir(parents=True)
        for task, name, size in (("exp", "exp.csv", 5), ("icm", "icm.csv", 4), ("te", "teq.csv", 4)):
            rows = []
            for image in images:
                code = sheets[ORDER[0]][image][COLUMNS.index(task)]
                probs = np.where(np.arange(size) == code, 0.6, 0.4 / (size - 1))
                if network == "swin" and task == "te":
                    probs[:] = np.nan
                rows.append(image + "," + "".join(f"{prob},0.01," for prob in probs))
            (folder / name).write_text("\n".join(rows) + "\n")
    gold = pd.DataFrame([(image, *consensus(sheets, image)) for image in images])
    gold.columns = ["Image", "EXP_gold", "ICM_gold", "TE_gold"]
    for task in COLUMNS:
        gold[f"{task.upper()}_Agreement"] = np.where(gold[f"{task.upper()}_gold"].astype(str) == "ND", "ND", "0,66")
    gold.loc[[3, 8], "EXP_Agreement"] = "revised_cons"
    gold.loc[3, "EXP_gold"] = (gold.loc[3, "EXP_gold"] + 1) % 5
    gold.loc[5, ["TE_gold", "TE_Agreement"]] = "NA"
    gold.astype(str).to_excel(root / "Gardner_test_gold.xlsx", index=False)
    text = gold[["Image", "EXP_gold", "ICM_gold", "TE_gold"]].to_csv(sep=";", index=False, lineterminator=";\r\n")
    (root / "Gardner_test_gold_onlyGardnerScores.csv").write_bytes(text.encode("utf-8-sig"))
    return root


@pytest.fixture(scope="module")
def panel(repository):
    return raters(repository / "annotations", repository / "model_predictions", repository / "Gardner_test_gold.xlsx")


def test_the_vote_is_the_consensus_wherever_that_rests_on_a_vote(panel):
    rows = panel.votes[panel.votes["rests_on_a_vote"]]
    assert (rows["vote"] == rows["released"]).all()
    assert len(rows) == 3 * PATIENTS * IMAGES - 3
    assert rows["tied"].sum() > 5
    counts = panel.released.set_index(["task", "rests_on_a_vote"])
    assert counts.loc[("exp", False)].tolist() == [2, 1]  # discussed again: one of them is another grade
    assert counts.loc[("te", False)].tolist() == [1, 0]
    assert panel.votes.loc[panel.votes["released"] == "not agreed", "vote"].isin(("A", "B", "C", "not defined")).all()


def test_icm_and_te_are_not_defined_where_the_expansion_is_below_stage_3(panel):
    by_task = panel.votes.set_index(["task", "item"])["vote"].unstack("task")
    low = by_task["exp"].isin(("1", "2"))
    assert low.any()
    assert (by_task.loc[low, ["icm", "te"]] == "not defined").all(axis=None)
    assert "entries of icm contradict the expansion by the same rater" in panel.annotations.notes[0]


def test_the_reversed_rater_is_named_with_the_statistic(panel):
    assert panel.raters.loc[panel.raters["says"] == "reversed", ["task", "rater"]].to_numpy().tolist() == [
        ["exp", "Annotator_4"]
    ]
    row = panel.raters.set_index(["task", "rater"]).loc[("exp", "Annotator_4")]
    assert row["tau"] < -0.7
    assert row["tau_high"] < 0
    assert row["magnifier"] < 0.1
    assert any(said.startswith("exp by Annotator_4 is reversed: Kendall's tau-b with the vote") for said in panel.odd())


def test_networks_do_not_vote_and_one_without_probabilities_is_left_out(panel):
    assert panel.networks == ("swin", "xception")
    assert panel.voters == ORDER
    rows = panel.left_out.set_index(["task", "ties", "grader"])
    assert ("te", "share", "swin") not in rows.index
    assert rows.loc[("exp", "share", "xception"), "n"] > 80
    assert any("rows of swin/teq.csv have no probabilities" in note for note in panel.annotations.notes)


def test_the_gold_of_scores_alone_is_read_too(repository):
    of = raters(repository / "annotations", repository / "Gardner_test_gold_onlyGardnerScores.csv")
    sums = of.released.set_index("task")
    assert sums.loc["icm", "equal"] == sums.loc["icm", "items"] == PATIENTS * IMAGES
    assert sums.loc["exp", "equal"] == PATIENTS * IMAGES - 1


def test_the_command_prints_the_tables_and_writes_a_page(repository, tmp_path, capsys):
    arguments = ["raters", str(repository / "annotations"), str(repository / "Gardner_test_gold.xlsx")]
    assert cli.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "exp by Annotator_4 is reversed" in printed
    assert "The average rater who votes, left out and held against the vote of the others (equation 4)" in printed
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Annotator_4" in page
    assert page.count("<img src='data:") == 9
    assert "src='http" not in page
    votes = pd.read_csv(tmp_path / "out" / "rows.csv")
    assert len(votes) == 3 * PATIENTS * IMAGES
    assert {"raters.csv", "left_out.csv", "pairs.csv"} <= {p.name for p in (tmp_path / "out" / "frames").iterdir()}
    assert cli.main([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["voters"] == list(ORDER)
    assert facts["ties"] == "first"
    assert len(facts["votes"]) == 3 * PATIENTS * IMAGES


def test_their_files_and_others_are_not_mixed(repository, tmp_path):
    (tmp_path / "mine.csv").write_text("item,rater,task,value\n")
    with pytest.raises(UsageError, match=r"mine.csv is none of the files of Kromp et al\., and others are: give one"):
        raters(repository / "annotations", tmp_path / "mine.csv")
    with pytest.raises(UsageError, match="have their own grades and encoding"):
        raters(repository / "annotations", grades={"icm": ["C", "B", "A"]})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("Annotator_1.csv", "a_1.png,7,0,0\n", r"Annotator_1.csv, line 1: the code 7 of exp is none of 0 ... 4"),
        ("Annotator_1.csv", "a_1.png,1,0\n", "has 3 entries a line instead of 4: an image and its codes of expansion"),
        ("Annotator_1.csv", "", "Annotator_1.csv has no rows"),
        ("Gardner_test_gold.csv", "Image;EXP_gold\na_1.png;1\n", "has 0 columns named ICM_gold"),
    ],
)
def test_a_file_that_is_not_as_theirs_is_one_clear_line(repository, tmp_path, name, text, message):
    shutil.copytree(repository / "annotations", tmp_path / "annotations")
    (tmp_path / "annotations" / name).write_text(text)
    with pytest.raises(UserError, match=message):
        raters(tmp_path / "annotations")


@pytest.fixture(scope="module")
def networks(repository, tmp_path_factory):
    """The work directory of the published predictions beside the raters."""
    run = tmp_path_factory.mktemp("imported") / "run"
    files = [str(repository / name) for name in ("annotations", "model_predictions", "Gardner_test_gold.xlsx")]
    assert cli.main(["import", *files, "--workdir", str(run), "--primary", "qwk"]) == 0
    return run


def test_published_networks_are_compared_at_the_gold_standard(networks, repository):
    study = load(networks)
    assert study.variants == ("swin", "xception")
    assert [group.variants for group in study.groups()] == [("swin", "xception")] * 2 + [("xception",)]
    gold = pd.read_excel(repository / "Gardner_test_gold.xlsx", dtype=str, keep_default_na=False)
    rows = study.predictions(variant="xception", task="icm").set_index("id").loc[gold["Image"]]
    assert rows["label"].tolist() == gold["ICM_gold"].map({"0": 2, "1": 1, "2": 0, "ND": -1, "NA": -1}).tolist()
    first = pd.read_csv(repository / "model_predictions" / "xception" / "icm.csv", header=None, index_col=0)
    shares = first[[5, 3, 1]].to_numpy()  # C, B, A: the files begin with A, and end with "not defined"
    np.testing.assert_allclose(
        rows.loc[first.index, ["p_C", "p_B", "p_A"]], shares / shares.sum(axis=1, keepdims=True), rtol=1e-6
    )
    assert rows["group"].tolist() == [image[:4] for image in gold["Image"]]


def test_every_rater_has_a_line_at_the_vote_of_the_others(networks, panel):
    page = (networks / "report" / "report.md").read_text()
    table = page[page.index("Everyone at the votes of the others") :]
    lines = {line.split("|")[1].strip(" *"): line for line in table.splitlines()[:16] if line.startswith("|")}
    assert [name for name in lines if name in ORDER] == list(ORDER)
    column = load(networks).cells[0].tested("grader").columns["rater_exp"]
    place = ORDER.index("Annotator_5")
    others = np.delete(column, place, axis=1)
    hits = []
    for own, row in zip(column[:, place], others, strict=True):
        votes = [int((row == k).sum()) for k in range(5)]
        tied = [k for k in range(5) if votes[k] == max(votes) > 0]
        if own >= 0 and tied:
            given = np.median(row[row >= 0])
            hits.append(min(tied, key=lambda k: (abs(k - given), k)) == own)
    assert f"| {len(hits)} | {np.mean(hits):.3f}".replace("0.", ".") in lines["Annotator_5"].replace("0.", ".")


def test_networks_without_the_consensus_are_refused(repository, tmp_path, capsys):
    files = [str(repository / name) for name in ("annotations", "model_predictions")]
    assert cli.main(["import", *files, "--workdir", str(tmp_path / "run")]) == 2
    assert "Gardner_test_gold.xlsx" in capsys.readouterr().err
