"""A record is read as it was written; files that do not belong together are refused, each in one line."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from ordinal_blast import record
from ordinal_blast.errors import UserError
from ordinal_blast.record import Examples, Model, Record, Split, TaskResult
from ordinal_blast.types import Task

PLAN = {
    "schema": 2,
    "experiment": "e",
    "question": "",
    "reference": "a",
    "variants": ["a"],
    "seeds": [0],
    "cells": ["a-s0"],
    "command": "c",
}


def result(seed=0, **changes):
    said = TaskResult(
        Task("icm", ("C", "B", "A")),
        labels=np.array([0, 2, -1]),
        weights=np.array([1, 1, 0], np.float32),
        outputs=np.arange(9.0).reshape(3, 3) + seed,
        probs=np.full((3, 3), 1 / 3),
        grades=np.array([0, 1, 2]),
        scores=np.array([0.1, 1.2, 1.9]),
        measures={"mae": 0.1 + seed, "qwk": float("nan")},
        loss=float("inf"),
    )
    return dataclasses.replace(said, **changes)


def example(seed=0, columns=None, **changes) -> Record:
    """A cell of one stage, one split and one task."""
    said = result(seed, **changes)
    ids = np.array(["x", "y", "z"])
    columns = {"group": np.array(["p", "p", "q"]), "a/b": np.arange(3)} if columns is None else columns
    split = Split("test", ids, columns, {"icm": said})
    history = [{"epoch": 1, "val_loss": float("nan")}]
    model = Model(
        "rnn", {"test": split}, {"epochs": 1, "history": history}, (4, 2), "float32", {"icm": {"cuts": [0.5]}}
    )
    return Record(
        cell=f"corn-s{seed}",
        variant="corn",
        seed=seed,
        experiment="e",
        settings={"objective": {"name": "corn"}, "seed": seed},
        identity={"variant": "corn", "data": "0", "code": {}},
        objective={"name": "corn", "options": {}, "decides_by": "mode"},
        class_weights="none",
        measures={"within_two": True},
        dataset={"name": "synthetic"},
        warnings=("no A",),
        stages={"rnn": {}},
        provenance={"device": "cpu"},
        published={},
        models={"rnn": model},
        examples=Examples(np.zeros((2, 4, 4, 1), np.uint8), ids[:2]),
    )


@pytest.fixture
def cell(tmp_path):
    record.write(tmp_path / "cell", example())
    return tmp_path / "cell"


def plain(value):
    """Everything that a record holds, to be compared."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def test_what_is_written_is_read(cell):
    assert record.finished(cell)
    written, read = plain(example()), plain(record.read(cell))
    said = read["models"]["rnn"]["splits"]["test"]["tasks"]["icm"]
    assert np.isnan(said["loss"])  # JSON has no infinity
    assert said["outputs"].dtype == said["probs"].dtype == said["scores"].dtype == np.float32
    assert read["models"]["rnn"]["training"]["history"] == [{"epoch": 1, "val_loss": None}]
    written["models"]["rnn"]["training"]["history"][0]["val_loss"] = None
    written["models"]["rnn"]["splits"]["test"]["tasks"]["icm"]["loss"] = float("nan")
    np.testing.assert_equal(_narrow(read), _narrow(written))


def _narrow(value):
    if isinstance(value, dict):
        return {key: _narrow(item) for key, item in value.items()}
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def test_people_read_one_row_per_stage_task_and_split(cell):
    (row,) = json.loads((cell / "result.json").read_text())["rows"]
    assert row == {
        "model": "rnn",
        "split": "test",
        "task": "icm",
        "n": 2,
        "num_classes": 3,
        "grades": ["C", "B", "A"],
        "metrics": {"mae": 0.1, "qwk": None},
        "loss": None,
    }


def test_the_headline_is_the_last_stage_by_task_without_its_predictions(cell):
    (cell / "predictions.npz").unlink()
    np.testing.assert_equal(record.headline(cell), {"icm": float("nan")})


def test_the_headline_is_that_of_the_test_set_of_the_last_stage(tmp_path):
    def model(name, test, val):
        splits = {
            split: Split(split, np.array(["x", "y", "z"]), {}, {"icm": result(measures={"qwk": qwk})})
            for split, qwk in (("test", test), ("val", val))
        }
        return Model(name, splits, {}, (4,), "float32", {})

    models = {"cnn": model("cnn", 0.1, 0.2), "rnn": model("rnn", 0.3, 0.4)}
    record.write(record.folder_of(tmp_path, "a-s0"), dataclasses.replace(example(), models=models))
    assert record.folder_of(tmp_path, "a-s0") == tmp_path / "cells" / "a-s0"
    assert record.headline(tmp_path / "cells" / "a-s0") == {"icm": 0.3}


def test_a_record_of_another_schema_is_refused_whole_as_it_is(cell, monkeypatch):
    monkeypatch.setattr(record, "SCHEMA", 1)
    record.write(cell, example())
    monkeypatch.setattr(record, "SCHEMA", 2)
    with pytest.raises(
        UserError, match=r"result.json \(schema 1, with digests\) is damaged or was written by another ve"
    ):
        record.read(cell)


def test_what_was_begun_is_told_before_and_after_it_is_finished(tmp_path):
    settings, identity = example().settings, example().identity
    assert record.began(tmp_path) is None
    record.begin(tmp_path, settings, identity)
    assert record.began(tmp_path) == (settings, identity)
    assert not record.finished(tmp_path)
    record.write(tmp_path, example())
    assert record.began(tmp_path) == (settings, identity)
    edit(tmp_path / "result.json", "0.1", "0.2")
    with pytest.raises(UserError, match="is not what its cell wrote"):
        record.began(tmp_path)


UNFIT = {
    "fewer labels": ({"labels": np.zeros(2, int)}, "labels/rnn/test/icm does not fit 3 examples of 3 grades"),
    "a label too low": ({"labels": np.array([0, 1, -2])}, "labels/rnn/test/icm does not fit"),
    "a grade too high": ({"grades": np.full(3, 3)}, "grades/rnn/test/icm does not fit"),
    "no grade": ({"grades": np.array([0, 1, -1])}, "grades/rnn/test/icm does not fit"),
    "grades that are not whole": ({"grades": np.zeros(3)}, "grades/rnn/test/icm does not fit"),
    "scores of NaN": ({"scores": np.full(3, np.nan)}, "scores/rnn/test/icm does not fit"),
    "probabilities of two grades": ({"probs": np.zeros((3, 2))}, "probs/rnn/test/icm does not fit"),
    "fewer outputs": ({"outputs": np.zeros((2, 3))}, "outputs/rnn/test/icm does not fit"),
    "fewer weights": ({"weights": np.zeros(2)}, "weights/rnn/test/icm does not fit"),
    "no label": ({"labels": np.full(3, -1)}, "no test example of rnn/test/icm has a label"),
    "a patient without a name": (
        {"columns": {"group": np.array(["p", "nan", "q"])}},
        "group of rnn/test has no id at 1",
    ),
    "fewer patients": ({"columns": {"group": np.array(["p", "q"])}}, r"group of rnn/test has shape \(2,\), not \(3,\)"),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_arrays_that_do_not_fit_are_named(tmp_path, unfit):
    changes, message = UNFIT[unfit]
    record.write(tmp_path, example(**changes))
    with pytest.raises(UserError, match=message) as caught:
        record.read(tmp_path)
    assert "predictions.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lacking", ["labels/rnn/test/icm", "scores/rnn/test/icm", "ids/rnn/test"])
def test_an_array_that_is_not_there_is_named(tmp_path, monkeypatch, lacking):
    full = record.write_npz
    monkeypatch.setattr(
        record, "write_npz", lambda path, arrays: full(path, {k: arrays[k] for k in arrays if k != lacking})
    )
    record.write(tmp_path, example())
    with pytest.raises(UserError, match=f"lacks {lacking}, which result.json measured"):
        record.read(tmp_path)


def test_a_result_without_a_fact_is_of_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "_HEAD", tuple(key for key in record._HEAD if key != "warnings"))
    record.write(tmp_path, example())
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"result.json lacks warnings: it is of another version"):
        record.read(tmp_path)


def test_an_error_is_told_until_the_cell_has_one_no_more(tmp_path):
    assert record.failure(tmp_path) is None
    (tmp_path / "error.txt").write_bytes(b"ValueError: \xff\n")
    assert record.failure(tmp_path) == "ValueError: \ufffd"


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_edited_result_is_refused(cell):
    edit(cell / "result.json", "0.1", "0.2")
    with pytest.raises(UserError, match=r"result.json is not what its cell wrote .* edited, swapped or damaged"):
        record.read(cell)


def test_an_edited_configuration_is_refused(cell):
    edit(cell / "config.json", "corn", "coral")
    with pytest.raises(UserError, match=r"config.json is not what its cell wrote"):
        record.read(cell)


@pytest.mark.parametrize("name", ["config.json", "predictions.npz", "result.json"])
def test_a_file_swapped_with_that_of_another_cell_is_refused(cell, name):
    other = cell.parent / "other"
    record.write(other, example(seed=1))
    shutil.copy(other / name, cell / name)
    with pytest.raises(UserError, match="is not what its cell wrote"):
        record.read(cell)
    assert record.read(other).seed == 1


@pytest.mark.parametrize("name", ["config.json", "predictions.npz", "result.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone", "folder"])
def test_damage_is_one_line_that_names_the_file(cell, name, damage):
    path = cell / name
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flip":
        content[len(content) // 2] ^= 64
    if damage == "folder":
        path.mkdir()
    elif damage != "gone":
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b""}.get(damage, content))
    with pytest.raises(UserError) as caught:
        record.read(cell)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["[]", "3", '"result"', "null", "{}", '{"schema": 1}', '{"schema": 2}', '{"schema": 2, "digests": {}}']
)
def test_json_that_is_no_result_is_refused(cell, content):
    (cell / "result.json").write_text(content)
    with pytest.raises(UserError, match=r"result.json"):
        record.read(cell)


def test_a_plan_is_read(tmp_path):
    record.write_plan(tmp_path, {key: PLAN[key] for key in PLAN if key != "schema"})
    asked = {"subject": "", "primary": [["mae", ""]], "equivalence": None, "families": {}}
    assert record.read_plan(tmp_path) == PLAN | asked  # of before these were declared


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 1},
        {"seeds": ["0"]},
        {"seeds": 3},
        {"variants": []},
        {"cells": ["../a"]},
        {"cells": [".."]},
        {"cells": [""]},
        {"cells": ["a\0"]},
        {"cells": ["a" * 300]},
        {"cells": PLAN["cells"] * 2},
        {"variants": PLAN["variants"] * 2},
        {"seeds": [0, 0]},
        {"reference": "b"},
        {"command": None},
    ],
)
def test_a_damaged_plan_is_refused(tmp_path, changes):
    (tmp_path / "plan.json").write_text(json.dumps(PLAN | changes))
    with pytest.raises(UserError, match=r"plan.json"):
        record.read_plan(tmp_path)
