import json
import struct
import sys
import types

import pytest

from ordinal_blast import record, settings
from ordinal_blast.errors import NotInstalled, UsageError
from ordinal_blast.storage import digest
from ordinal_blast.study import events, plan, runner, session, tracking

pytestmark = pytest.mark.usefixtures("compile_quickly")
CELL = "ordinal_cross_entropy-s0"
LINE = {"epoch": 2, "train_loss": 0.5, "val_loss": 0.25, "learning_rate": None, "seconds": 1.0}


def test_the_checksum_is_that_of_the_published_vectors():  # RFC 3720, B.4
    assert events.crc32c(bytes(32)) == 0x8A9136AA
    assert events.crc32c(b"\xff" * 32) == 0x62A8AB43
    assert events.crc32c(bytes(range(32))) == 0x46DD794E
    assert events.crc32c(b"123456789") == 0xE3069283


def varint(data, at):
    number, shift = 0, 0
    while True:
        byte = data[at]
        number, at, shift = number | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            return number, at


def fields(data):
    """The fields of a protocol buffer: number and value, by the wire format alone."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            size, at = {1: (8, at), 5: (4, at)}.get(key & 7) or varint(data, at)
            value, at = data[at : at + size], at + size
        yield key >> 3, value


def values(path):
    """(tag, step, value) of an event file, its frames checked."""
    data, at, read = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack("<Q", data[at : at + 8])
        message = data[at + 12 : at + 12 + length]
        for part, crc in ((data[at : at + 8], at + 8), (message, at + 12 + length)):
            checksum = events.crc32c(part)
            rotated = ((checksum >> 15 | checksum << 17) & 0xFFFFFFFF) + 0xA282EAD8
            assert struct.unpack("<I", data[crc : crc + 4])[0] == rotated % 2**32
        read.append(dict(fields(message)))
        at += 16 + length
    assert read[0][3] == b"brain.Event:2"
    for event in read[1:]:
        (value,) = (dict(fields(inner)) for number, inner in fields(event[5]) if number == 1)
        yield value[1].decode(), event[2], struct.unpack("<f", value[2])[0]


def test_tensorboard_reads_what_is_written(tmp_path):
    path = tmp_path / "a" / "events"
    events.append(path, {"train_loss": 0.5, "val_loss": 0.25}, step=300, wall_time=1.0)
    events.append(path, {"train_loss": 0.125}, step=70000, wall_time=2.0)
    assert list(values(path)) == [("train_loss", 300, 0.5), ("val_loss", 300, 0.25), ("train_loss", 70000, 0.125)]


def test_a_run_is_told_in_files_and_stays_the_same_run(tmp_path, tiny_overrides):
    def go(name, track):
        chosen = settings.load("configs/retinamnist.py", {**tiny_overrides, "track": track, "cnn.training.epochs": 2})
        planned = plan.single(chosen)
        assert runner.run(planned, tmp_path / name, "the command", session.begin(1)) == []
        return tmp_path / name

    plain, told = go("plain", ()), go("told", ("jsonl", "tensorboard"))
    assert not list(plain.glob("t*"))
    results = [record.read(run / "cells" / CELL) for run in (plain, told)]
    assert results[0].provenance["settings"] == results[1].provenance["settings"]
    grade = [one.models["cnn"].splits["test"].tasks["grade"] for one in results]
    assert (grade[0].outputs == grade[1].outputs).all()

    lines = [json.loads(line) for line in (told / "tracking.jsonl").read_text().splitlines()]
    history = results[1].models["cnn"].training["history"]
    assert lines[0]["settings"]["cnn.training.epochs"] == 2
    assert lines[1:3] == [{"cell": CELL, "stage": "cnn", **line} for line in history]
    assert lines[3]["test"]["cnn/grade/mae"] == grade[1].measures["mae"]

    (epochs,) = (told / "tensorboard" / CELL / "cnn").iterdir()
    losses = [(step, value) for tag, step, value in values(epochs) if tag == "val_loss"]
    assert losses == [(line["epoch"], pytest.approx(line["val_loss"], rel=1e-6)) for line in history]
    (tests,) = (told / "tensorboard" / CELL).glob("events*")
    assert {tag for tag, _, _ in values(tests)} == {f"test/{name}" for name in lines[3]["test"]}

    go("told", ("jsonl",))  # finished: nothing is told twice
    assert len((told / "tracking.jsonl").read_text().splitlines()) == len(lines)


class Service(types.ModuleType):
    """A module whose every function, and every function of what they return, notes its call."""

    def __init__(self, name, calls):
        super().__init__(name)
        self.calls = calls
        self.summary = types.SimpleNamespace(update=lambda values: calls.append(("update", (values,), {})))

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments, **options):
            self.calls.append((name, arguments, options))
            return None if name == "active_run" else self

        return call


def tell(tracker):
    tracker.begin("corn-s0", {"objective.name": "corn"})
    tracker.epoch("corn-s0", "cnn", LINE)
    tracker.finish("corn-s0", {"cnn/grade/mae": 0.5})


def test_weights_and_biases_has_a_run_a_cell_that_goes_on_under_its_id(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setitem(sys.modules, "wandb", Service("wandb", calls))
    tell(tracking.begin(["wandb"], tmp_path, "eyes", pytest.fail))
    (_, _, options), logged, updated, finished = calls
    assert (options["project"], options["name"], options["resume"]) == ("eyes", "corn-s0", "allow")
    assert options["id"] == digest([str(tmp_path.resolve()), "corn-s0"])
    assert logged == ("log", ({"cnn/epoch": 2, "cnn/train_loss": 0.5, "cnn/val_loss": 0.25, "cnn/seconds": 1.0},), {})
    assert updated[1] == ({"test/cnn/grade/mae": 0.5},)
    assert finished[0] == "finish"


def test_mlflow_has_a_run_a_cell_below_the_work_directory(tmp_path, monkeypatch):
    calls = []
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", Service("mlflow", calls))
    tell(tracking.begin(["mlflow"], tmp_path, "eyes", pytest.fail))
    names = ["set_tracking_uri", "set_experiment", "active_run", "start_run", "log_params", "log_metrics"]
    assert [name for name, _, _ in calls] == [*names, "log_metrics", "end_run"]
    assert calls[0][1] == (f"sqlite:///{tmp_path}/mlflow.db",)
    assert calls[5][1:] == (({"cnn/train_loss": 0.5, "cnn/val_loss": 0.25, "cnn/seconds": 1.0},), {"step": 2})


def test_a_run_of_a_cell_that_failed_is_closed_before_the_next(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setitem(sys.modules, "wandb", Service("wandb", calls))
    trackers = tracking.begin(["wandb"], tmp_path, "eyes", pytest.fail)
    trackers.begin("corn-s0", {})
    tell(trackers)
    trackers.begin("corn-s2", {})
    assert [name for name, _, _ in calls] == ["init", "finish", "init", "log", "update", "finish", "init"]
    assert (calls[1][2], calls[5][2]) == ({"exit_code": 1}, {})


def test_what_fails_is_said_once_and_the_others_go_on_after_a_line_that_a_kill_cut_short(tmp_path):
    (tmp_path / "tensorboard").write_text("no folder")
    path, said = tmp_path / "tracking.jsonl", []
    path.write_text('{"cell": "old-s0"}\n{"cell": "ol')
    trackers = tracking.begin(["tensorboard", "jsonl"], tmp_path, "eyes", said.append)
    tell(trackers)
    tell(trackers)
    assert len(said) == 1
    assert said[0].startswith("Warning: metrics no longer go to tensorboard: NotADirectoryError: ")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["cell"] for line in lines] == ["old-s0", *["corn-s0"] * 6]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_service_that_is_not_installed_names_its_extra(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NotInstalled, match=rf"ordinal-blast\[{name}\]"):
        tracking.begin([name], tmp_path, "eyes", pytest.fail)


def test_an_unknown_tracker_is_refused_and_no_variant_has_its_own():
    with pytest.raises(UsageError, match="jsonl, tensorboard, wandb and mlflow"):
        settings.load("configs/era.py", {"track": "tensorbord"})
    with pytest.raises(UsageError, match="sets track, which a study has once"):
        plan.of_variants("", [("a", {"track": ("jsonl",)})], settings.load("era"), 1)
