"""From settings to an open dataset: what is taken from the cache, what is refused, and what is warned of."""

import dataclasses

import numpy as np
import pytest

from ordinal_blast.data import catalog, material, splits, store
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import DataSettings, SplitSettings
from ordinal_blast.types import Task

TABLE = {
    "name": "fires",
    "task": "grade",
    "grades": ("low", "high"),
    "train": "train_{holdout}.csv",
    "val": "",
    "test": "test_{holdout}.csv",
    "label": "y",
    "lowest": 0,
    "holdout": 0,
    "val_share": 0.25,
    "val_stratified": False,
    "val_seed": 0,
    "licence": "MIT",
    "citation": "nobody",
}


def tables(root):
    for holdout in (0, 1):
        for kind in ("train", "test"):
            rows = "".join(f"{holdout}.{row},{row % 2}\n" for row in range(12))
            (root / f"{kind}_{holdout}.csv").write_text(f"x,y\n{rows}")


def prepare(root, cache, **changes):
    return catalog.prepare(DataSettings(source="table", root=str(root), cache=str(cache), options=TABLE | changes))


def dataset(groups, **labels):
    tasks = tuple(Task(name, ("C", "B", "A")) for name in labels)
    columns = {f"label/{name}": np.asarray(values, np.int32) for name, values in labels.items()}
    columns |= {"group": np.asarray(groups), "id": np.arange(len(groups)).astype(str)}
    return store.Dataset("eyes", tasks, "", "", "", "0", {}, columns, {})


def test_a_grade_that_a_split_by_groups_leaves_out_is_told_with_task_and_split():
    opened = dataset(
        np.repeat(np.arange(10), 4), icm=np.repeat([0, 1, 1, 1, 2, 2, 2, 2, 2, 2], 4), te=[0, 1, 2, -1] * 10
    )
    split = catalog.divide(opened, SplitSettings("group", (0.6, 0.2, 0.2)))
    missing = {
        name: [k for k in range(3) if k not in opened.columns["label/icm"][rows]] for name, rows in split.items()
    }
    assert sum(map(len, missing.values())) >= 2  # one patient has all C, so two sets lack it
    expected = [
        f"grade {'CBA'[k]} of task icm has no example in the {name} split: "
        for name, grades in missing.items()
        for k in grades
    ]
    found = catalog.absent_grades(opened, split, opened.tasks)
    assert [sentence[: len(start)] for sentence, start in zip(found, expected, strict=True)] == expected
    assert catalog.absent_grades(opened, split, opened.tasks[1:]) == []


def test_rows_are_divided_by_the_column_the_shares_and_the_seed_of_the_section():
    opened = dataset(np.repeat(np.arange(10), 3), icm=[0, 1, 2] * 10)
    for by, seed in (("id", 0), ("id", 1), ("group", 1)):
        parts = catalog.divide(opened, SplitSettings(by, (0.5, 0.3, 0.2), seed))
        for name, rows in splits.grouped(opened.columns[by], (0.5, 0.3, 0.2), seed).items():
            np.testing.assert_array_equal(parts[name], rows)


def test_only_a_grade_without_any_example_is_absent():
    opened = dataset(range(4), icm=[0, 1, 1, -1])
    assert catalog.absent_grades(opened, {"train": np.arange(4), "val": np.arange(1)}, opened.tasks) == [
        "grade A of task icm has no example in the train split: a model cannot learn it",
        "grade B of task icm has no example in the val split: epochs are chosen without it",
        "grade A of task icm has no example in the val split: epochs are chosen without it",
    ]


def test_what_the_data_are_is_what_they_say_and_every_column_in_memory():
    opened = dataset(["p", "q", "q"], icm=[0, 1, 2])
    rows = {"train": np.arange(3)}

    def identity(**changes):
        return material.Material(dataclasses.replace(opened, **changes), opened.tasks, rows, rows, ()).identity

    columns, labels = opened.columns, opened.columns["label/icm"]
    changed = [
        {"identity": "1"},
        {"columns": columns | {"label/icm": labels[::-1].copy()}},
        {"columns": columns | {"label/icm": labels.astype(np.int64)}},
        {"columns": columns | {"label/icm": labels[:, None]}},
        {"columns": {name.replace("icm", "te"): column for name, column in columns.items()}},
        {"columns": columns | {"numbers": np.zeros((3, 1), np.float32)}},
    ]
    assert identity() == identity(columns=dict(reversed(columns.items())), notes=("a note",))
    assert len({identity(), *(identity(**change) for change in changed)}) == 1 + len(changed)


def test_a_built_copy_serves_for_lost_files_only_where_every_option_agrees(tmp_path):
    tables(tmp_path)
    built = prepare(tmp_path, tmp_path / "cache")
    assert prepare(tmp_path / "gone", tmp_path / "cache") == built
    for change in (
        {"holdout": 1},
        {"val_share": 0.5},
        {"val_stratified": True},
        {"val_seed": 1},
        {"task": "severity"},
        {"grades": ("none", "some")},
        {"label": "x"},
        {"lowest": 1},
        {"train": "train_1.csv"},
        {"group": "x"},
    ):
        with pytest.raises(store.SourceMissingError, match="does not exist: name the folder"):
            prepare(tmp_path / "gone", tmp_path / "cache", **change)
    other = prepare(tmp_path, tmp_path / "cache", holdout=1)
    assert prepare(tmp_path / "gone", tmp_path / "cache", holdout=1) == other
    assert prepare(tmp_path / "gone", tmp_path / "cache") == built != other


def test_a_built_image_set_serves_for_its_lost_file_only_with_its_own_grades(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"{split}_images": rng.integers(0, 256, (4, 5, 5), np.uint8) for split in ("train", "val", "test")}
    np.savez(tmp_path / "eyes.npz", **arrays, **{name.replace("images", "labels"): np.arange(4) % 2 for name in arrays})
    options = {"name": "eyes", "task": "grade", "grades": ("0", "1"), "licence": "", "citation": ""}
    data = DataSettings(source="medmnist", root=str(tmp_path), cache=str(tmp_path / "cache"), options=options)
    built = catalog.prepare(data)
    data = dataclasses.replace(data, root=str(tmp_path / "gone"))
    assert catalog.prepare(data) == built
    for change in ({"grades": ("mild", "severe")}, {"task": "stage"}):
        with pytest.raises(store.SourceMissingError, match=r"eyes.npz does not exist"):
            catalog.prepare(dataclasses.replace(data, options=options | change))


def test_content_and_options_change_the_identity_of_a_dataset(tmp_path):
    tables(tmp_path)
    identities = [store.open_dataset(prepare(tmp_path, tmp_path / "cache")).identity]
    identities.append(store.open_dataset(prepare(tmp_path, tmp_path / "cache", val_seed=1)).identity)
    content = (tmp_path / "train_0.csv").read_text()
    (tmp_path / "train_0.csv").write_text(content.replace("0.3,1", "0.3,0"))
    identities.append(store.open_dataset(prepare(tmp_path, tmp_path / "cache")).identity)
    assert len(set(identities)) == 3
    (tmp_path / "train_0.csv").write_text(content)
    assert store.open_dataset(prepare(tmp_path, tmp_path / "other")).identity == identities[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"holdout": "1"}, "data.options.holdout is '1': it takes a whole number"),
        ({"holdout": -1}, "holdout is -1"),
        ({"val_share": "half"}, "data.options.val_share is 'half': it takes a number"),
        ({"val_share": float("nan")}, "val_share is nan"),
        ({"val_share": 1.5}, "val_share is 1.5"),
        ({"val_stratified": 1}, "data.options.val_stratified is 1: it takes True or False"),
        ({"grades": (0, 1)}, r"data.options.grades is .0, 1.: it takes values, each a text"),
        ({"grades": "low"}, "data.options.grades is 'low': it takes values"),
        ({"grades": ("low",)}, "task grade has 1 grades: name two or more"),
        ({"grades": ("low", "low")}, "task grade has two grades named low"),
        ({"grades": ("low", "")}, "task grade has the grade ''"),
        ({"task": "../x"}, "a task is named '../x'"),
        (
            {"train": "", "test": ""},
            "b has 4 tables .test_0.csv, test_1.csv, .*: name one by data.options.train, or its",
        ),
        ({"colour": 1}, "data.options has no colour: it takes "),
        ({"name": "../../x"}, r"a dataset is named '../../x'"),
        ({"name": "/tmp/x"}, "a dataset is named '/tmp/x'"),
        ({"name": ".."}, r"a dataset is named '..'"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, change, message):
    root, cache = tmp_path / "a" / "b", tmp_path / "a" / "cache"
    root.mkdir(parents=True)
    tables(root)
    before = sorted(tmp_path.rglob("*"))
    for place in (root, tmp_path / "gone"):
        with pytest.raises(UserError) as caught:
            prepare(place, cache, **change)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=message):
        prepare(root, cache, **change)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_of_ones_own_that_fails_is_one_clear_line(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(
        "def raises(root):\n    raise ZeroDivisionError('of mine\\nand more')\n"
        "def nothing(root):\n    return None\n"
        "def exits(root):\n    raise SystemExit(3)\n"
        "thing = 3\n"
        "def takes(root, scale: float = 1.0, pair: tuple[str, float] = ('a', 1.0), other: 'list[str] | None' = None):\n"
        "    raise ValueError(f'{scale} {pair} {other}')\n"
        "def unknown(root, scale: 'Scale' = 1.0):\n    raise ValueError(f'{scale}')\n"
    )
    (tmp_path / "wrong.py").write_text("1 / 0\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name, message, *given in (
        ("own:takes", r"failed: ValueError: 2 \('b', 0.5\) \('c',\)", {"scale": 2, "pair": ("b", 0.5), "other": ["c"]}),
        ("own:takes", "data.options.scale is 'x': it takes a number", {"scale": "x"}),
        ("own:unknown", "failed: ValueError: x", {"scale": "x"}),
        ("own:raises", "data.source own:raises failed: ZeroDivisionError: of mine and more$"),
        ("own:nothing", "data.source own:nothing returns a NoneType: it has to return a Source"),
        ("own:thing", "data.source is own:thing: own has no thing to call; it has raises, "),
        ("own:absent", "data.source is own:absent: own has no absent to call"),
        ("wrong:source", "data.source is wrong:source: ZeroDivisionError: division by zero"),
        ("own:exits", "data.source own:exits failed: SystemExit: 3$"),
        ("leaves:source", "data.source is leaves:source: SystemExit: 3$"),
        (":source", "data.source is :source: ValueError"),
    ):
        with pytest.raises(UserError, match=message):
            catalog.prepare(DataSettings(source=name, cache=str(tmp_path / "cache"), options=dict(*given)))


def test_an_edited_source_of_ones_own_makes_another_copy(tmp_path, monkeypatch):
    tables(tmp_path)
    file = tmp_path / "own_tables.py"
    text = "from ordinal_blast.data.sources import table\n\ndef source(root, **options):\n"
    file.write_text(text + f"    return table.source(root, **{TABLE!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    given = DataSettings(source="own_tables:source", root=str(tmp_path), cache=str(tmp_path / "cache"))
    first = catalog.prepare(given)
    assert catalog.prepare(given) == first
    file.write_text(file.read_text() + "# edited\n")
    assert catalog.prepare(given) != first


def test_a_source_in_a_file_is_named_by_it_and_its_text_counts(tmp_path):
    tables(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "given.py").write_text(f"OPTIONS = {TABLE!r}\n")
    file = tmp_path / "own" / "my_tables.py"
    text = "from given import OPTIONS\nfrom ordinal_blast.data.sources import table\n\ndef source(root, **options):\n"
    file.write_text(text + "    return table.source(root, **OPTIONS | options)\n")
    settings = DataSettings(f"{file}:source", str(tmp_path), str(tmp_path / "cache"))
    built = [catalog.prepare(settings), catalog.prepare(settings)]
    file.write_text(file.read_text() + "# edited\n")
    built.append(catalog.prepare(settings))
    (tmp_path / "own" / "given.py").write_text(f"OPTIONS = {TABLE!r}  # edited\n")
    built.append(catalog.prepare(settings))
    assert built[0] == built[1]
    assert len(set(built)) == 3
    with pytest.raises(
        UsageError, match=r"data.source is .*my_tables.py:sauce: .* has no sauce to call; it has source"
    ):
        catalog.prepare(dataclasses.replace(settings, source=f"{file}:sauce"))


def test_rows_are_divided_by_texts_and_numbers_of_a_kind_but_not_by_measurements():
    opened = dataset(range(10), icm=[0, 1] * 5)
    opened = dataclasses.replace(opened, columns=opened.columns | {"age": np.linspace(30, 40, 10), "x": np.eye(10)})
    for by in ("age", "x", "hospital", ""):
        with pytest.raises(UsageError, match=f"data.split.by is {by}: eyes can be split by official or group, id"):
            catalog.divide(opened, SplitSettings(by, (0.6, 0.2, 0.2)))
    with pytest.raises(UsageError, match="eyes comes unsplit: use group"):
        catalog.divide(opened, SplitSettings())


def test_tasks_are_named_once_and_each_has_a_label_in_every_split():
    opened = dataset(range(6), icm=[0, 1, 2, 0, -1, -1], te=[0, -1, 2, 0, 1, 2])
    with pytest.raises(UsageError, match="tasks has age: eyes has icm, te"):
        catalog.graded(opened, ("age",))
    tasks = catalog.graded(opened, ("te", "icm"))
    assert [task.name for task in tasks] == ["te", "icm"]
    split = {"train": np.arange(3), "val": np.asarray([3, 0]), "test": np.asarray([4, 5])}
    with pytest.raises(UserError, match="task icm has no label in the test split of eyes"):
        catalog.labelled(opened, split, tasks)
    found = catalog.labelled(opened, split | {"test": np.asarray([3, 4])}, tasks[1:])
    assert {name: rows.tolist() for name, rows in found.items()} == {"train": [0, 1, 2], "val": [3, 0], "test": [3, 4]}
    with pytest.raises(UserError, match=r"task te has 1 label in the val split of eyes, and choosing an epoch needs 2"):
        catalog.labelled(opened, split | {"val": np.asarray([3, 1])}, tasks[:1])
    with pytest.raises(UserError, match=r"task icm has only the grade C in the train split of eyes, which teaches no"):
        catalog.labelled(opened, split | {"train": np.asarray([0, 3, 4])}, tasks[1:])
    whole = {"train": np.arange(3), "val": np.asarray([3, 0]), "test": np.asarray([3, 4]), "panel": np.asarray([4, 5])}
    assert catalog.labelled(opened, whole, tasks)["panel"].tolist() == [4, 5]  # it has te alone
    assert "panel" not in catalog.labelled(opened, whole, tasks[1:])


def clinics():
    opened = dataset(np.arange(40), icm=[0, 1, 2, 1] * 10)
    columns = {"clinic": np.asarray(["north", "south"] * 20), "number": np.arange(40) % 4}
    return dataclasses.replace(opened, columns={**opened.columns, **columns})


def test_a_clinic_is_held_out_by_its_name_and_a_number_by_its_text():
    opened = clinics()
    split = SplitSettings("id", (0.5, 0.25, 0.25), 1, ("clinic=south", "number=0"))
    whole = catalog.divide(opened, dataclasses.replace(split, unseen=()))
    parts = catalog.divide(opened, split)
    for name in ("train", "val"):
        np.testing.assert_array_equal(parts[name], [row for row in whole[name] if row % 4 == 2])
    np.testing.assert_array_equal(parts["test"], whole["test"])


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("hospital=south", "data.split.unseen is hospital=south: eyes has clinic, group, id, label/icm, number"),
        ("clinic=east", "data.split.unseen is clinic=east, and no example has that: there is north, south"),
    ],
)
def test_a_value_that_no_example_has_cannot_be_held_out(condition, message):
    with pytest.raises(UsageError, match=message):
        catalog.divide(clinics(), SplitSettings("id", (0.5, 0.25, 0.25), 1, (condition,)))


def test_a_column_of_whole_numbers_is_a_task_of_its_own():
    opened = clinics()
    beats = np.where(np.arange(40) % 3, np.arange(40) % 2, -1)
    opened = dataclasses.replace(opened, columns={**opened.columns, "beats": beats})
    more = catalog.with_outcomes(opened, {"beats": ("no", "yes")})
    assert more.tasks == (*opened.tasks, Task("beats", ("no", "yes")))
    np.testing.assert_array_equal(more.columns["label/beats"], beats)
    rows = {"train": np.arange(20), "val": np.arange(20, 30), "test": np.arange(30, 40)}
    kept = catalog.labelled(more, rows, more.tasks[1:])
    np.testing.assert_array_equal(kept["train"], [row for row in range(20) if row % 3])
    # Every test example has a grade of another task: variants of either are tested on the same ones.
    np.testing.assert_array_equal(kept["test"], rows["test"])


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ({"clinic": ("a", "b")}, "data.outcomes has clinic: columns of whole numbers in eyes are group, number"),
        ({"nothing": ("a", "b")}, "data.outcomes has nothing: columns of whole numbers in eyes are group, number"),
        ({"icm": ("a", "b")}, "data.outcomes has icm: columns of whole numbers"),
        ({"number": ("a", "b")}, "data.outcomes names 2 grades of number, whose numbers run from 0 to 3"),
    ],
)
def test_an_outcome_that_cannot_be_is_refused(outcomes, message):
    with pytest.raises(UsageError, match=message):
        catalog.with_outcomes(clinics(), outcomes)
