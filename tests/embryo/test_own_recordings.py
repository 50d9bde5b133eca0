"""Recordings of one's own: the document as written, what lists may look like, and that a study reads them."""

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ordinal_blast import cli, record
from ordinal_blast.data import material
from ordinal_blast.embryo import frame_names
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import DataSettings

pytestmark = pytest.mark.usefixtures("compile_quickly")

DOCUMENT = (Path(__file__).parents[2] / "docs/timelapse.md").read_text()
HOURS = (96.2, 100.5, 110.0, 118.75)
LABELS, VOTES = re.findall(r"```csv\n(item[;,](?:group|rater).*?)```", DOCUMENT, flags=re.DOTALL)


@pytest.fixture
def export(tmp_path, monkeypatch):
    """The folder of the document, and the present folder above it."""
    rng = np.random.default_rng(0)
    for row in csv.DictReader(LABELS.splitlines(), delimiter=";"):
        for hpi in HOURS:
            for plane in (-15, 0):
                path = tmp_path / "export" / row["item"] / f"{hpi:g}h_{plane}um.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (20, 20), np.uint8)).save(path)
    (tmp_path / "export" / "labels.csv").write_text(LABELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORDINAL_BLAST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "export"


def look(export, **options):
    options = {"hours": (96.0, 120.0, 4.0)} | options
    return material.look(DataSettings("timelapse", str(export), str(export.parent / "cache"), options))


def test_the_document_says_what_its_commands_print(export, capsys):
    said = re.findall(r"```sh\nordinal-blast (.*?)\n```\n\n```text\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    assert len(said) == 2
    for command, printed in said:
        assert cli.main(shlex.split(command)) == 0
        out = capsys.readouterr().out
        assert out.startswith(printed), out
    begins = re.search(r"```csv\n(item,path.*?)```", DOCUMENT, flags=re.DOTALL)[1]
    assert (export / "manifest.csv").read_text().startswith(begins)
    assert cli.main(["data", "manifest", "export"]) == 2
    assert "manifest.csv: there is something already" in capsys.readouterr().err


@pytest.fixture
def listed(export):
    (export / "manifest.csv").write_text(frame_names.table(frame_names.read(export).frames))
    return export


def test_frames_grades_votes_and_outcomes_are_those_of_the_lists(listed):
    (listed / "votes.csv").write_text(VOTES)
    (listed / "outcomes.csv").write_text("item,heartbeat\nT1-W1,1\nT2-W1,0\nT3-W1,\n")
    dataset = look(listed, annotations="votes.csv", outcomes="outcomes.csv").dataset
    columns = dataset.columns
    assert columns["id"].tolist() == ["T1-W1", "T1-W2", "T2-W1", "T2-W2", "T3-W1", "T3-W2"]
    assert columns["group"].tolist() == ["T1", "T1", "T2", "T2", "T3", "T3"]
    assert [task.grades for task in dataset.tasks] == [tuple("123456"), ("C", "B", "A"), ("C", "B", "A")]
    assert columns["label/icm"].tolist() == [2, 1, 2, -1, 1, 0]
    assert columns["absent/expansion"].tolist() == [0, 0, 0, -2, 0, -4]
    assert columns["rater_icm"].tolist() == [[2, 1], *[[-1, -1]] * 5]
    assert columns["heartbeat"].tolist() == [1, -1, 0, -1, -1, -1]
    np.testing.assert_array_equal(columns["tA"], np.float32([110.5, np.nan, 112, np.nan, 111, np.nan]))
    np.testing.assert_array_equal(columns["hpi"][0], np.float32([96.2, 100.5, 100.5, 110, 110, 118.75, 118.75]))
    assert dataset.extras["planes"] == [-15, 0]
    frames = columns["frames"][np.asarray([2])][0]
    for slot, hpi in ((0, 96.2), (3, 110), (6, 118.75)):
        for place, plane in enumerate((-15, 0)):
            np.testing.assert_array_equal(
                frames[slot, :, :, place], np.asarray(Image.open(listed / "T2-W1" / f"{hpi:g}h_{plane}um.png"))
            )


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("manifest.csv", "96.2,-15", "x,-15", "manifest.csv, line 2, hpi: x is no number"),
        ("manifest.csv", "96.2,-15", "962,-15", "manifest.csv, line 2, hpi: 962 is outside 0 ... 336"),
        ("manifest.csv", "96.2,0", "96.2,zero", "manifest.csv, line 3, plane: zero is no number"),
        (
            "manifest.csv",
            "96.2,0",
            "96.2,-15",
            "manifest.csv, line 3: T1-W1 has an image at 96.2 hpi and -15 µm before",
        ),
        ("manifest.csv", "T1-W1/96.2h_-15um.png", "../secret.png", "line 2, path: ../secret.png is no file below"),
        ("manifest.csv", "T1-W1/96.2h_-15um.png", "gone.png", "manifest.csv, line 2, path: there is no image gone.png"),
        ("manifest.csv", "T1-W1/96.2h_-15um.png", "/etc/passwd", "line 2, path: /etc/passwd is no file below"),
        ("manifest.csv", "T1-W1/96.2h_-15um.png", "way/out.png", "line 2, path: way/out.png is no file below"),
        (
            "manifest.csv",
            "item,path",
            "embryo,path",
            "manifest.csv has no column item: it has embryo, path, hpi, plane",
        ),
        ("manifest.csv", "T1-W1,T1-W1/96.2h_-15", ",T1-W1/96.2h_-15", "manifest.csv, line 2, item: it is blank"),
        ("labels.csv", "4AB", "4XB", "labels.csv, line 2, gardner: '4XB' is no grade such as 4AA"),
        ("labels.csv", "T1-W2;T1", "T1-W1;T1", "labels.csv, line 3, item: T1-W1 is there before, in"),
        ("labels.csv", "T1-W1;T1;", "T1-W1;;", "labels.csv, line 2, group: it is blank"),
        ("labels.csv", "110,5", "noon", "labels.csv, line 2, tA: noon is no number"),
        ("labels.csv", ";gardner;", ";split;", "labels.csv has no column of grades"),
    ],
)
def test_what_is_wrong_in_a_list_is_told_with_file_line_and_column(listed, file, old, new, said):
    (listed / "way").symlink_to(listed.parent)
    text = (listed / file).read_text()
    assert old in text
    (listed / file).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as refused:
        look(listed)
    assert said in str(refused.value)


def test_what_cannot_be_read_is_refused_or_left_out_and_counted(listed):
    (listed / "T1-W2" / "110h_0um.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"T1-W2/110h_0um\.png"):
        look(listed)
    dataset = look(listed, bad="skip").dataset
    assert dataset.columns["id"].tolist() == ["T1-W1", "T2-W1", "T2-W2", "T3-W1", "T3-W2"]
    assert sum(note.endswith("left out") for note in dataset.notes) == 1


@pytest.mark.parametrize(
    ("names", "pattern", "rows"),
    [
        (["a_RUN3.jpg"], "", [("a", 1.0, 0)]),
        (["x_F-15/AA-7/D1_WELL7_RUN3.jpg", "x/AA-7/D1_WELL7_RUN6.jpg"], "", [("D1_WELL7", 1, -15), ("D1_WELL7", 2, 0)]),
        (["e1/F15/002.png"], "", [("e1", 2 / 3, 15)]),
        (["S1_W3_T90_x.png"], "{item}_T{minutes}_{any}", [("S1_W3", 1.5, 0)]),
    ],
)
def test_names_say_item_hour_and_plane(tmp_path, names, pattern, rows):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    manifest = frame_names.read(tmp_path, pattern, every=20)
    assert [(row.item, row.plane) for row in manifest.frames] == [(item, plane) for item, _, plane in rows]
    np.testing.assert_allclose([row.hpi for row in manifest.frames], [hpi for _, hpi, _ in rows], rtol=1e-12)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{well}_{hpi}", r"--pattern has \{well\}: it takes \{item\}"),
        ("{item}", r"it needs \{item\} and one of"),
        ("{item}_RUN{run}", "say by --every how many minutes lie between two"),
    ],
)
def test_a_pattern_that_says_too_little_is_refused(tmp_path, pattern, said):
    (tmp_path / "a_RUN3.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match=said):
        frame_names.read(tmp_path, pattern)


def test_images_that_no_pattern_reads_are_told(tmp_path, capsys):
    (tmp_path / "IMG.png").write_bytes(b"")
    assert cli.main(["data", "manifest", str(tmp_path)]) == 1
    assert "no name, such as IMG.png, is '{any}_F{plane}" in capsys.readouterr().err
    (tmp_path / "a_90h.png").write_bytes(b"")
    assert cli.main(["data", "manifest", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == ["IMG.png"]


def test_a_study_reads_recordings_as_they_are_exported(listed, ran, small, tmp_path):
    for name in ("manifest.csv", "labels.csv"):  # four embryos of each, patients of their own
        head, *rows = (listed / name).read_text().splitlines()
        lines = [line.replace(";T", f";{copy}T") for copy in "abcd" for line in (copy + row for row in rows)]
        (listed / name).write_text("\n".join([head, *lines]) + "\n")
    changes = small | {
        "chain": ("cropper", "crops", "cnn"),
        "crops.start_hpi": 96.0,
        "crops.stop_hpi": 118.0,
        "crops.step_h": 11.0,
        "data.root": str(listed),
        "data.options.hours": (96.0, 118.0, 11.0),
        "data.split.fractions": (0.4, 0.3, 0.3),
        "cropper.images": 16,
        "cropper.side": 20,
        "tasks": ("icm",),
        "crops.cnn_time": "tA",
        "crops.time_shifts_h": (0.0,),
        "crops.planes": (-15.0, 0.0),
        "cropper.planes": (0.0,),
        "report.timed": 0,
        "report.examples": 0,
    }
    root = ran(tmp_path / "study", [("a", {})], changes, "configs/timelapse.py")
    splits = record.read(record.folder_of(root, "a-s0")).models["cnn"].splits
    assert {*splits} == {"train", "val", "test"}
    assert sum(len(split.ids) for split in splits.values()) == 20  # four of 24 have no grade
    assert {text[1:] for split in splits.values() for text in split.ids.tolist()} >= {"T1-W1", "T3-W2"}
