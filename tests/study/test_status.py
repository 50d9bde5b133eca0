"""How far a run is, as it is read from outside: counts, who is at work, and the time that is left."""

import json
import os
import time
import types

import pytest

from ordinal_blast import cli, record, settings
from ordinal_blast.errors import UsageError
from ordinal_blast.study import cell, session, status
from ordinal_blast.study.lock import alone
from ordinal_blast.study.plan import of_variants

VARIANTS = {
    "mode": {"objective.name": "cross_entropy"},
    "median": {"objective.name": "cross_entropy", "objective.rule": "median"},
    "corn": {"objective.name": "corn"},
    "oll": {"objective.name": "oll"},
}


def planned(root, name, variants, seeds=1):
    """A work directory as it stands before any work."""
    plan = of_variants("Which?", variants.items(), settings.load("configs/era.py"), seeds)
    for one in plan.cells:
        folder = record.folder_of(root, one.name)
        folder.mkdir(parents=True)
        record.begin(folder, settings.tree(one.settings), {"variant": one.variant, "data": "d", "code": {}})
    content = {"experiment": name, **plan.question.tree(), "variants": plan.variants, "seeds": plan.seeds}
    record.write_plan(root, content | {"cells": [one.name for one in plan.cells], "command": "ordinal-blast ablate X"})
    return plan


def finish(root, name, seconds=0.0):
    """The cell is finished, so many seconds from now."""
    path = record.folder_of(root, name) / record.RESULT
    path.write_text("{}")
    os.utime(path, (time.time() + seconds,) * 2)


def test_a_run_says_what_is_finished_failed_and_begun_and_how_it_goes_on(tmp_path, capsys):
    planned(tmp_path, "era", VARIANTS)
    finish(tmp_path, "mode-s0")
    (tmp_path / "cells/corn-s0/error.txt").write_text("UserError: too hot\n\nTraceback ...")
    (tmp_path / "cells/oll-s0/metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    (tmp_path / "stages/crops-abc").mkdir(parents=True)
    assert cli.main(["status", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}: 1 of 4 cells finished, 1 failed\n"
        "  cells/corn-s0 failed: UserError: too hot\n"
        "  stages/crops-abc: begun\n"
        "  cells/oll-s0: 2 epochs\n"
        "Nobody is at work; it goes on by: ordinal-blast ablate X\n"
    )
    assert cli.main(["status", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["questions"] == {"": {"cells": 4, "finished": 1, "failed": 1}}
    assert (said["process"], said["seconds_left"]) == (None, None)


def test_the_time_left_is_that_of_trainings_of_this_sitting(tmp_path):
    """Of four trainings, for `median` is decided from what `mode` trained, one was there before and one is done."""
    planned(tmp_path / "a", "era: a", {name: VARIANTS[name] for name in ("mode", "corn")})
    planned(tmp_path / "b", "era: b", VARIANTS)
    planned(tmp_path / "c", "era: c", {"emd": {"objective.name": "squared_emd"}})
    record.write_questions(tmp_path, ["a", "b", "c", "later"])
    finish(tmp_path / "a", "corn-s0", seconds=-60)
    with alone(tmp_path, pytest.fail):
        begun = (tmp_path / ".lock").stat().st_mtime
        os.utime(tmp_path / ".lock", (begun - 30, begun - 30))
        finish(tmp_path / "a", "mode-s0")
        said = status.facts(tmp_path)
        assert said["process"].startswith(f"process {os.getpid()} on ")
        assert said["seconds_left"] == pytest.approx(60, abs=1)  # oll and squared_emd, 30 s like mode
        assert status.text(said).endswith("is at work, about 60 s left")
    assert f"{tmp_path}: 2 of 7 cells finished\n  a: 2 of 2 cells finished\n" in status.text(status.facts(tmp_path))


def test_trainings_are_told_apart_as_the_runner_tells_them(tmp_path):
    plan = planned(tmp_path, "era", VARIANTS, seeds=2)
    theirs = [cell.training_digest(one.settings, "d") for one in plan.cells]
    ours = [status._training(record.folder_of(tmp_path, one.name)) for one in plan.cells]
    assert [theirs.index(one) for one in theirs] == [ours.index(one) for one in ours]


def test_progress_takes_the_time_of_trainings_alone(monkeypatch, capsys):
    clock = iter([0.0, 0.0, 100.0, 100.0, 300.0, 300.0])
    monkeypatch.setattr(session, "time", types.SimpleNamespace(perf_counter=lambda: next(clock)))
    progress = session.Progress()
    progress.start(5, trainings=2)
    for text, trained in (("old", False), ("first", True), ("decided", False), ("second", True), ("again", False)):
        progress.finish(text, trained)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "[1/5] old",
        "[2/5] first, about 2 min left",
        "[3/5] decided, about 2 min left",
        "[4/5] second",
        "[5/5] again",
    ]


def test_what_is_no_run_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match=r"holds no run \(no plan.json\): give the --workdir of train, ablate, study"):
        status.facts(tmp_path)
