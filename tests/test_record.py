"""Files of a finished cell that do not belong together are refused, each in one line that says which."""

import json
import shutil

import numpy as np
import pytest

from ordinal_blast import record
from ordinal_blast.errors import UserError
from ordinal_blast.storage import write_json

PLAN = {
    "schema": 1,
    "experiment": "e",
    "question": "",
    "reference": "a",
    "variants": ["a"],
    "seeds": [0],
    "cells": ["a-s0"],
    "command": "c",
}


def finish(folder, seed=0):
    write_json(folder / "config.json", {"objective": {"name": "corn"}, "seed": seed})
    rows = [{"task": "grade", "metrics": {"mae": 0.1 + seed, "qwk": float("nan")}}]
    record.write(folder, {"cell": folder.name, "seed": seed, "rows": rows}, {"a/b": np.arange(3.0) + seed})
    return folder


@pytest.fixture
def cell(tmp_path):
    return finish(tmp_path / "cell")


def test_what_is_written_is_read(cell):
    result = record.read_result(cell)
    assert result["rows"][0]["metrics"] == {"mae": 0.1, "qwk": None}
    assert set(result["digests"]) == {"config", "predictions", "result"}
    np.testing.assert_array_equal(record.read(cell)[1]["a/b"], [0, 1, 2])
    assert record.finished(cell)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_edited_result_is_refused(cell):
    edit(cell / "result.json", "0.1", "0.2")
    with pytest.raises(UserError, match=r"result.json is not what its cell wrote .* edited, swapped or damaged"):
        record.read_result(cell)


def test_an_edited_configuration_is_refused(cell):
    edit(cell / "config.json", "corn", "coral")
    with pytest.raises(UserError, match=r"config.json is not what its cell wrote"):
        record.read_result(cell)


@pytest.mark.parametrize("name", ["config.json", "predictions.npz", "result.json"])
def test_a_file_swapped_with_that_of_another_cell_is_refused(cell, name):
    other = finish(cell.parent / "other", seed=1)
    shutil.copy(other / name, cell / name)
    with pytest.raises(UserError, match="is not what its cell wrote"):
        record.read(cell)
    assert record.read_result(other)["seed"] == 1


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
    "content", ["[]", "3", '"result"', "null", "{}", '{"schema": 1}', '{"schema": 2, "digests": {}}']
)
def test_json_that_is_no_result_is_refused(cell, content):
    (cell / "result.json").write_text(content)
    with pytest.raises(UserError, match=r"result.json"):
        record.read_result(cell)


def test_a_plan_is_read(tmp_path):
    write_json(tmp_path / "plan.json", PLAN)
    assert record.read_plan(tmp_path) == PLAN


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
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
