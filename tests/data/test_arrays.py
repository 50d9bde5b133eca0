"""Arrays in files and in memory: every kind is read alike, and what is no array of examples is refused in one line."""

import numpy as np
import pandas as pd
import pytest

from ordinal_blast import settings
from ordinal_blast.data import catalog, material, memory, store
from ordinal_blast.data.sources import table
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import DataSettings

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(12, 4)).astype(np.float32)
LABELS = np.arange(12) % 3


def opened(tmp_path, arrays, **options):
    np.savez(tmp_path / "eyes.npz", **arrays)
    data = DataSettings("arrays", str(tmp_path), str(tmp_path / "cache"), options)
    return store.open_dataset(catalog.prepare(data))


@pytest.mark.parametrize(
    ("key", "x", "kind"),
    [
        ("x", NUMBERS, "numbers"),
        ("x", np.arange(24).reshape(12, 2), "numbers"),
        ("x", RNG.normal(size=(12, 5, 2)), "sequences"),
        ("x", RNG.integers(0, 256, (12, 6, 5, 3), np.uint8), "images"),
        ("x", RNG.integers(0, 256, (12, 6, 5), np.uint8), "images"),
        ("images", RNG.integers(0, 256, (12, 6, 5)), "images"),
        ("images", RNG.random((12, 6, 5, 1)), "images"),
        ("sequences", RNG.integers(0, 9, (12, 6, 5), np.uint8), "sequences"),
    ],
)
def test_what_networks_read_is_told_by_its_axes_or_its_name(tmp_path, key, x, kind):
    dataset = opened(tmp_path, {key: x, "y": LABELS})
    column = dataset.columns[kind]
    expected = x[..., None] if kind == "images" and x.ndim == 3 else x
    whole = kind == "images" and x.dtype.kind in "iu"
    assert column.dtype == (np.uint8 if whole else np.float32)
    np.testing.assert_array_equal(column, expected.astype(column.dtype))
    assert dataset.columns["label/grade"].tolist() == LABELS.tolist()
    assert dataset.columns["id"][3] == "row-00003"


def test_labels_of_many_tasks_groups_splits_and_ids_are_kept(tmp_path):
    dataset = opened(
        tmp_path,
        {
            "x": NUMBERS,
            "y_icm": np.asarray(["C", "B", "A", ""] * 3),
            "y_te": np.where(np.arange(12) == 5, np.nan, LABELS + 1.0)[:, None],
            "group": np.arange(12) // 2,
            "split": np.asarray(["train"] * 6 + ["validation"] * 2 + ["test"] * 4),
            "id": np.asarray([b"a%d" % k for k in range(12)]),
        },
        grades={"icm": ("C", "B", "A")},
    )
    assert [(task.name, task.grades) for task in dataset.tasks] == [("icm", ("C", "B", "A")), ("te", ("1", "2", "3"))]
    assert dataset.columns["label/icm"].tolist() == [0, 1, 2, -1] * 3
    assert dataset.columns["label/te"].tolist() == [0, 1, 2, 0, 1, -1, 0, 1, 2, 0, 1, 2]
    assert dataset.columns["group"].tolist() == [str(k // 2) for k in range(12)]
    assert dataset.columns["id"].tolist() == [f"a{k}" for k in range(12)]
    assert {name: len(rows) for name, rows in dataset.official.items()} == {"train": 6, "val": 2, "test": 4}
    assert sum("icm is missing" in note for note in dataset.notes) == 3
    assert f"{tmp_path}/eyes.npz, row 5: te is missing" in dataset.notes


def test_numbers_from_zero_are_grades_by_their_stated_names_and_minus_one_is_missing(tmp_path):
    labels = np.where(np.arange(12) == 2, -1, LABELS)
    dataset = opened(tmp_path, {"x": NUMBERS, "y": labels}, grades=("C", "B", "A"))
    assert dataset.columns["label/grade"].tolist() == labels.tolist()
    with pytest.raises(UserError, match=r"row 2: the label 2 is not one of the 2 grades 0 ... 1 of grade"):
        opened(tmp_path, {"x": NUMBERS, "y": LABELS}, grades=("low", "high"))


def test_missing_numbers_are_learnt_on_the_training_rows_and_rows_of_a_file_are_graded_alike(tmp_path):
    numbers = NUMBERS.copy()
    numbers[[0, 11], [1, 1]] = np.nan
    arrays = {
        "x": numbers,
        "y": LABELS,
        "split": np.repeat(["train", "val", "test"], 4),
        "columns": np.array(list("abcd")),
    }
    with pytest.raises(UserError, match=r"eyes.npz: x.0, 1. is nan: give finite numbers of 32 bits, or say median"):
        opened(tmp_path, arrays)
    opened(tmp_path, arrays, missing="indicator")
    data = DataSettings("arrays", str(tmp_path), str(tmp_path / "cache"), {"missing": "indicator"})
    dataset = material.open(data).dataset
    median = np.median(NUMBERS[1:4, 1])
    np.testing.assert_array_equal(dataset.columns["numbers"][[0, 11], 1], [median] * 2)
    assert dataset.extras["columns"] == ["a", "b", "b missing", "c", "d"]
    assert dataset.columns["numbers"][:, 2].tolist() == [1] + [0] * 10 + [1]
    (tmp_path / "new.csv").write_text("d,c,b,a\n4,3,,1\n")
    rows = table.rows(tmp_path / "new.csv", dataset.extras)
    np.testing.assert_array_equal(rows.numbers, np.float32([[1, median, 1, 3, 4]]))
    assert rows.notes == (("b is missing",),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": None}, "eyes.npz has nothing that networks read: an array file holds x"),
        ({"images": NUMBERS}, "eyes.npz has x, images: an array file holds x"),
        ({"y": None}, "eyes.npz: y is absent or unknown: an array file holds"),
        ({"y_te": LABELS}, "eyes.npz: y is absent or unknown"),
        ({"colour": LABELS}, "eyes.npz: colour is absent or unknown"),
        ({"x": NUMBERS[:, 0]}, r"x is float32 .12.: give images .N, H, W, C., clips"),
        ({"x": NUMBERS[:0]}, r"x is float32 .0, 4.: give images"),
        ({"x": NUMBERS.astype(str)}, r"x is <U\d+ .12, 4.: give images"),
        ({"x": NUMBERS + 0j}, r"x is complex64 .12, 4.: give images"),
        ({"x": NUMBERS.astype(object)}, "x.npy holds pickled Python objects, which are never loaded"),
        ({"x": np.full((12, 2), 1e39)}, r"x.0, 0. is 1e\+39: give finite numbers of 32 bits, or say median"),
        ({"x": np.full((12, 2, 2), np.nan)}, r"x.0, 0, 0. is nan: give finite numbers of 32 bits$"),
        ({"x": np.full((12, 2, 2, 1), 256)}, "images are whole numbers from 256 to 256: give uint8 or floats"),
        ({"y": LABELS[1:]}, r"y is int64 .11.: give one for each of 12 examples"),
        ({"y": LABELS + 0j}, "y is complex128: give texts or numbers"),
        ({"y": LABELS * 0}, "grade has only the label 0: two or more grades are needed"),
        ({"y": np.full(12, np.nan)}, "grade has no label: two or more grades are needed"),
        (
            {"y": np.asarray(["low", "high"] * 6)},
            "the order of the grades of grade cannot be told from their names high",
        ),
        ({"group": np.asarray(["a"] * 11 + [""])}, "row 11: '' is no group: name one, or one for it alone"),
        ({"group": np.where(np.arange(12) < 2, np.nan, 1.0)}, "row 0: '' is no group"),
        ({"id": LABELS}, "two examples have the same id: give each its own"),
        ({"split": np.asarray(["all"] * 12)}, "row 0, split: 'all' is none of train, val and test"),
        (
            {"columns": np.asarray(["a", "a", "b", "c"])},
            "columns are 4 names: give a different one for each of 4 numbers",
        ),
    ],
)
def test_what_is_no_array_of_examples_gives_one_clear_line(tmp_path, change, message):
    arrays = {"x": NUMBERS, "y": LABELS} | change
    arrays = {key: array for key, array in arrays.items() if array is not None}
    with pytest.raises(UserError, match=message) as caught:
        opened(tmp_path, arrays)
    assert "\n" not in str(caught.value)


def test_ratings_in_any_steps_are_grades_in_the_order_of_their_numbers(tmp_path):
    dataset = opened(tmp_path, {"x": NUMBERS, "y": np.pi * LABELS[::-1]})
    assert dataset.tasks[0].grades == ("0", "3.141592653589793", "6.283185307179586")
    assert dataset.columns["label/grade"].tolist() == LABELS[::-1].tolist()


def test_the_file_is_the_root_or_the_only_one_in_it(tmp_path):
    data = DataSettings("arrays", str(tmp_path), str(tmp_path / "cache"))
    with pytest.raises(UsageError, match=r"has 0 .npz files: name one by --config.data.root=FILE"):
        catalog.prepare(data)
    gone = DataSettings("arrays", str(tmp_path / "eyes.npz"), str(tmp_path / "cache"))
    with pytest.raises(store.SourceMissingError, match=r"eyes.npz does not exist: name the file of the arrays"):
        catalog.prepare(gone)
    opened(tmp_path, {"x": NUMBERS, "y": LABELS})
    built = catalog.prepare(gone)
    (tmp_path / "eyes.npz").unlink()
    assert catalog.prepare(gone) == built
    np.savez_compressed(tmp_path / "eyes.npz", y=LABELS, x=NUMBERS)  # packed otherwise, the same arrays
    assert catalog.prepare(gone) == built
    np.savez(tmp_path / "eyes.npz", y=LABELS, x=NUMBERS + 1)
    assert catalog.prepare(gone) != built


def in_memory(tmp_path, data):
    changes = memory.save(tmp_path / "data", data) | {"data.cache": str(tmp_path / "cache")}
    return material.open(settings.override(settings.resolve({}, "here"), changes).data)


def test_arrays_in_memory_are_written_and_read_as_they_are(tmp_path):
    found = in_memory(
        tmp_path,
        {
            "x": np.repeat(NUMBERS, 4, axis=0),
            "y": {"icm": ["C", "A", None] * 16, "te": list(LABELS) * 4},
            "grades": {"icm": ("C", "B", "A")},
            "group": np.arange(48) // 2,
            "name": "embryos",
        },
    )
    assert found.dataset.name == "embryos"
    assert [task.name for task in found.tasks] == ["icm", "te"]
    order = np.argsort(found.dataset.columns["id"])
    np.testing.assert_array_equal(found.dataset.columns["numbers"][order], np.repeat(NUMBERS, 4, axis=0))
    assert found.dataset.columns["label/icm"][order].tolist() == [0, 2, -1] * 16
    groups = [set(found.dataset.columns["group"][rows]) for rows in found.splits.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 24


def test_a_frame_in_memory_is_a_table(tmp_path):
    frame = pd.DataFrame({"age": NUMBERS[:, 0], "sex": list("mf") * 6, "stage": LABELS + 1, "part": ["train"] * 12})
    frame.loc[8:9, "part"], frame.loc[10:, "part"] = "val", "test"
    found = in_memory(tmp_path, {"x": frame, "label": "stage", "split": "part"})
    assert found.dataset.extras["columns"] == ["age", "sex=f", "sex=m"]
    np.testing.assert_array_equal(found.dataset.columns["numbers"][:, 0], NUMBERS[:, 0])
    assert found.dataset.columns["label/stage"].tolist() == LABELS.tolist()
    assert {name: len(rows) for name, rows in found.splits.items()} == {"train": 8, "val": 2, "test": 2}
    other = in_memory(tmp_path, {"x": frame.drop(columns="stage"), "y": LABELS, "split": "part"})
    assert other.tasks[0].name == "grade"
    assert other.dataset.columns["label/grade"].tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (NUMBERS, "data: give a mapping of arrays, such as dict"),
        ({"y": LABELS}, "data: give a mapping of arrays, such as dict"),
        ({"x": NUMBERS, "y": [{}] * 12}, "grade has only the label {}"),
        ({"x": NUMBERS, "y": [[1], [1, 2]]}, "data: y is no array: "),
        ({"x": [[object()], [object()]], "y": [0, 1]}, r"data: x is an array of object .2, 1.: give numbers or texts"),
        ({"x": NUMBERS}, "data: give y, the labels, or a mapping of them by task"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, data, message):
    with pytest.raises(UserError, match=message):
        in_memory(tmp_path, data)
