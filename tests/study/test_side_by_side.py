"""Seeds of a variant that are trained as one program leave what they leave one by one."""

import json

import numpy as np
import pytest

from ordinal_blast import record, settings
from ordinal_blast.study import plan as plans
from ordinal_blast.study import runner, session
from ordinal_blast.training import stacked

VARIANTS = {
    "corn": {"objective.name": "corn"},
    "corn median": {"objective.name": "corn", "objective.rule": "median"},
    "oll": {"objective.name": "oll"},
}


pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for holdout in range(3):
        rng = np.random.default_rng(holdout)
        for kind, count in (("train", 60), ("test", 20)):
            x = rng.normal(5, 3, count)
            table = np.column_stack([x, 1 + np.digitize(x, [4, 6])])
            np.savetxt(folder / f"{kind}_ERA_{holdout}.csv", table, delimiter=",", fmt="%.9g")
    return {
        "devices": 1,
        "track": ("jsonl",),
        "data.root": str(folder),
        "data.cache": str(folder / "cache"),
        "data.options.grades": ("a", "b", "c"),
        "mlp.network.options.widths": (4,),
        "mlp.training.epochs": 3,
        "mlp.training.batch_size": 16,
    }


def go(overrides, root, devices=1, **changes):
    base = settings.load("configs/era.py", overrides | changes)
    plan = plans.of_variants("A question?", VARIANTS.items(), base, 3)
    return runner.run(plan, root, "the command", session.begin(devices))


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def records(root):
    return {path.name: record.read(path) for path in (root / "cells").iterdir()}


@pytest.fixture(scope="module")
def runs(overrides, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    assert [go(overrides, root / name, stack=stack) for name, stack in (("one", 1), ("beside", 0))] == [[], []]
    return root


def test_records_are_those_of_one_by_one_and_say_how_many_were_trained_beside(runs):
    one, beside = records(runs / "one"), records(runs / "beside")
    assert one.keys() == beside.keys()
    for name, expected in one.items():
        got = beside[name]
        assert (got.identity, got.provenance) == (expected.identity, expected.provenance)
        for split in ("train", "val", "test"):
            a, b = (x.models["mlp"].splits[split].tasks["grade"] for x in (expected, got))
            np.testing.assert_allclose(b.outputs, a.outputs, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(b.loss, a.loss, rtol=1e-5)
        assert expected.models["mlp"].training.get("side_by_side") is None
        assert got.models["mlp"].training["side_by_side"] == 3
        assert got.models["mlp"].training.get("shared_with") == expected.models["mlp"].training.get("shared_with")


def test_what_cannot_be_trained_side_by_side_is_said_and_goes_one_by_one(
    runs, overrides, tmp_path, monkeypatch, capsys
):
    def refused(*_):
        raise MemoryError("no room for three")

    monkeypatch.setattr(stacked.parallel, "stacked_steps", refused)
    assert go(overrides, tmp_path) == []
    said = capsys.readouterr().err
    assert "corn: its seeds go one by one, for side by side: MemoryError: no room for three" in said
    assert record.read(tmp_path / "cells" / "corn-s0").models["mlp"].training.get("side_by_side") is None


def test_on_four_devices_they_are_the_same(runs, overrides, tmp_path):
    assert go(overrides, tmp_path, devices=4) == []
    one, four = records(runs / "one"), records(tmp_path)
    assert one.keys() == four.keys()
    for name, expected in one.items():
        assert four[name].models["mlp"].training["side_by_side"] == 3  # a lane of four computes for nothing
        assert four[name].provenance["device"].startswith("4 x cpu")
        for split in ("train", "val", "test"):
            a, b = (x.models["mlp"].splits[split].tasks["grade"] for x in (expected, four[name]))
            np.testing.assert_allclose(b.outputs, a.outputs, rtol=1e-5, atol=1e-5)


def test_lines_and_checkpoints_lie_with_each_cell(runs):
    for name in ("corn-s0", "corn-s2", "oll-s1"):
        one, beside = (runs / run / "cells" / name for run in ("one", "beside"))
        lines = [lines_of(path / "metrics.jsonl") for path in (one, beside)]
        for a, b in zip(*lines, strict=True):
            assert {k: b[k] for k in b.keys() - {"seconds"}} == pytest.approx(
                {k: a[k] for k in a.keys() - {"seconds"}}, 1e-5
            )
        assert (beside / "checkpoints" / "seal.json").is_file()
    tracked = lines_of(runs / "beside" / "tracking.jsonl")
    assert [line["epoch"] for line in tracked if line["cell"] == "oll-s1" and "epoch" in line] == [1, 2, 3]


def test_a_cell_trained_beside_others_is_the_same_cell(runs, overrides, capsys):
    assert go(overrides, runs / "beside", stack=1) == []
    assert capsys.readouterr().err.count("finished before") == len(VARIANTS) * 3


def test_the_programs_of_so_many_variants_are_let_go_of_and_nothing_else_changes(
    overrides, runs, tmp_path, monkeypatch
):
    forgotten = []
    monkeypatch.setattr(runner, "_PROGRAMS", 1)
    monkeypatch.setattr(runner.compilation, "forget", lambda: forgotten.append(True))
    assert go(overrides, tmp_path) == []
    assert len(forgotten) == 1  # corn, then oll; the other decides on what corn has learned
    first, again = records(runs / "beside"), records(tmp_path)
    assert {name: one.models["mlp"].splits["test"].tasks["grade"].grades.tolist() for name, one in first.items()} == {
        name: one.models["mlp"].splits["test"].tasks["grade"].grades.tolist() for name, one in again.items()
    }
