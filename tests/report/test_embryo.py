"""What the embryo wing adds to a report: the paper's tables, embryologists, the outcome, A and C, and the truth."""

import dataclasses

import numpy as np
import pytest

from ordinal_blast import report
from ordinal_blast.embryo import paper
from ordinal_blast.embryo.report import sections
from ordinal_blast.evaluation import roc
from ordinal_blast.report import load
from ordinal_blast.report.blocks import Gallery, Part, Table
from ordinal_blast.report.formats import number
from ordinal_blast.report.pictures import Studio


@pytest.fixture(scope="module")
def told(embryos):
    study = load(embryos)
    return study, {section.title: section for section in sections(study, Studio("key", study))}


def tables(section, title):
    (part,) = [block for block in section.blocks if isinstance(block, Part) and block.title == title]
    return [block for block in part.blocks if isinstance(block, Table)]


def texts(line):
    return [entry.text for entry in line.entries]


def test_sections_of_embryos_are_in_the_order_of_the_paper(told):
    _, of = told
    assert [*of] == [
        "The paper’s tables",
        "Embryologists and networks",
        "Outcome: fetal heartbeat",
        "Choice of an embryo",
        "A and C",
        "What the paper could not show",
        "Cropper",
    ]
    assert of["Cropper"].facts == [("Cropper Dice (test)", "0.810")]


def test_other_studies_have_none(write_run, tmp_path):
    study = load(write_run(tmp_path, ("a",), (0,), n=40, tasks=("grade",)))
    assert sections(study, Studio("key", study)) == []


def test_an_outcome_alone_is_ranked_by_the_scores(write_run, tmp_path):
    def change(kept):
        for model in kept.models.values():
            split = model.splits["test"]
            split.columns["fetal_heartbeat"] = np.random.default_rng(0).integers(-1, 2, len(split.ids))
        return kept

    study = load(write_run(tmp_path, ("a", "b"), (0, 1), n=80, tasks=("grade", "egg"), change=change))
    outcome, choice = sections(study, Studio("key", study))
    assert [part.title for part in outcome.blocks] == ["RNN", "CNN"]
    captions = [table.caption for part in outcome.blocks for table in part.blocks[1:]]
    assert [caption.split(":")[0] for caption in captions] == ["fetal heartbeat, by GRADE + EGG"] * 2
    assert [part.title for part in choice.blocks] == [
        f"{stage}: would it pick the same embryo twice?" for stage in ("RNN", "CNN")
    ]


def test_tables_of_the_paper_have_its_numbers_beside_ours(told):
    study, of = told
    icm, _ = tables(of["The paper’s tables"], "Table 7: losses of the CNN at tA")
    assert [line.head for line in icm.lines] == [
        "categorical cross-entropy (CNN, cross_entropy)",
        "ordinal cross-entropy (CNN, ordinal_cross_entropy)",
    ]
    scores = study.scores.query("stage == 'cnn' and task == 'icm' and split == 'test' and variant == 'cross_entropy'")
    means = [scores[measure].mean() for measure in ("accuracy", "mse")]
    assert texts(icm.lines[0]) == [
        text
        for said, mean in zip((0.610, 0.503), means, strict=True)
        for text in (number(said), number(mean), number(mean - said, sign=True))
    ]
    row = study.means.query("stage == 'cnn' and task == 'icm' and measure == 'mse' and variant == 'cross_entropy'")
    assert icm.lines[0].entries[4].small == f"[{number(row['low'].item())}, {number(row['high'].item())}]"
    frames = tables(of["The paper’s tables"], "Table 3: which frame the CNN sees, and the RNN")
    assert [line.head.split(" (")[0] for line in frames[1].lines] == ["CNN, tA", "RNN"]
    (networks,) = tables(of["The paper’s tables"], "Tables 1, 2 and A.9: networks and cropper")
    assert {line.head: texts(line) for line in networks.lines} == {
        "CNN, parameters": ["2M (table 1; its layers have 20.9M)", "541,123"],
        "RNN, parameters": ["541k (table 2)", "541,123"],
        "CROPPER, parameters": ["469k (table A.9)", "469,089"],
        "cropper, Dice of the test set": ["0.960", "0.810"],
        "of its embryos alone": ["–", "0.700"],
        "of the validation set": ["–", "0.910"],
    }
    dice = networks.lines[3].entries[1].small
    assert (
        dice == f"[{number(0.81 - 1.96 * 0.01)}, {number(0.81 + 1.96 * 0.01)}] 50 images, 14 of them without an embryo"
    )


def test_lines_of_the_paper_agree_where_it_copies_them():
    by = {table.number: {line.name: line.values for line in table.lines} for table in paper.TABLES}
    assert by["Table 3"]["CNN, tA"] == by["Table 4"]["CNN, multi-task"] == by["Table 7"]["ordinal cross-entropy"]
    assert by["Table 3"]["RNN"] == by["Table 4"]["RNN, multi-task"]
    assert {len(values) for values in by["Table 4"].values()} == {2, 4}
    for cnn, rnn, both in paper.SECONDS.values():
        assert cnn + rnn == pytest.approx(both)


def test_embryologists_stand_beside_networks_under_every_rule(told):
    study, of = told
    table, _, everyone = tables(of["Embryologists and networks"], "RNN · ICM")
    assert [line.head for line in everyone.lines] == [*(f"embryologist {r}" for r in range(1, 10)), *study.variants]
    rows = study.raters.query("stage == 'rnn' and task == 'icm'")
    assert len(table.lines) == 2 * 5 + 1
    share = rows[(rows["ties"] == "share") & (rows["variant"] == "cross_entropy")].iloc[0]
    (line,) = [line for line in table.lines if line.head == "cross_entropy, ties: shared"]
    assert texts(line) == [
        number(share["human"]),
        number(share["model"]),
        number(share["mean"], sign=True),
        f"{share['tied']:.1%}",
    ]
    assert texts(table.lines[-1]) == ["0.651", "0.719", "−0.068", "–"]
    cnn, _, _ = tables(of["Embryologists and networks"], "CNN · ICM")
    assert len(cnn.lines) == 10
    agreement = of["Embryologists and networks"].blocks[-1]
    assert agreement.title == "TE: agreement of embryologists"
    given = study.cells[0].record.models["rnn"].splits["panel"].columns["rater_te"]
    assert f"Of {(given >= 0).sum()} annotations, " in agreement.blocks[0].caption


def test_embryologist_and_network_are_on_one_roc(told):
    study, of = told
    part, *_ = of["Outcome: fetal heartbeat"].blocks
    assert part.title == "RNN: embryologist and network"
    gallery, table = part.blocks
    assert isinstance(gallery, Gallery)
    assert len(gallery.pictures) == 2
    split = study.cells[0].tested("rnn")
    labels = {task: result.labels for task, result in split.tasks.items()}
    known = (split.columns["fetal_heartbeat"] >= 0) & (labels["icm"] >= 0) & (labels["te"] >= 0)
    outcome = split.columns["fetal_heartbeat"][known]
    human = np.minimum(labels["icm"], labels["te"])[known]
    network = {"groups": [], "expected": []}
    for cell in (cell for cell in study.cells if cell.variant == "cross_entropy"):
        tasks = cell.tested("rnn").tasks
        network["groups"].append(roc.auc(outcome, np.minimum(tasks["icm"].grades, tasks["te"].grades)[known]))
        network["expected"].append(
            roc.auc(outcome, sum(t.probs.astype(float) @ [0, 1, 2] for t in tasks.values())[known])
        )
    (line,) = [line for line in table.lines if line.head == "cross_entropy"]
    groups, expected, ours = np.mean(network["groups"]), np.mean(network["expected"]), roc.auc(outcome, human)
    signed = [number(gap, sign=True) for gap in (groups - ours, expected - ours, expected - groups)]
    assert texts(line) == [number(groups), number(expected), *signed]
    assert texts(table.lines[-2]) == [number(ours), "–", "–", "–", "–"]
    assert texts(table.lines[-1]) == ["0.66", "–", "+0.02", "–", "–"]
    points = gallery.pictures[1].beside["key-heartbeat-rnn-1.csv"].decode()
    assert points.count("embryologist") == 4  # three points, and the origin


def test_without_the_truth_nothing_is_said_of_it(write_run, tmp_path, of_embryos):
    def change(kept):
        kept = of_embryos(kept)
        for model in kept.models.values():
            for split in model.splits.values():
                for name in [name for name in split.columns if name.endswith("_true") or name.startswith("latent_")]:
                    del split.columns[name]
            model.splits.pop("panel")
        return dataclasses.replace(kept, stages={})

    study = load(write_run(tmp_path, ("cross_entropy",), (0,), n=80, change=change))  # one seed, and one choice
    titles = [section.title for section in sections(study, Studio("key", study))]
    assert titles == ["The paper’s tables", "Outcome: fetal heartbeat", "A and C"]


def test_frames_of_embryos_stand_beside_the_page(write_run, tmp_path, of_embryos):
    study = load(write_run(tmp_path / "run", ("a",), (0,), n=80, stages=("rnn",), change=of_embryos))
    page = report.write([study], tmp_path / "report", "command")
    frames = {path.stem for path in (page.parent / "frames").glob("*.csv")}
    assert {"raters", "extremes", "truths"} <= frames
    assert "steps" not in frames  # of one stage
    assert "Embryologists and networks" in page.read_text()


def test_an_outcome_has_rates_probabilities_picks_and_a_line_for_each_embryologist(write_run, of_embryos, tmp_path):
    def change(kept):
        kept = of_embryos(kept)
        for model in kept.models.values():
            test = model.splits["test"]
            rng = np.random.default_rng(5)
            for task, result in test.tasks.items():
                moved = np.maximum(result.labels, 0)[:, None] + rng.integers(-1, 2, (len(test.ids), 2))
                test.columns[f"rater_{task}"] = np.where(rng.random(moved.shape) < 0.2, -1, np.clip(moved, 0, 2))
            # Other embryos with the same grades: probabilities are fitted there.
            columns = {**test.columns, "group": np.char.add("other-", test.columns["group"])}
            model.splits["val"] = dataclasses.replace(test, name="val", columns=columns)
        return kept

    study = load(write_run(tmp_path, ("ordinal_cross_entropy", "cross_entropy"), (0, 1), n=400, change=change))
    (section,) = [one for one in sections(study, Studio("key", study)) if one.title == "Outcome: fetal heartbeat"]
    rates, probabilities, choices, several = tables(section, "RNN: rates, probabilities and picks")
    assert rates.header[1:] == ["poor (PQB)", "good (GQB)", "top (TQB)"]
    test = study.cells[0].tested("rnn")
    icm, te = (test.tasks[task].labels for task in ("icm", "te"))
    top = (icm == 2) & (te == 2) & (test.columns["fetal_heartbeat"] >= 0)
    assert texts(rates.lines[-1])[2] == number(test.columns["fetal_heartbeat"][top].mean())
    # Fitted where they are tested, they have the level that was seen.
    assert texts(probabilities.lines[0])[0].strip("+−") == "0.000"
    assert choices.lines[-1].head == "at random"
    both = (test.columns["rater_icm"][:, 1] >= 0) & (test.columns["rater_te"][:, 1] >= 0)
    known = both & (test.columns["fetal_heartbeat"] >= 0)
    groups = np.minimum(test.columns["rater_icm"], test.columns["rater_te"])[known, 1]
    area = roc.auc(test.columns["fetal_heartbeat"][known], groups)
    assert texts(several.lines[1])[:2] == [str(known.sum()), number(area)]
