"""Images in folders and beside sheets: what is read, what is told in notes, and every way they can be bad."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from ordinal_blast import cli
from ordinal_blast.data import catalog, inspection, material, store
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import DataSettings, SplitSettings

BY_GROUP = SplitSettings("group", (0.6, 0.2, 0.2))


def picture(path, level, size=(6, 8), mode="RGB"):
    """A picture whose pixels are all `level`, but one of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full((*size, 3), level, np.uint8)
    values[0, 0] = hash(path.name) % 256, len(path.name), sum(map(ord, str(path))) % 256
    Image.fromarray(values).convert(mode).save(path)
    return path


def settings(root, by=BY_GROUP, **options):
    return DataSettings("folder", str(root), str(root.parent / "cache"), options, by)


def opened(root, **options):
    return store.open_dataset(catalog.prepare(settings(root, **options)))


@pytest.fixture
def graded(tmp_path):
    """Four images of each of three grades."""
    for k, grade in enumerate(("0 none", "1 mild", "2 severe")):
        for number in range(4):
            picture(tmp_path / "eyes" / grade / f"{number}.png", 80 * k)
    return tmp_path / "eyes"


def test_one_folder_a_grade_is_a_dataset_whose_order_is_told_by_numbers(graded):
    dataset = opened(graded)
    (task,) = dataset.tasks
    assert (dataset.name, task.name, task.grades) == ("eyes", "grade", ("0 none", "1 mild", "2 severe"))
    assert dataset.columns["images"].shape == (12, 6, 8, 3)
    np.testing.assert_array_equal(dataset.columns["images"][:, 5, 5, 0] // 80, dataset.columns["label/grade"])
    assert dataset.columns["id"][:2].tolist() == ["0 none/0.png", "0 none/1.png"]
    assert (dataset.columns["id"] == dataset.columns["group"]).all()
    assert dataset.notes == (
        "grades of grade are taken in the order of their numbers, worst first: 0 none, 1 mild, 2 severe",
    )
    facts = inspection.facts(material.open(settings(graded)))
    assert sum(facts["examples"].values()) == 12
    with pytest.raises(UsageError, match=r"data.split.by is official, but eyes comes unsplit: use group"):
        material.open(settings(graded, SplitSettings()))


def test_folders_that_are_named_as_splits_without_a_training_one_are_grades(tmp_path):
    for grade in ("dev", "test"):
        picture(tmp_path / "eyes" / grade / "a.png", 9)
    dataset = opened(tmp_path / "eyes", grades=("dev", "test"))
    assert dataset.columns["label/grade"].tolist() == [0, 1]
    assert list(dataset.official) == ["images"]


def test_an_order_that_cannot_be_told_has_to_be_stated(tmp_path):
    root = tmp_path / "eyes"
    for grade in ("mild", "none", "severe"):
        picture(root / grade / "a.png", 9)
    with pytest.raises(
        UsageError, match=r"names mild, none, severe: state it, worst first, such as data.options.grades="
    ):
        opened(root)
    dataset = opened(root, grades=("none", "mild", "severe"))
    assert dataset.columns["label/grade"].tolist() == [1, 0, 2]
    assert dataset.notes == ()
    with pytest.raises(UserError, match=r"severe/a.png: the label severe is not one of the 2 grades"):
        opened(root, grades=("none", "mild"))


def test_folders_of_train_and_test_are_official_splits_and_validation_comes_from_training(tmp_path):
    root = tmp_path / "eyes"
    for split, count in (("train", 10), ("test", 3)):
        for grade in "12":
            for number in range(count):
                picture(root / split / grade / f"{split}{number}.png", 100)
    splits = material.open(settings(root, SplitSettings())).splits
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 16, "val": 4, "test": 6}
    picture(root / "Valid" / "1" / "v1.png", 1)
    picture(root / "Valid" / "2" / "v2.png", 1)
    splits = material.open(settings(root, SplitSettings())).splits
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 20, "val": 2, "test": 6}
    picture(root / "dev" / "1" / "v1.png", 1)
    with pytest.raises(UserError, match=r"eyes has .*dev, .*: two of these are one split"):
        opened(root)


def test_every_mode_becomes_the_size_and_channels_that_are_asked_for(tmp_path):
    root = tmp_path / "eyes"
    for mode in ("L", "RGB", "RGBA", "P", "CMYK", "1"):
        picture(root / "1" / f"{mode}.tif", 255, (12, 12), mode)
    deep = Image.fromarray(np.full((9, 20), 65535, np.uint16))
    exif = Image.Exif()
    exif[274] = 6
    deep.save(root / "1" / "deep.png", exif=exif)
    picture(root / "2" / "large.jpg", 0, (40, 30))
    with pytest.raises(
        UsageError, match=r"the images are of 3 sizes, from 12 x 12 to 40 x 30 pixels: say which to have"
    ):
        opened(root)
    dataset = opened(root, size=(10, 5), channels=1)
    assert dataset.columns["images"].shape == (8, 10, 5, 1)
    np.testing.assert_array_equal(dataset.columns["images"][:, 9, 4, 0] > 200, dataset.columns["label/grade"] == 0)
    notes = "\n".join(dataset.notes)
    assert "read as 16 bits: its largest value is 65535 of 65535: 1/deep.png" in notes
    assert "turned as its EXIF orientation says: 1/deep.png" in notes
    assert "its middle 20 x 40 of 30 x 40 pixels are read: 2/large.jpg" in notes
    assert opened(root, size=(10, 5)).columns["images"].shape == (8, 10, 5, 3)
    (root / "1" / "deep.png").unlink()
    for path in (root / "2" / "large.jpg", root / "1" / "RGBA.tif"):
        Image.open(path).resize((12, 12)).save(path)
    assert "its middle 12 x 6 of 12 x 12 pixels are read: all 7 images" in opened(root, size=(6, 12)).notes


SHEET = """file,icm,te,patient,part,clinic
a/1.png,B,1,p1,train,x
a/2,C,3,p1,train,x
3.png,,2,p2,validation,y
4.png,A,NA,p3,TEST,y
5.png,B,2,p4,train,z
"""
SHEETED = {
    "sheet": "grades.csv",
    "tasks": ("icm", "te"),
    "grades": {"icm": ("C", "B", "A")},
    "group": "patient",
    "split": "part",
}


@pytest.fixture
def sheeted(tmp_path):
    for number, name in enumerate(("a/1.png", "a/2.png", "3.png", "4.png", "5.png")):
        picture(tmp_path / "embryos" / name, number)
    (tmp_path / "embryos" / "grades.csv").write_text(SHEET)
    return tmp_path / "embryos"


def test_images_beside_a_sheet_have_grades_of_many_tasks_groups_and_splits(sheeted):
    picture(sheeted / "other.png", 9)
    dataset = opened(sheeted, **SHEETED)
    assert [(task.name, task.grades) for task in dataset.tasks] == [("icm", ("C", "B", "A")), ("te", ("1", "2", "3"))]
    assert dataset.columns["id"].tolist() == ["a/1.png", "a/2.png", "5.png", "3.png", "4.png"]
    assert dataset.columns["label/icm"].tolist() == [1, 0, 1, -1, 2]
    assert dataset.columns["label/te"].tolist() == [0, 2, 1, 1, -1]
    assert dataset.columns["group"].tolist() == ["p1", "p1", "p4", "p2", "p3"]
    assert dataset.columns["images"][:, 5, 5, 0].tolist() == [0, 1, 4, 2, 3]
    assert {name: rows.tolist() for name, rows in dataset.official.items()} == {
        "train": [0, 1, 2],
        "val": [3],
        "test": [4],
    }
    assert set(dataset.notes) == {
        "other.png is not in grades.csv: left out",
        "grades of te are taken in the order of their numbers, worst first: 1, 2, 3",
        f"{sheeted}/grades.csv, line 4: icm is missing",
        f"{sheeted}/grades.csv, line 5: te is missing",
    }


def test_columns_of_a_sheet_go_along_with_its_images(sheeted):
    dataset = opened(sheeted, **SHEETED, along=("te",))
    grades = dataset.columns["label/te"].tolist()
    assert dataset.columns["te"].tolist() == [str(grade + 1) if grade >= 0 else "" for grade in grades]
    with pytest.raises(UserError, match="columns named hospital"):
        opened(sheeted, **SHEETED, along=("hospital",))


def test_a_sheet_of_windows_names_its_images_alike_and_a_name_without_its_ending_means_one_image(sheeted):
    first = opened(sheeted, **SHEETED)
    (sheeted / "grades.csv").write_text(SHEET.replace("a/1.png", "a\\1.png").replace("a/2", ".\\a\\2"))
    assert opened(sheeted, **SHEETED).columns["id"].tolist() == first.columns["id"].tolist()
    (sheeted / "grades.csv").write_text(SHEET.replace("a/1.png", "a/1"))
    assert opened(sheeted, **SHEETED).columns["id"].tolist() == first.columns["id"].tolist()
    picture(sheeted / "a" / "1.jpg", 9)
    with pytest.raises(
        UserError, match=r"grades.csv, line 2: a/1: there are a/1.png, a/1.jpg; correct it, or say skip"
    ):
        opened(sheeted, **SHEETED)


def test_a_sheet_that_excel_wrote_is_read_alike(sheeted):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in SHEET.splitlines():
        book.active.append([int(text) if text.isdigit() else text or None for text in line.split(",")])
    book.create_sheet("notes")
    book.save(sheeted / "grades.xlsx")
    first, second = opened(sheeted, **SHEETED), opened(sheeted, **SHEETED | {"sheet": "grades.xlsx"})
    for name, column in first.columns.items():
        np.testing.assert_array_equal(second.columns[name], column)
    assert "grades.xlsx is read from its first worksheet, Sheet" in second.notes


def test_a_sheet_whose_reader_is_not_installed_is_one_clear_line(sheeted, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    (sheeted / "grades.xlsx").write_bytes(b"PK")
    with pytest.raises(
        UserError, match=r"grades.xlsx: Excel needs openpyxl: install ordinal-blast.study., or save it as CSV$"
    ):
        opened(sheeted, **SHEETED | {"sheet": "grades.xlsx"})


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("3.png", "9.png", r"grades.csv, line 4: 9.png: there is no such image; correct it, or say skip as data"),
        ("3.png", "../3.png", r"line 4: ../3.png is no file below .*embryos: correct it"),
        ("3.png", "/etc/hosts", r"line 4: /etc/hosts is no file below"),
        ("3.png", "", r"line 4: an empty entry is no file below"),
        ("3.png", "a", r"line 4: a: there is no such image"),
        ("3.png", "x" * 300, r"line 4: x{57}...: there is no such image"),
        ("3.png", "\0.png", r"line 4: .x00.png: there is no such image"),
        ("3.png", "a/1", r"line 4: a/1.png is named before, in .*line 2: give every image one row"),
        ("TEST", "later", r"line 5, part: 'later' is none of train, val and test"),
        (",p2,", ",,", r"line 4, patient: '' is no group"),
        (",p2,", ",NA,", r"line 4, patient: 'NA' is no group"),
        ("A,NA", "D,NA", r"line 5: the label D is not one of the 3 grades"),
        (",2,p2", ",high,p2", r"the order of the grades of te cannot be told from their names 1, 2, 3, high"),
        ("part", "icm", r"has 2 columns named icm"),
        ("part", "half", r"has 0 columns named part: it has file, icm, .*; name another by data.options.split$"),
        ("file", "image", r"has 0 columns named file: .*; name another by data.options.file$"),
        (",x\n", "\n", r"line 2: 5 entries instead of 6"),
    ],
)
def test_a_bad_sheet_gives_one_clear_line(sheeted, before, after, message):
    (sheeted / "grades.csv").write_text(SHEET.replace(before, after))
    with pytest.raises(UserError, match=message) as caught:
        opened(sheeted, **SHEETED)
    assert "\n" not in str(caught.value)


def _truncated(path):
    path.write_bytes(path.read_bytes()[:60])


def _animated(path):
    frames = [Image.fromarray(np.full((6, 8), level, np.uint8)) for level in (0, 99)]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:])


def _loop(path):
    path.unlink()
    path.symlink_to(path)


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _enormous(path):
    raw = bytearray(path.read_bytes())
    raw[16:24] = (60_000).to_bytes(4, "big") * 2
    raw[29:33] = __import__("zlib").crc32(bytes(raw[12:29])).to_bytes(4, "big")
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_truncated, "cannot read the image .*1 mild/2.png: "),
        (_animated, "it has 2 frames"),
        (_loop, "cannot read the image 1 mild/2.png: "),
        (_pipe, "cannot read the image 1 mild/2.png: it is no regular file"),
        (_enormous, "it has more than 89 million pixels"),
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_text("no image"), "it is no whole file of PNG"),
    ],
)
@pytest.mark.parametrize("size", [(6, 8), ()])
def test_a_bad_image_is_refused_or_left_out_and_named(graded, damage, why, size):
    damage(graded / "1 mild" / "2.png")
    with pytest.raises(UserError, match=why) as caught:
        opened(graded, size=size)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; correct it, or say skip as data.options.bad to leave such images out")
    dataset = opened(graded, size=size, bad="skip")
    assert len(dataset) == 11
    assert "1 mild/2.png" not in dataset.columns["id"]
    (note,) = (note for note in dataset.notes if "2.png" in note)
    assert note.endswith("; left out")


def test_what_is_no_image_is_named_and_hidden_files_are_none(graded):
    (graded / "notes.txt").write_text("")
    (graded / "1 mild" / "Thumbs.db").write_text("")
    (graded / "1 mild" / ".DS_Store").write_text("")
    (graded / ".git").mkdir()
    notes = opened(graded).notes
    assert notes[:2] == ("notes.txt lies in no folder: left out", "1 mild/Thumbs.db is no image: left out")
    assert not any(".git" in note or "DS_Store" in note for note in notes)
    (graded / "1 mild" / "patient 3").mkdir()
    with pytest.raises(UserError, match=r"patient 3 is a folder within that of the grade 1 mild"):
        opened(graded)


def test_the_same_image_in_two_splits_or_with_two_grades_is_told(tmp_path):
    root = tmp_path / "eyes"
    for split in ("train", "val", "test"):
        for grade in "01":
            picture(root / split / grade / f"{split}.png", 30)
    copied = (root / "train" / "0" / "train.png").read_bytes()
    (root / "test" / "1" / "copy.png").write_bytes(copied)
    (root / "train" / "0" / "again.png").write_bytes(copied)
    assert opened(root).notes[1:] == (
        "the same image is there 3 times, in test and train, with other grades: test/1/copy.png, train/0/again.png, "
        "train/0/train.png",
    )


def test_names_that_are_no_text_are_read_and_told_in_one_line(graded):
    odd = os.fsencode(graded / "1 mild") + b"/\xff\n\x1b.png"
    os.rename(graded / "1 mild" / "2.png", odd)
    dataset = opened(graded)
    assert "1 mild/\\xff\\n\\x1b.png" in dataset.columns["id"]
    with open(odd, "wb"):
        pass
    with pytest.raises(UserError, match=r"1 mild/.xff.n.x1b.png: it is empty") as caught:
        opened(graded)
    assert str(caught.value).isprintable()
    os.rename(graded / "1 mild", os.fsencode(graded) + b"/1 \xff")
    with pytest.raises(UserError, match=r"task grade has the grade '1 .udcff'"):
        opened(graded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (8,)}, "data.options.size is .8,.: it takes height and width in pixels"),
        ({"size": (0, 8)}, "data.options.size is .0, 8."),
        ({"channels": 2}, "data.options.channels is 2: it takes one of 1, 3"),
        ({"bad": "drop"}, "data.options.bad is 'drop': it takes one of 'refuse', 'skip'"),
        ({"tasks": ("icm", "te")}, "data.options.tasks: name each once, and one where there is no sheet"),
        ({"tasks": ()}, "data.options.tasks: name each once"),
        ({"grades": {"te": ("0", "1")}}, "data.options.grades has te: the tasks are grade"),
        ({"grades": (0, 1)}, "data.options.grades is .0, 1.: it takes names of grades"),
        ({"along": ("clinic",)}, "group, along and split name columns, so that sheet has to name a file"),
        ({"group": "patient"}, "group, along and split name columns, so that sheet has to name a file"),
        ({"sheet": "none.csv"}, "none.csv does not exist: name the sheet"),
        ({"name": "../eyes"}, "a dataset is named '../eyes'"),
        ({"val_seed": -1}, "val_seed is -1"),
        ({"colour": 1}, "data.options has no colour: it takes name, size"),
    ],
)
def test_options_that_do_not_fit_are_refused(graded, change, message):
    with pytest.raises(UserError, match=message):
        opened(graded, **change)


def test_folders_without_images_are_refused(tmp_path):
    root = tmp_path / "eyes"
    with pytest.raises(store.SourceMissingError, match=r"eyes is no folder: name the folder of the images with"):
        opened(root)
    root.mkdir()
    with pytest.raises(UserError, match=r"eyes has no folders of grades: make one folder a grade, or name data.opt"):
        opened(root)
    picture(root / "a.png", 1)
    with pytest.raises(UserError, match=r"eyes has 1 images and no folders of grades"):
        opened(root)
    (root / "0").mkdir()
    with pytest.raises(UserError, match=r"eyes has no image in its folders: they end in .png, .jpg"):
        opened(root)


def test_a_changed_image_or_grade_makes_another_dataset_and_a_built_one_serves_for_lost_files(graded):
    first = opened(graded)
    assert opened(graded).identity == first.identity
    picture(graded / "0 none" / "0.png", 1)
    second = opened(graded)
    os.rename(graded / "0 none" / "0.png", graded / "1 mild" / "0 new.png")
    assert len({first.identity, second.identity, opened(graded).identity}) == 3
    gone = settings(graded / "gone", name="eyes")
    with pytest.raises(store.SourceMissingError):  # three copies: which one is meant cannot be told
        catalog.prepare(dataclasses.replace(gone, cache=settings(graded).cache))


def test_the_command_prints_every_note(graded, tmp_path, capsys):
    _truncated(graded / "1 mild" / "2.png")
    file = tmp_path / "eyes.py"
    file.write_text(
        "from ml_collections import ConfigDict\ndef get_config():\n"
        f"    return ConfigDict(dict(name='eyes', data=dict(root={str(graded)!r}, cache={str(tmp_path / 'cache')!r}, "
        "options=dict(size=(6, 8), bad='skip'), split=dict(by='group', fractions=(0.6, 0.2, 0.2)))))\n"
    )
    assert cli.main(["data", "inspect", str(file)]) == 0
    out = capsys.readouterr().out
    assert "note: cannot read the image " in out
    assert "note: grades of grade are taken in the order of their numbers" in out
