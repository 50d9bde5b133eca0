"""The table source: both layouts, the validation split, and every kind of bad file."""

import os

import numpy as np
import pytest

from ordinal_blast.data import batches, catalog, splits, store
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import DataSettings, SplitSettings

COMMON = {
    "name": "fires",
    "task": "grade",
    "holdout": 0,
    "val_share": 0.25,
    "val_stratified": True,
    "val_seed": 0,
    "licence": "MIT",
    "citation": "nobody",
}
NAMED = COMMON | {
    "grades": ("0", "1", "2"),
    "train": "a.csv",
    "val": "b.csv",
    "test": "c.csv",
    "label": "y",
    "lowest": 0,
}
NUMBERED = COMMON | {
    "grades": ("low", "high"),
    "train": "train_{holdout}.csv",
    "val": "",
    "test": "test_{holdout}.csv",
    "label": "",
    "lowest": 1,
}


def data(tmp_path, options):
    return DataSettings(source="table", root=str(tmp_path), cache=str(tmp_path / "cache"), options=options)


def opened(tmp_path, options):
    dataset = store.open_dataset(catalog.prepare(data(tmp_path, options)))
    return dataset, catalog.divide(dataset, SplitSettings())


def write_named(tmp_path):
    (tmp_path / "a.csv").write_text("v1,y,v2\n0.5,0,2\n1.5,1,-3e-1\n2.5,2,4\n")
    (tmp_path / "b.csv").write_text("v1,y,v2\n7,1,8\n")
    (tmp_path / "c.csv").write_text("v1,y,v2\n9,2,10\n\n11,0,12\n")


def write_numbered(tmp_path):
    for holdout in (0, 1):
        rng = np.random.default_rng(holdout)
        for kind, count in (("train", 40), ("test", 8)):
            labels = 1 + (np.arange(count) % 4 == 0)
            table = np.column_stack([rng.normal(size=(count, 3)), labels])
            np.savetxt(tmp_path / f"{kind}_{holdout}.csv", table, delimiter=",", fmt="%.17g")


def test_files_with_a_header_keep_every_number_grade_and_split(tmp_path):
    write_named(tmp_path)
    dataset, official = opened(tmp_path, NAMED)
    columns = dataset.columns
    assert columns["numbers"].dtype == np.float32
    np.testing.assert_array_equal(columns["numbers"][official["train"]], np.float32([[0.5, 2], [1.5, -0.3], [2.5, 4]]))
    np.testing.assert_array_equal(columns["label/grade"][official["test"]], [2, 0])
    np.testing.assert_array_equal(columns["numbers"][official["val"]], [[7, 8]])
    assert columns["id"][official["test"]].tolist() == ["test-00000", "test-00001"]
    assert (columns["id"] == columns["group"]).all()
    assert dataset.extras["columns"] == ["v1", "v2"]


def test_a_holdout_chooses_its_files_and_validation_is_a_stratified_share_of_training(tmp_path):
    write_numbered(tmp_path)
    first, official = opened(tmp_path, NUMBERED)
    table = np.loadtxt(tmp_path / "train_0.csv", delimiter=",")
    assert {name: len(rows) for name, rows in official.items()} == {"train": 30, "val": 10, "test": 8}
    for name, highs in (("train", 7.5), ("val", 2.5)):  # a quarter of 40 rows is "high"
        assert abs((first.columns["label/grade"][official[name]] == 1).sum() - highs) <= 1
    together = np.concatenate([first.columns["numbers"][official[name]] for name in ("train", "val")])
    np.testing.assert_array_equal(np.sort(together[:, 0]), np.sort(table[:, 0].astype(np.float32)))
    second, _ = opened(tmp_path, NUMBERED | {"holdout": 1})
    assert second.identity != first.identity
    assert not np.isin(second.columns["numbers"], first.columns["numbers"]).any()
    again, others = opened(tmp_path, NUMBERED | {"val_seed": 1})
    assert set(again.columns["id"][others["val"]]) != set(first.columns["id"][official["val"]])


PATIENTS = NAMED | {"grades": ("C", "B", "A"), "val": "", "group": "patient", "val_share": 0.5}


def write_patients(tmp_path, ending="\n", delimiter=",", start=""):
    """A table as spreadsheets and pandas write it: an index, a mark before the text, letters, blanks, a patient."""
    for name, count in (("a", 12), ("c", 4)):
        rows = [["", "v1", "patient", "y"]]
        rows += [[str(i), f"{i}.5", f"{name}{i // 3}", "" if i == 3 else "CBA"[i % 3]] for i in range(count)]
        text = "".join(delimiter.join(row) + ending for row in rows)
        (tmp_path / f"{name}.csv").write_bytes((start + text).encode())


@pytest.mark.parametrize(
    ("ending", "delimiter", "start"),
    [("\n", ",", ""), ("\r\n", ",", "\ufeff"), ("\r", ",", ""), ("\n", ";", "\ufeff"), ("\n", "\t", "")],
)
def test_letters_patients_blanks_an_index_and_a_byte_order_mark_are_read(tmp_path, ending, delimiter, start):
    write_patients(tmp_path, ending, delimiter, start)
    dataset, official = opened(tmp_path, PATIENTS)
    assert dataset.extras["columns"] == ["v1"]
    assert "left out: the unnamed first column" in dataset.summary
    row = {name: number for number, name in enumerate(dataset.columns["id"])}
    rows = [row[f"train-{i:05d}"] for i in range(12)]
    np.testing.assert_array_equal(dataset.columns["numbers"][rows, 0], np.arange(12) + 0.5)
    assert dataset.columns["label/grade"][rows].tolist() == [0, 1, 2, -1, 1, 2, 0, 1, 2, 0, 1, 2]
    assert dataset.columns["group"][rows].tolist() == [f"a{i // 3}" for i in range(12)]
    patients = {name: set(dataset.columns["group"][found]) for name, found in official.items()}
    assert {name: len(found) for name, found in patients.items()} == {"train": 2, "val": 2, "test": 2}
    assert not patients["train"] & patients["val"]


def test_one_file_with_patients_is_divided_by_them(tmp_path):
    write_patients(tmp_path)
    dataset = store.open_dataset(catalog.prepare(data(tmp_path, PATIENTS | {"test": ""})))
    with pytest.raises(UsageError, match="fires comes unsplit: use group"):
        catalog.divide(dataset, SplitSettings())
    split = catalog.divide(dataset, SplitSettings("group", (0.5, 0.25, 0.25)))
    groups = [set(dataset.columns["group"][rows]) for rows in split.values()]
    assert [len(each) for each in groups] == [2, 1, 1]
    assert len(set.union(*groups)) == 4


@pytest.mark.parametrize("text", ["", " ", "nan", "NaN", "None", "<NA>"])
def test_rows_without_a_patient_are_never_one_patient(tmp_path, text):
    write_patients(tmp_path)
    path = tmp_path / "a.csv"
    path.write_text(path.read_text().replace("2.5,a0,", f"2.5,{text},"))
    with pytest.raises(UserError, match=rf"a.csv, line 4, patient: '{text.strip()}' is no group: name one, or"):
        catalog.prepare(data(tmp_path, PATIENTS))


def test_columns_that_are_dropped_are_no_features(tmp_path):
    write_named(tmp_path)
    dataset, _ = opened(tmp_path, NAMED | {"drop": ("v1",)})
    assert dataset.extras["columns"] == ["v2"]
    for change, message in (
        ({"drop": ("v1", "v2")}, "has no numbers"),
        ({"drop": ("y",)}, "has no numbers"),
        ({"drop": ("v9",)}, "has 0 columns named v9: it has v1, y, v2"),
        ({"group": "who"}, "has 0 columns named who"),
        ({"group": "y"}, "has no numbers"),
    ):
        with pytest.raises(UserError, match=message):
            catalog.prepare(data(tmp_path, NAMED | change))


@pytest.mark.parametrize(
    ("grades", "lowest", "labels", "expected"),
    [
        (("1", "2", "3"), 1, "1 2 3", [0, 1, 2]),  # by name and by number alike
        (("1", "2", "3"), 0, "0 1 2", [0, 1, 2]),  # numbers: 0 is no name
        (("3", "2", "1"), 9, "3 2 1", [0, 1, 2]),  # names: no number from 9 on
        (("3", "2", "1"), 1, "3 2 1", "the label 1 is a grade of grade by its name and another as a number"),
        (("C", "B", "A"), 0, "0 B A", "line 2: the label 0 is not one of the 3 grades 0 ... 2 of grade"),
        (
            ("C", "B", "A"),
            0,
            "C B a",
            "line 4: the label a is not one of the 3 grades",
        ),
        (("C", "B", "A"), 0, "b", "nor are all labels among its names C, B, A: correct it, or data.options.grades"),
        (("C", "B", "A"), 0, "0 1 inf", "line 4: the label inf is not one of the 3 grades"),
    ],
)
def test_labels_are_numbers_or_names_and_never_both(tmp_path, grades, lowest, labels, expected):
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text("v,y\n" + "".join(f"{i},{y}\n" for i, y in enumerate(labels.split())))
    options = NAMED | {"grades": grades, "lowest": lowest}
    if isinstance(expected, str):
        with pytest.raises(UserError) as caught:
            catalog.prepare(data(tmp_path, options))
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)
    else:
        dataset, official = opened(tmp_path, options)
        assert dataset.columns["label/grade"][official["test"]].tolist() == expected


def broken(tmp_path, kind):
    write_named(tmp_path)
    path = tmp_path / "a.csv"
    lines = path.read_text().splitlines()
    if kind == "missing":
        path.unlink()
        return
    lines = {
        "empty": [],
        "header only": lines[:1],
        "ragged": [*lines[:2], "1.5,1", *lines[3:]],
        "underscore": [*lines[:2], "1.5,1,1_0", *lines[3:]],
        "long name": [f"v1,{'n' * 5000},v2", *lines[1:]],
        "text": [*lines[:2], "1.5,1,much", *lines[3:]],
        "nan": [*lines[:2], "nan,1,2", *lines[3:]],
        "label": [*lines[:3], "2.5,3,4"],
        "half": [*lines[:3], "2.5,1.5,4"],
        "no label": ["v1,z,v2", *lines[1:]],
        "no name": [",z,v2", *lines[1:]],
        "two labels": ["y,y,v2", *lines[1:]],
        "layout": ["v1,y,v3", *lines[1:]],
        "bytes": lines,
        "large": [*lines[:2], "1e39,1,2", *lines[3:]],
        "field": [*lines[:2], f"{'1' * 200000},1,2", *lines[3:]],
        "quoted": [*lines[:2], '"1\n5",1,2', *lines[3:]],
        "zero byte": [*lines[:2], "\0,1,2", *lines[3:]],
        "no names": lines[1:],
        "folder": [],
        "pipe": [],
    }[kind]
    if kind in ("folder", "pipe"):
        path.unlink()
        path.mkdir() if kind == "folder" else os.mkfifo(path)
        return
    path.write_text("".join(f"{line}\n" for line in lines))
    if kind == "bytes":
        path.write_bytes(b"v1,y,v2\n\xff,0,1\n")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"a.csv does not exist: name the folder of its table"),
        ("empty", r"a.csv has no rows"),
        ("header only", r"a.csv has no rows"),
        ("ragged", r"a.csv, line 3: 2 entries instead of 3"),
        ("text", r"a.csv, line 3, v2: 'much' is no finite number"),
        ("underscore", r"a.csv, line 3, v2: '1_0' is no finite number"),
        ("long name", r"a.csv has 0 columns named y: it has v1, n{57}\.\.\., v2$"),
        ("nan", r"a.csv, line 3, v1: 'nan' means that it is missing: correct that line, or say median or"),
        ("label", r"a.csv, line 4: the label 3 is not one of the 3 grades 0 ... 2 of grade"),
        ("half", r"a.csv, line 4: the label 1.5 is not one of the 3 grades"),
        ("no label", r"a.csv has 0 columns named y: it has v1, z, v2"),
        ("two labels", r"a.csv has 2 columns named y"),
        ("layout", r"b.csv has other columns than .*a.csv"),
        (
            "bytes",
            r"cannot read .*a.csv: it is no text in UTF-8; say its encoding by data.options.encoding, such as latin-1",
        ),
        ("large", r"a.csv, line 3, v1: '1e39' is no finite number"),
        ("field", r"cannot read .*a.csv: field larger than field limit"),
        ("quoted", r"a.csv, line 4, v1: '1 5' is no finite number"),
        ("zero byte", r"a.csv, line 3, v1: '.x00' is no finite number"),
        ("no name", r"a.csv has 0 columns named y: it has one without a name, z, v2$"),
        ("no names", r"a.csv has 0 columns named y: it has 0.5, 0, 2"),
        ("folder", r"cannot read .*a.csv: it is no regular file"),
        ("pipe", r"cannot read .*a.csv: it is no regular file"),
    ],
)
def test_a_bad_file_gives_one_clear_line(tmp_path, kind, message):
    broken(tmp_path, kind)
    with pytest.raises(UserError, match=message) as caught:
        catalog.prepare(data(tmp_path, NAMED))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/**/*.array_record*"))


def test_a_class_number_below_the_lowest_is_refused(tmp_path):
    write_numbered(tmp_path)
    with pytest.raises(UserError, match=r"train_0.csv, line 1: the label 2 is not one of the 2 grades 0 ... 1"):
        catalog.prepare(data(tmp_path, NUMBERED | {"lowest": 0}))
    with pytest.raises(UsageError, match=r"val_share is 0.0: it takes a number above 0 and below 1"):
        catalog.prepare(data(tmp_path, NUMBERED | {"val_share": 0.0}))


@pytest.mark.parametrize("share", [0.1, 0.2, 1 / 3, 0.5])
def test_splitting_off_takes_the_share_of_every_stratum_to_within_one_row(share):
    strata = np.repeat([2, 0, 1], [60, 33, 7])
    kept, chosen = splits.split_off(strata, share, (0, 3))
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, chosen])), np.arange(100))
    assert len(chosen) == round(100 * share)
    for stratum in (0, 1, 2):
        assert abs((strata[chosen] == stratum).sum() - share * (strata == stratum).sum()) < 1 + 1e-9
    np.testing.assert_array_equal(splits.split_off(strata, share, (0, 3))[1], chosen)
    assert not np.array_equal(splits.split_off(strata, share, (1, 3))[1], chosen)


def test_a_share_that_chooses_nothing_or_all_is_refused():
    for share in (0.001, 0.999):
        with pytest.raises(UsageError, match="leaves a set empty"):
            splits.split_off(np.zeros(10), share, (0,))


def test_balanced_batches_hold_every_grade_equally_and_repeat_only_rare_ones():
    labels = np.repeat([0, 1, 2, -1], [8, 4, 2, 3]).astype(np.int32)
    rows = np.arange(len(labels))
    examples = batches.Examples(rows, batches.fixed(rows), {"grade": labels}, {"grade": (labels >= 0).astype("f4")})
    orders = []
    for _, epoch in batches.epochs(examples, size=6, first=0, last=3, seed=5, threads=0, balance="grade"):
        made = list(epoch)
        assert len(made) == 4  # 3 grades of 8
        for batch in made:
            np.testing.assert_array_equal(np.bincount(batch.labels["grade"]), [2, 2, 2])
        orders.append(np.concatenate([batch.inputs for batch in made]))
        assert np.bincount(orders[-1]).tolist() == [1] * 8 + [2] * 4 + [4] * 2
    assert not np.array_equal(orders[0], orders[1])


def test_columns_that_go_along_are_not_read_by_networks_and_stay_with_their_rows(tmp_path):
    rows = [f"p{i // 2},{'north' if i % 3 else 'NA'},{i}.5,{i % 3}" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["patient,clinic,v,y", *rows]))
    options = {"label": "y", "group": "patient", "along": ("clinic",)}
    dataset = store.open_dataset(catalog.prepare(data(tmp_path, options)))
    assert dataset.extras["columns"] == ["v"]
    assert dataset.columns["clinic"].tolist() == ["north" if i % 3 else "" for i in range(30)]


@pytest.mark.parametrize("along", [("id",), ("clinic", "clinic"), ("a/b",)])
def test_columns_that_cannot_go_along_are_refused(tmp_path, along):
    (tmp_path / "t.csv").write_text("id,clinic,a/b,v,y\n1,n,2,3,0\n1,n,2,3,1\n")
    with pytest.raises(UsageError, match=r"data\.options\.along has"):
        store.open_dataset(catalog.prepare(data(tmp_path, {"label": "y", "along": along})))


def test_a_column_that_goes_along_has_to_be_there(tmp_path):
    (tmp_path / "t.csv").write_text("v,y\n3,0\n4,1\n")
    with pytest.raises(UserError, match="has 0 columns named clinic"):
        store.open_dataset(catalog.prepare(data(tmp_path, {"label": "y", "along": ("clinic",)})))
