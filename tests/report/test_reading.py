"""What is read is what a cell wrote, of that cell, of this plan, from one data set; anything else is one line."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from ordinal_blast import record, report
from ordinal_blast.errors import UserError
from ordinal_blast.report import load

SMALL = {"variants": ("a", "b"), "seeds": (0, 1), "stages": ("rnn",), "tasks": ("icm",), "n": 30}


@pytest.fixture
def run(write_run, tmp_path):
    return write_run(tmp_path / "run", **SMALL)


def flip(path, at=0.5):
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def swap(run):
    a, b = (run / f"cells/{name}/predictions.npz" for name in ("0-s0", "1-s0"))
    content = a.read_bytes(), b.read_bytes()
    a.write_bytes(content[1])
    b.write_bytes(content[0])


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


SPOILED = {
    "no plan": (lambda run: (run / "plan.json").unlink(), "holds no run"),
    "plan cut short": (lambda run: cut(run / "plan.json"), "plan.json"),
    "plan of bytes": (lambda run: (run / "plan.json").write_bytes(b"\xff\x00"), "plan.json"),
    "plan of another schema": (lambda run: edit(run / "plan.json", schema=0), "plan.json has schema 0"),
    "plan that is a list": (lambda run: (run / "plan.json").write_text("[]"), "plan.json"),
    "plan of other types": (lambda run: edit(run / "plan.json", seeds=["x"]), "plan.json"),
    "plan of folders above": (lambda run: edit(run / "plan.json", cells=["../../x"]), "plan.json"),
    "no predictions": (lambda run: (run / "cells/0-s0/predictions.npz").unlink(), "predictions.npz is missing"),
    "predictions cut short": (lambda run: cut(run / "cells/0-s0/predictions.npz"), "predictions.npz is not what"),
    "predictions flipped": (lambda run: flip(run / "cells/0-s0/predictions.npz"), "predictions.npz is not what"),
    "predictions swapped": (swap, "predictions.npz is not what"),
    "result cut short": (lambda run: cut(run / "cells/1-s0/result.json"), "result.json"),
    "result edited": (lambda run: edit(run / "cells/1-s0/result.json", seed=1), "result.json is not what"),
    "result of another schema": (lambda run: edit(run / "cells/1-s0/result.json", schema=9), "result.json"),
    "result that is a number": (lambda run: (run / "cells/1-s0/result.json").write_text("1"), "result.json"),
    "configuration edited": (lambda run: edit(run / "cells/1-s1/config.json", tasks=[]), "config.json is not what"),
    "cell of another name": (
        lambda run: [shutil.rmtree(run / "cells/1-s1"), shutil.copytree(run / "cells/1-s0", run / "cells/1-s1")],
        "result.json is of cell 1-s0",
    ),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_what_is_damaged_or_swapped_is_one_line_that_names_the_file(run, tmp_path, spoiled):
    spoil, message = SPOILED[spoiled]
    spoil(run)
    with pytest.raises(UserError) as caught:
        load(run)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 7}, "cell 1-s0, variant '.*', seed 7"),
        ({"variant": "z"}, "cell 1-s0, variant 'z', seed 0"),
        ({"cell": "z"}, "cell z, variant '.*', seed 0"),
    ],
)
def test_a_cell_that_is_not_planned_is_refused(write_run, tmp_path, other, said):
    change = lambda kept: dataclasses.replace(kept, **other) if kept.cell == "1-s0" else None  # noqa: E731
    with pytest.raises(UserError, match=rf"is of {said}, which plan.json does not have there") as caught:
        load(write_run(tmp_path / "run", change=change, **SMALL))
    assert "\n" not in str(caught.value)


def test_data_that_changed_between_two_cells_are_refused_wherever_they_lay(write_run, tmp_path):
    def change(kept):
        kept.settings["data"].update(root=f"/{kept.cell}", cache=f"/cache/{kept.cell}")
        kept.identity["data"] = "1" * 12 if kept.cell == "1-s0" else "0" * 12

    with pytest.raises(UserError, match="the data changed between cells 0-s0 and 1-s0") as caught:
        load(write_run(tmp_path / "run", change=change, **SMALL))
    assert "\n" not in str(caught.value)


def test_cells_of_other_tasks_may_have_other_data_and_stand_in_the_order_of_the_plan(write_run, tmp_path):
    def change(kept):
        if kept.cell[0] == "1":
            kept.settings["tasks"] = ["icm", "te"]
            kept.identity["data"] = "1" * 12

    cells = load(write_run(tmp_path / "run", change=change, **SMALL)).cells
    assert [cell.name for cell in cells] == ["0-s0", "0-s1", "1-s0", "1-s1"]
    plan = record.read_plan(tmp_path / "run")
    record.write_plan(tmp_path / "run", plan | {"cells": ["1-s1", "0-s1", "1-s0", "0-s0"]})
    assert [cell.name for cell in load(tmp_path / "run").cells] == [cell.name for cell in cells]


def test_where_the_data_lie_is_no_property_of_them(write_run, tmp_path):
    def change(kept):
        kept.settings["data"].update(root=f"/{kept.cell}", cache=f"/cache/{kept.cell}")

    assert len(load(write_run(tmp_path / "run", change=change, **SMALL)).cells) == 4


def test_the_order_of_examples_does_not_matter(write_run, tmp_path):
    def reverse(kept):
        if kept.cell in ("0-s0", "1-s1"):
            test = kept.models["rnn"].splits["test"]
            result = test.tasks["icm"]
            arrays = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
            arrays = {name: array[::-1] for name, array in arrays.items() if isinstance(array, np.ndarray)}
            tasks, columns = {"icm": dataclasses.replace(result, **arrays)}, {"group": test.columns["group"][::-1]}
            kept.models["rnn"].splits["test"] = dataclasses.replace(
                test, ids=test.ids[::-1], columns=columns, tasks=tasks
            )

    one, other = (load(write_run(tmp_path / f"{change}", change=change, **SMALL)) for change in (None, reverse))
    pd.testing.assert_frame_equal(one.predictions(), other.predictions())


def test_measures_that_are_not_defined_are_told_and_end_nothing(write_run, tmp_path):
    def change(kept):
        absent = {"a": ("mae", "mse") if kept.seed == 0 else (), "b": ("qwk", "mae", "rps")}[kept.variant]
        for model, split, result in kept.results():
            result.measures.update(dict.fromkeys(absent, math.nan))
            split.tasks["icm"] = dataclasses.replace(result, loss=math.inf)
            for line in model.training["history"]:
                line["val_qwk"] = line["val_loss"] = math.nan

    study = load(write_run(tmp_path / "run", change=change, **SMALL))
    page, table = report.write([study], tmp_path / "out", "c"), report.table([study])
    for text in (page.read_text(encoding="utf-8"), (page.parent / "report.md").read_text(encoding="utf-8"), table):
        assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)
    row = next(line for line in table.splitlines() if line.startswith("b "))
    assert row.split()[-1] == "–"  # QWK of b, that exists with no seed
    assert "– where a measure is undefined with one of the seeds" in page.read_text(encoding="utf-8")


def test_no_measure_at_all_is_said(write_run, measured, tmp_path):
    study = load(write_run(tmp_path / "r", change=measured(lambda *_: {"qwk": math.nan}), **SMALL))
    assert "and another variant: nothing is compared" in report.write([study], tmp_path / "out", "c").read_text()
    assert "RNN · ICM" in report.table([study])


def test_examples_that_cells_share_are_held_once_and_what_each_says_of_them_is_its_own(small):
    first, *others = [cell.record.models["rnn"].splits["test"] for cell in load(small).cells]
    assert len(others) == 8
    for split in others:
        assert split.ids is first.ids
        assert split.columns["group"] is first.columns["group"]
        assert split.tasks["icm"].labels is first.tasks["icm"].labels
        assert not np.array_equal(split.tasks["icm"].scores, first.tasks["icm"].scores)
