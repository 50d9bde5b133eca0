"""What is read is what a cell wrote, of that cell, of this plan, from one data set; anything else is one line."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from ordinal_blast import report
from ordinal_blast.errors import UserError
from ordinal_blast.report.reading import load


@pytest.fixture
def run(write_run, tmp_path):
    options = {"variants": ("a", "b"), "seeds": (0, 1), "models": ("rnn",), "tasks": ("icm",), "n": 30, "epochs": 1}
    return write_run(tmp_path / "run", **options)


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
    for read in (lambda: report.write([run], tmp_path / "out", "c"), lambda: report.table([run])):
        with pytest.raises(UserError) as caught:
            read()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


PLACE = "rnn/test/icm/"
UNFIT = {
    "no scores": (lambda _, arrays: arrays.pop(PLACE + "scores"), "lacks rnn/test/icm/scores"),
    "no test arrays": (lambda _, arrays: [arrays.pop(k) for k in list(arrays) if PLACE in k], "lacks rnn/test/icm/ids"),
    "fewer labels": (lambda _, arrays: arrays.update({PLACE + "labels": arrays[PLACE + "labels"][1:]}), "labels"),
    "a grade too high": (lambda _, arrays: arrays.update({PLACE + "grades": np.full(30, 3)}), "grades"),
    "scores of NaN": (lambda _, arrays: arrays.update({PLACE + "scores": np.full(30, np.nan)}), "scores"),
    "probabilities of two grades": (lambda _, arrays: arrays.update({PLACE + "probs": np.zeros((30, 2))}), "probs"),
    "a patient without a name": (
        lambda _, arrays: arrays.update({"rnn/test/groups": np.array([*["a"] * 9, "nan", *["b"] * 20])}),
        r"predictions.npz: rnn/test/groups\[9\] = 'nan' is no id",
    ),
    "fewer patients": (
        lambda _, arrays: arrays.update({"rnn/test/groups": arrays["rnn/test/groups"][1:]}),
        r"rnn/test/groups must have shape \(30,\) like the labels, found \(29,\)",
    ),
    "no label": (
        lambda _, arrays: arrays.update({PLACE + "labels": np.full(30, -1)}),
        "no test example of rnn/test/icm has a label",
    ),
    "no decision": (lambda result, _: result["objective"].pop("decides_by"), "lacks objective.decides_by"),
    "no warnings": (lambda result, _: result.pop("warnings"), "lacks warnings"),
    "a seed that is not planned": (lambda result, _: result.update(seed=7), "seed 7"),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_arrays_and_keys_that_a_report_needs_are_asked_for_by_name(run, rewrite, unfit):
    change, message = UNFIT[unfit]
    rewrite(run / "cells" / "1-s0", change)
    with pytest.raises(UserError, match=message) as caught:
        load(run)
    assert "\n" not in str(caught.value)


def test_data_that_changed_between_two_cells_are_refused(run, rewrite):
    rewrite(run / "cells" / "1-s0", lambda result, _: result["identity"].update(data="111111111111"))
    with pytest.raises(UserError, match="the data changed between cells 0-s0 and 1-s0") as caught:
        load(run)
    assert "\n" not in str(caught.value)


def test_where_the_data_lie_is_no_property_of_them(run, rewrite):
    config = {"data": {"options": {"holdout": 0}, "root": "/elsewhere", "cache": "/there"}, "tasks": ["icm"]}
    rewrite(run / "cells" / "1-s0", lambda *_: None, config)
    assert len(load(run).cells) == 4


def test_measures_that_are_not_defined_are_told_and_end_nothing(run, rewrite, tmp_path):
    def undefined(*keys):
        def change(result, _):
            for row in result["rows"]:
                row["metrics"].update(dict.fromkeys(keys, float("nan")))
                row["loss"] = float("inf")
            for line in result["training"][0]["history"]:
                line["val_qwk"] = line["val_loss"] = float("nan")

        return change

    for seed in (0, 1):
        rewrite(run / "cells" / f"1-s{seed}", undefined("qwk", "mae", "rps"))
    rewrite(run / "cells" / "0-s0", undefined("mae", "mse"))
    page = report.write([run], tmp_path / "out", "c")
    table = report.table([run])
    for text in (page.read_text(encoding="utf-8"), (page.parent / "report.md").read_text(encoding="utf-8"), table):
        assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)
    row = next(line for line in table.splitlines() if line.startswith("b "))
    assert row.split()[-1] == "–"  # QWK of b, that exists with no seed
    assert "– where a measure is undefined with one of the seeds" in page.read_text(encoding="utf-8")


def test_no_measure_at_all_is_said(write_run, rewrite, tmp_path):
    run = write_run(tmp_path / "r", variants=("a", "b"), seeds=(0, 1), models=("rnn",), tasks=("icm",), n=30, epochs=1)

    def change(result, _):
        for row in result["rows"]:
            row["metrics"] = dict.fromkeys(row["metrics"], float("nan"))

    for folder in run.glob("cells/*"):
        rewrite(folder, change)
    assert "RNN · ICM: no measure has a value." in report.write([run], tmp_path / "out", "c").read_text()
    assert "RNN · ICM" in report.table([run])
