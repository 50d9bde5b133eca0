"""Every option of a source that can change a record names another built copy, and what a source may not be is told."""

import inspect

import numpy as np
import pytest
from PIL import Image

from ordinal_blast.data import splits
from ordinal_blast.data.sources import arrays, folder, medmnist, table
from ordinal_blast.errors import UsageError
from ordinal_blast.storage import digest

TOLD = {"name", "licence", "citation"}  # of a data set, which change no record


def _table(root):
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        rng = np.random.default_rng(seed)
        rows = [
            f"{rng.normal():.3f},{row % 2},p{row // 2},{('train', 'val', 'test')[row % 3]},{row % 3}"
            for row in range(24)
        ]
        (root / f"{name}.csv").write_text("x,z,who,part,y\n" + "\n".join(rows) + "\n")
    base = {"train": "a.csv", "test": "b.csv", "label": "y", "drop": ("who", "part")}
    changes = {
        "task": "stage",
        "grades": ("0", "1", "2"),
        "train": "c.csv",
        "val": "c.csv",
        "test": "c.csv",
        "label": "z",
        "lowest": 0,
        "split": {"test": "", "split": "part", "drop": ("who",)},
        "group": {"group": "who", "drop": ("part",)},
        "drop": ("who", "part", "z"),
        "along": {"along": ("who",), "drop": ("part",)},
        "categorical": ("z",),
        "missing": "median",
        "na": ("NA",),
        "separator": ",",
        "encoding": "utf-8",
        "decimal": ".",
        "holdout": 1,
        "val_share": 0.5,
        "val_stratified": False,
        "val_seed": 1,
    }
    return table.source, root, base, changes


def _arrays(root):
    rng = np.random.default_rng(0)
    x, y, part = rng.normal(size=(30, 2)), np.arange(30) % 3, np.repeat(["train", "test"], (20, 10))
    np.savez(root / "a.npz", x=x, y=y, split=part)
    changes = {
        "task": "stage",
        "grades": ("a", "b", "c"),
        "lowest": None,
        "missing": "median",
        "val_share": 0.5,
        "val_stratified": False,
        "val_seed": 1,
    }
    return arrays.source, root, {}, changes


def _folder(root):
    lines = ["file,path,grade,other,who,part"]
    for k in range(12):
        Image.fromarray(np.full((6, 6, 3), 10 * k, np.uint8)).save(root / f"{k}.png")
        lines.append(f"{k}.png,{k}.png,{k % 2},{k % 3},p{k // 2},{('train', 'test')[k > 8]}")
    for name in ("a", "b"):
        (root / f"{name}.csv").write_text("\n".join(lines) + "\n")
    changes = {
        "size": (4, 4),
        "channels": 1,
        "sheet": "b.csv",
        "file": "path",
        "tasks": ("grade", "other"),
        "grades": ("1", "0"),
        "group": "who",
        "along": ("who",),
        "split": "part",
        "bad": "skip",
        "val_share": 0.5,
        "val_stratified": False,
        "val_seed": 1,
    }
    return folder.source, root, {"sheet": "a.csv"}, changes


def _medmnist(root):
    rng = np.random.default_rng(0)
    kinds = {"images": rng.integers(0, 255, (6, 4, 4), np.uint8), "labels": np.arange(6) % 2}
    parts = {f"{part}_{kind}": values for part in splits.NAMES for kind, values in kinds.items()}
    np.savez(root / "a.npz", **parts)
    return medmnist.source, root, {"name": "a", "grades": ("no", "yes")}, {"grades": ("low", "high"), "task": "stage"}


@pytest.mark.parametrize("make", [_table, _arrays, _folder, _medmnist])
def test_every_option_that_can_change_a_record_makes_another_identity(tmp_path, make):
    source, root, base, changes = make(tmp_path)
    options = set(inspect.signature(source).parameters) - {"root"} - TOLD
    assert set(changes) == options
    identities = {"nothing": digest(source(root, **base).identity)}
    for option, change in changes.items():
        changed = base | (change if isinstance(change, dict) else {option: change})
        identities[option] = digest(source(root, **changed).identity)
    assert len(set(identities.values())) == len(options) + 1, identities
    told = {name: "new" for name in TOLD - set(base)}
    assert digest(source(root, **base | told).identity) == identities["nothing"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": "a.csv", "val": "b.csv"}, "data.options: name a test file where there is a val file"),
        (
            {"train": "a.csv", "test": "b.csv", "split": "part"},
            "data.options: give one train file where split names a column",
        ),
    ],
)
def test_files_of_a_table_that_do_not_go_together_are_refused(tmp_path, options, message):
    source, root, _, _ = _table(tmp_path)
    with pytest.raises(UsageError, match=f"^{message}$"):
        source(root, label="y", **options)


def _ids(source):
    return {part: [record["id"] for record in make()] for part, make in source.splits.items()}


def _rows(source):
    """The rows of each split, by the number in their ids."""
    return {part: [int(one.rpartition("-")[2]) for one in ids] for part, ids in _ids(source).items()}


@pytest.mark.parametrize("seed", [0, 1])
def test_validation_rows_of_arrays_are_drawn_by_the_seed_from_the_highest_grade_of_a_row(tmp_path, seed):
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 3, (2, 40))
    one[3], two[5] = -1, -1
    part = np.repeat(["test", "train"], (10, 30))
    np.savez(tmp_path / "a.npz", x=np.arange(40.0)[:, None], y_one=one, y_two=two, split=part)
    kept, chosen = splits.split_off(np.maximum(one, two)[10:], 0.3, (seed, 0))
    rows = _rows(arrays.source(tmp_path, grades=("a", "b", "c"), val_share=0.3, val_seed=seed))
    assert rows == {"train": (kept + 10).tolist(), "val": (chosen + 10).tolist(), "test": list(range(10))}


@pytest.mark.parametrize(("seed", "holdout"), [(0, 0), (0, 1), (1, 0)])
def test_validation_rows_of_a_table_are_drawn_by_the_seed_and_the_holdout(tmp_path, seed, holdout):
    source, root, base, _ = _table(tmp_path)
    kept, chosen = splits.split_off(np.arange(24) % 3, 0.25, (seed, holdout))
    made = source(root, **base, val_share=0.25, val_seed=seed, holdout=holdout)
    assert _ids(made) == {
        "train": [f"train-{row:05d}" for row in kept],
        "val": [f"train-{row:05d}" for row in chosen],
        "test": [f"test-{row:05d}" for row in range(24)],
    }


def test_floats_that_do_not_look_scaled_are_told(tmp_path):
    images = np.zeros((6, 4, 4, 3), np.float32)
    told = "images are floats up to 255: networks take floats as scaled, and scale uint8 alone"
    for most, notes in ((10.0, []), (255.0, [told])):
        images[3, 2, 1, 0] = most
        np.savez(tmp_path / "a.npz", x=images, y=np.arange(6) % 2)
        source = arrays.source(tmp_path, grades=("a", "b"))
        assert [note for note in source.notes if note.startswith("images")] == notes


def test_decimal_commas_of_one_file_are_those_of_all(tmp_path):
    (tmp_path / "a.csv").write_text("x;y\n1,5;0\n2,25;1\n")
    (tmp_path / "b.csv").write_text("x;y\n3;0\n4;1\n")
    for options, note in (({}, 1), ({"decimal": ","}, 0)):
        source = table.source(tmp_path, train="a.csv", val="a.csv", test="b.csv", label="y", **options)
        numbers = {part: [record["numbers"].tolist() for record in make()] for part, make in source.splits.items()}
        assert numbers == {"train": [[1.5], [2.25]], "val": [[1.5], [2.25]], "test": [[3.0], [4.0]]}
        assert source.notes.count("its numbers are read with a decimal comma") == note


@pytest.mark.parametrize(("column", "old", "new"), [("grade", "0.png,0.png,0", "0.png,0.png,1"), ("group", "p0", "p9")])
def test_what_a_sheet_says_of_an_image_belongs_to_the_identity(tmp_path, column, old, new):
    source, root, base, _ = _folder(tmp_path)
    before = source(root, **base, group="who").identity
    text = (root / "a.csv").read_text()
    (root / "a.csv").write_text(text.replace(old, new))
    assert source(root, **base, group="who").identity != before, column
    (root / "a.csv").write_text(text)
    assert source(root, **base, group="who").identity == before


def test_validation_images_share_no_patient_with_training_images(tmp_path):
    source, root, base, _ = _folder(tmp_path)
    made = source(root, **base, group="who", split="part", val_share=0.4)
    groups = {part: {record["group"] for record in make()} for part, make in made.splits.items()}
    assert set(groups) == {"train", "val", "test"}
    assert not groups["train"] & groups["val"]
    assert len(_ids(made)["val"]) > len(groups["val"])
