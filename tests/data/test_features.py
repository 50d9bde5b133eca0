"""Vectors of an encoder and the sheet that grades them, joined by id."""

import numpy as np
import pytest

from ordinal_blast.data import material
from ordinal_blast.errors import UserError
from ordinal_blast.settings import DataSettings

IDS = ("e3", "e1", "e2", "e9")
X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
SHEET = "id,grade,patient,clinic\ne1,A,p1,north\ne2,B,p1,north\ne3,,p2,south\ne8,A,p3,south\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "labels.csv").write_text(SHEET)
    np.savez(tmp_path / "features.npz", id=np.asarray(IDS), x=X)
    return tmp_path


def look(root, **options):
    options = {"grades": ("C", "B", "A"), "group": "patient", "along": ("clinic",)} | options
    return material.look(DataSettings("features", str(root), str(root / "cache"), options)).dataset


def as_csv(root):
    lines = [
        f"{one};" + ";".join(f"{value:.9g}".replace(".", ",") for value in row) for one, row in zip(IDS, X, strict=True)
    ]
    (root / "features.csv").write_text("id;a;b;c;d;e\n" + "\n".join(lines) + "\n")
    return {"vectors": "features.csv"}


def as_parquet(root):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"id": IDS} | {f"x{k}": X[:, k] for k in range(5)}).to_parquet(root / "features.parquet")
    return {"vectors": "features.parquet"}


@pytest.mark.parametrize("write", [lambda root: {}, as_csv, as_parquet], ids=["npz", "csv", "parquet"])
def test_vectors_and_grades_are_joined_by_id(root, write):
    dataset = look(root, **write(root))
    columns = dataset.columns
    assert columns["id"].tolist() == ["e1", "e2", "e3"]
    np.testing.assert_array_equal(columns["numbers"][np.arange(3)], X[[1, 2, 0]])
    assert columns["label/grade"].tolist() == [2, 1, -1]
    assert columns["group"].tolist() == ["p1", "p1", "p2"]
    assert columns["clinic"].tolist() == ["north", "north", "south"]
    left = [note for note in dataset.notes if note.endswith("left out")]
    assert len(left) == 2
    assert "labels.csv, line 5: e8 has no vector" in left[0]
    assert left[1].startswith("e9 of features.")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("labels.csv", SHEET.replace("e2,", "e1,"), r"labels\.csv, line 3: the id e1 is there before, in .*line 2"),
        ("labels.csv", SHEET.replace("B", "X"), "the label X is not one of the 3 grades"),
        ("labels.csv", SHEET.replace("p1", "", 1), r"labels\.csv, line 2, patient: it is blank"),
        ("features.csv", "id,a\ne1,1\ne2,x\n", r"features\.csv, line 3, a: it is no finite number of 32 bits"),
        ("features.csv", "id,a\ne1,1\ne1,2\n", r"features\.csv, line 3: the id e1 is there before"),
        ("features.csv", "id,a\nz1,1\n", "have no id in common"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(root, file, text, said):
    (root / file).write_text(text)
    with pytest.raises(UserError, match=said):
        look(root, **({"vectors": file} if file == "features.csv" else {}))


def test_pickled_arrays_are_refused(root):
    np.savez(root / "features.npz", id=np.asarray([{}], object), x=X[:1])
    with pytest.raises(UserError, match=r"features\.npz"):
        look(root)
