"""The table source: both layouts, the validation split, and every kind of bad file."""

import numpy as np
import pytest

from ordinal_blast.data import batches, catalog, splits, store
from ordinal_blast.errors import UsageError, UserError

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
    return {"source": "table", "root": str(tmp_path), "cache": str(tmp_path / "cache"), "options": options}


def opened(tmp_path, options):
    dataset = store.open_dataset(catalog.prepare(data(tmp_path, options)))
    return dataset, catalog.divide(dataset, {"by": "official"})


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
    assert columns["features"].dtype == np.float32
    np.testing.assert_array_equal(columns["features"][official["train"]], np.float32([[0.5, 2], [1.5, -0.3], [2.5, 4]]))
    np.testing.assert_array_equal(columns["label/grade"][official["test"]], [2, 0])
    np.testing.assert_array_equal(columns["features"][official["val"]], [[7, 8]])
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
    together = np.concatenate([first.columns["features"][official[name]] for name in ("train", "val")])
    np.testing.assert_array_equal(np.sort(together[:, 0]), np.sort(table[:, 0].astype(np.float32)))
    second, _ = opened(tmp_path, NUMBERED | {"holdout": 1})
    assert second.identity != first.identity
    assert not np.isin(second.columns["features"], first.columns["features"]).any()
    again, others = opened(tmp_path, NUMBERED | {"val_seed": 1})
    assert set(again.columns["id"][others["val"]]) != set(first.columns["id"][official["val"]])


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
        "text": [*lines[:2], "1.5,1,much", *lines[3:]],
        "nan": [*lines[:2], "nan,1,2", *lines[3:]],
        "label": [*lines[:3], "2.5,3,4"],
        "half": [*lines[:3], "2.5,1.5,4"],
        "no label": ["v1,z,v2", *lines[1:]],
        "two labels": ["y,y,v2", *lines[1:]],
        "layout": ["v1,y,v3", *lines[1:]],
        "bytes": lines,
    }[kind]
    path.write_text("".join(f"{line}\n" for line in lines))
    if kind == "bytes":
        path.write_bytes(b"\xff\xfe\x00\n")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"a.csv does not exist: name the folder of its table"),
        ("empty", r"a.csv has no rows"),
        ("header only", r"a.csv has no rows"),
        ("ragged", r"a.csv, line 3: 2 entries instead of 3"),
        ("text", r"a.csv, line 3, v2: 'much' is no finite number"),
        ("nan", r"a.csv, line 3, v1: 'nan' is no finite number"),
        ("label", r"a.csv, line 4: the label 3 is not one of the 3 grades 0 ... 2 of grade"),
        ("half", r"a.csv, line 4: the label 1.5 is not one of the 3 grades"),
        ("no label", r"a.csv has 0 columns named y: it has v1, z, v2"),
        ("two labels", r"a.csv has 2 columns named y"),
        ("layout", r"b.csv has other columns than .*a.csv"),
        ("bytes", r"cannot read .*a.csv: .*UTF-8"),
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
    with pytest.raises(UsageError, match=r"val_share is 0.0: without a val file it lies between 0 and 1"):
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
