"""Missing entries and categories of a table: learnt on the training rows alone, and applied alike to new rows."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from ordinal_blast.data import catalog, encoding, inspection, material, store
from ordinal_blast.data.sources import table
from ordinal_blast.errors import UserError
from ordinal_blast.settings import DataSettings, SplitSettings

ROWS = """age,sex,colour,centre,part,y
1.5,f,red,1,train,low
NA,m,blue,2,train,high
4.5,f,,1,train,low
2.5,f,red,2.0,train,high
9,,green,3,val,low
9,m,red,1,val,high
,m,blue,1,test,high
7,f,red,2,test,
"""
OPTIONS = {"label": "y", "grades": ("low", "high"), "split": "part", "categorical": ("centre",)}


def opened(tmp_path, text=ROWS, by="official", **options):
    (tmp_path / "eyes.csv").write_text(text)
    split = SplitSettings(by, (0.5, 0.25, 0.25))
    return material.open(DataSettings("table", str(tmp_path), str(tmp_path / "cache"), OPTIONS | options, split))


def test_medians_and_categories_are_those_of_the_training_rows(tmp_path):
    found = opened(tmp_path, missing="median").dataset
    assert found.name == "eyes"
    assert found.extras["columns"] == ["age", "sex=f", "sex=m", "colour=blue", "colour=red", "centre=1", "centre=2"]
    np.testing.assert_array_equal(
        found.columns["numbers"],
        np.float32(
            [
                [1.5, 1, 0, 0, 1, 1, 0],
                [2.5, 0, 1, 1, 0, 0, 1],
                [4.5, 1, 0, 0, 0, 1, 0],
                [2.5, 1, 0, 0, 1, 0, 1],
                [9, 0, 0, 0, 0, 0, 0],
                [9, 0, 1, 0, 1, 1, 0],
                [2.5, 0, 1, 1, 0, 1, 0],
                [7, 1, 0, 0, 1, 0, 1],
            ]
        ),
    )
    path = f"{tmp_path}/eyes.csv"
    assert found.notes == (
        f"{path}, line 3: age is missing",
        f"{path}, line 4: colour is missing",
        f"{path}, line 6: sex is missing",
        f"{path}, line 8: age is missing",
        f"{path}, line 9: the grade is missing",
        "a missing age is taken as 2.5, the median of the training rows",
        "rows-00004: no training row has 'green' as colour, so that it counts as none of them",
        "rows-00004: no training row has '3' as centre, so that it counts as none of them",
    )
    assert "1 numbers and 3 categories" in found.summary


def test_indicators_say_where_training_rows_lack_an_entry(tmp_path):
    found = opened(tmp_path, missing="indicator").dataset
    assert found.extras["columns"][:4] == ["age", "age missing", "sex=f", "sex=m"]
    assert "sex missing" not in found.extras["columns"]  # no training row lacks it
    assert found.columns["numbers"][:, 1].tolist() == [0, 1, 0, 0, 0, 0, 1, 0]
    at = found.extras["columns"].index("colour missing")
    assert found.columns["numbers"][:, at].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]


def test_rows_of_a_new_table_are_read_as_training_taught(tmp_path):
    found = opened(tmp_path, missing="median").dataset
    extras = json.loads(json.dumps(found.extras))  # as a record has it
    (tmp_path / "new.csv").write_text("colour;sex;note;age;centre\nred;f;x;1,5;1\nteal;m;;;2,0\n")
    rows = table.rows(tmp_path / "new.csv", extras)
    np.testing.assert_array_equal(rows.numbers, np.float32([[1.5, 1, 0, 0, 1, 1, 0], [2.5, 0, 1, 0, 0, 0, 1]]))
    assert rows.places == (f"{tmp_path}/new.csv, line 2", f"{tmp_path}/new.csv, line 3")
    assert rows.notes == (
        (),
        ("age is missing", "colour is 'teal', which no training row has: it counts as none of those"),
    )
    (tmp_path / "new.csv").write_text("age,sex,colour,centre\nold,f,red,1\n")
    with pytest.raises(UserError, match=r"new.csv, line 2, age: 'old' is no finite number: correct that line$"):
        table.rows(tmp_path / "new.csv", extras)
    (tmp_path / "new.csv").write_text("age,sex,colour\n1,f,red\n")
    with pytest.raises(UserError, match=r"new.csv has 0 columns named centre: it has age, sex, colour"):
        table.rows(tmp_path / "new.csv", extras)


@pytest.mark.parametrize("missing", ["median", "indicator"])
def test_numbers_are_those_of_scikit_learn_fitted_on_training_rows_and_the_same_when_graded_later(tmp_path, missing):
    dataset = opened(tmp_path, missing=missing).dataset
    frame = pd.read_csv(tmp_path / "eyes.csv")
    train, numbers = frame["part"] == "train", []
    for name in ("age", "sex", "colour", "centre"):
        column = frame[[name]] if name == "age" else frame[[name]].astype(object)
        if name == "age":
            numbers.append(SimpleImputer(strategy="median").fit(column[train]).transform(column))
        else:
            one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            numbers.append(one_hot.fit(column[train & column[name].notna()]).transform(column))
        if missing == "indicator" and column[name][train].isna().any():
            numbers.append(column.isna().to_numpy())
    np.testing.assert_array_equal(dataset.columns["numbers"], np.concatenate(numbers, axis=1).astype(np.float32))
    later = table.rows(tmp_path / "eyes.csv", dataset.extras)  # green and 3, which no training row has, are not missing
    np.testing.assert_array_equal(later.numbers, dataset.columns["numbers"])
    assert later.notes[4] == (
        "sex is missing",
        "colour is 'green', which no training row has: it counts as none of those",
        "centre is '3', which no training row has: it counts as none of those",
    )


def test_a_training_row_without_a_label_teaches_nothing(tmp_path):
    found = opened(tmp_path, ROWS + "100,f,white,1,train,\n", missing="median").dataset
    assert "colour=white" not in found.extras["columns"]
    assert found.columns["numbers"][1, 0] == 2.5


def test_numbers_alone_of_which_none_may_be_missing_teach_nothing(tmp_path):
    (tmp_path / "eyes.csv").write_text("x,z,part,y\n1,2,train,low\n3,4,val,high\n")
    options = {"label": "y", "grades": ("low", "high"), "split": "part"}
    built = store.open_dataset(catalog.prepare(DataSettings("table", str(tmp_path), str(tmp_path / "cache"), options)))
    assert encoding.learnt(built, np.arange(1)) is built
    assert [column.median for column in encoding.columns(built.extras)] == [None, None]


def test_what_is_missing_is_refused_unless_it_is_said_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"eyes.csv, line 3, age: 'NA' means that it is missing: correct .* median or"):
        opened(tmp_path)
    whole = (
        "".join(line + "\n" for k, line in enumerate(ROWS.splitlines()) if k not in (2, 3, 5, 7))
        + "1,f,red,1,val,high\n1,f,red,1,test,low\n"
    )
    found = opened(tmp_path, whole).dataset
    (tmp_path / "new.csv").write_text("age,sex,colour,centre\n1,,red,1\n")
    with pytest.raises(UserError, match=r"new.csv, line 2, sex: it is missing: correct that line, or say median"):
        table.rows(tmp_path / "new.csv", found.extras)


def test_what_means_missing_is_stated(tmp_path):
    text = ROWS.replace("NA", "-9").replace("\n,", "\n-9,").replace(",,", ",-9,").replace("f,-9", "f,blue")
    found = opened(tmp_path, text, missing="median", na=("", "-9")).dataset
    assert found.columns["numbers"][1, 0] == 2.5
    with pytest.raises(UserError, match=r"eyes.csv, line 3, age: 'NA' is no finite number: correct that line, or see"):
        opened(tmp_path, missing="median", na=("",))


def test_a_table_that_comes_unsplit_learns_from_its_training_rows_too(tmp_path):
    rng = np.random.default_rng(0)
    text = "x,y\n" + "".join(f"{'' if k % 5 == 0 else rng.normal():.6}".rstrip() + f",{k % 2}\n" for k in range(40))
    found = opened(tmp_path, text, by="group", grades=(), split="", categorical=(), missing="median")
    raw = np.asarray([line.split(",")[0] or "nan" for line in text.splitlines()[1:]], float)
    expected = np.float32(np.nanmedian(raw[found.splits["train"]].astype(np.float32).astype(float)))
    np.testing.assert_array_equal(found.dataset.columns["numbers"][::5, 0], expected)
    assert expected != np.float32(np.nanmedian(raw))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("age", "sex", "eyes.csv has 2 columns named sex: it has sex, sex, colour"),
        ("centre", "center", "has 0 columns named centre: it has age, sex, colour, center"),
        ("1.5", "young", "line 2, age: 'young' is no finite number: correct that line, or see data.options.label"),
        ("train", "all", "line 2, part: 'all' is none of train, val and test"),
    ],
)
def test_columns_that_do_not_fit_give_one_clear_line(tmp_path, before, after, message):
    text = ROWS.replace(before, after)
    with pytest.raises(UserError, match=message) as caught:
        opened(tmp_path, text, missing="median")
    assert "\n" not in str(caught.value)


def test_a_column_of_names_is_no_category(tmp_path):
    text = "name,x,y\n" + "".join(f"person {k},{k},{k % 2}\n" for k in range(30))
    with pytest.raises(
        UserError, match=r"30 rows have 30 different texts as name, such as 'person 0': leave it out by"
    ):
        opened(tmp_path, text, by="group", grades=(), split="", categorical=())
    found = opened(tmp_path, text, by="group", grades=(), split="", categorical=(), drop=("name",))
    assert found.dataset.extras["columns"] == ["x"]
    assert "left out: name" in inspection.facts(found)["summary"]


def test_a_column_without_an_entry_in_training_is_refused(tmp_path):
    text = ROWS.replace("1.5,f", ",f").replace("4.5,f", ",f").replace("2.5,f", ",f")
    with pytest.raises(
        UserError, match=r"age is missing in every training row of eyes: leave it out by data.options.drop"
    ):
        opened(tmp_path, text, missing="median")
