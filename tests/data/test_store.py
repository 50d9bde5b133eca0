"""Built datasets: what damages, kills and failing sources leave behind, and what is said of it."""

import dataclasses
import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ordinal_blast.data import store
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.locks import lock
from ordinal_blast.types import Task


def source(name="eyes", rows=6, **changes):
    def records():
        for i in range(rows):
            yield {"id": f"e{i}", "group": f"p{i // 2}", "images": np.full((4, 4, 1), i, np.uint8), "label/icm": i % 3}

    features = {"id": tfds.features.Text(), "group": tfds.features.Text(), "images": store.pixels(4, 4, 1)}
    given = {
        "tasks": (Task("icm", ("C", "B", "A")),),
        "identity": {"rows": rows},
        "features": features | {"label/icm": np.int32},
        "splits": {"train": records, "val": records, "test": records},
    }
    return store.Source(name, summary="eyes", licence="MIT", citation="nobody", **(given | changes))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return store.build(source(), tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "missing"])
def test_every_file_of_a_built_dataset_that_is_damaged_is_named_in_one_line(built, tmp_path, damage):
    names = sorted(path.name for path in built.iterdir())
    assert len(names) == 7  # three splits, three descriptions, their digests
    for name in names:
        folder = tmp_path / name / "1.2.0"
        shutil.copytree(built, folder)
        path = folder / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        content = {"flipped": content, "truncated": content[: len(content) // 2], "empty": b""}.get(damage)
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(
            UserError, match=r"the built dataset .* is damaged \(.*delete that folder to build"
        ) as caught:
            store.open_dataset(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("seal", "what"),
    [
        ({}, "dataset_info.json is not among the files that were written"),
        ({"x" * 300: "1"}, "x{100} is missing"),
        (None, "zz is missing"),
    ],
)
def test_a_seal_that_is_not_of_these_files_is_refused(built, tmp_path, seal, what):
    shutil.copytree(built, tmp_path / "1.2.0")
    path = tmp_path / "1.2.0" / "digests.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"zz": "1"} if seal is None else seal))
    with pytest.raises(UserError, match=rf"is damaged \({what}"):
        store.open_dataset(tmp_path / "1.2.0")


def test_splits_that_were_exchanged_are_noticed(built, tmp_path):
    folder = tmp_path / "1.2.0"
    shutil.copytree(built, folder)
    (folder / "eyes-val.array_record-00000").rename(folder / "x")
    (folder / "eyes-test.array_record-00000").write_bytes((built / "eyes-train.array_record-00000").read_bytes() + b"1")
    with pytest.raises(UserError, match=r"eyes-test.array_record-00000 is not what was written"):
        store.open_dataset(folder)


def test_a_file_that_is_damaged_after_it_was_opened_is_told(built, tmp_path):
    folder = tmp_path / "1.2.0"
    shutil.copytree(built, folder)
    images = store.open_dataset(folder, large=10).columns["images"]
    for path in folder.glob("*.array_record*"):
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"the built dataset .* is damaged"):
        images[np.arange(3)]


def test_a_folder_without_its_seal_is_built_again(tmp_path):
    folder = store.build(source(), tmp_path)
    (folder / "digests.json").unlink()
    (folder / "features.json").write_text("damaged")
    assert store.build(source(), tmp_path) == folder
    assert len(store.open_dataset(folder)) == 18


def test_the_next_build_clears_what_killed_ones_left(tmp_path):
    for leftover in ("unfinished", "unfinished-1f2e3d4c"):
        (tmp_path / "eyes" / "0123456789ab" / leftover).mkdir(parents=True)
        (tmp_path / "eyes" / "0123456789ab" / leftover / "half").write_text("")
    store.build(source(), tmp_path)
    assert not list(tmp_path.rglob("unfinished*"))
    assert not list(tmp_path.rglob("lock"))


def _build(cache, rows, begun):
    def slow():
        begun.set()
        threading.Event().wait(0.5)
        yield from source(rows=rows).splits["train"]()

    store.build(source(rows=rows, splits={"train": slow}), cache)


def test_a_build_waits_for_another_and_clears_nothing_of_its_own(tmp_path, capsys):
    begun = threading.Event()
    other = threading.Thread(target=_build, args=(tmp_path, 4, begun))
    other.start()
    assert begun.wait(60)
    folder = store.build(source(rows=4), tmp_path)  # the same records: built once
    other.join()
    assert "waiting for another build of eyes" in capsys.readouterr().err
    assert list(store.open_dataset(folder).official) == ["train"]


def test_a_lock_is_freed_by_a_kill(tmp_path):
    code = (
        "import pathlib, sys, time\nfrom ordinal_blast.locks import lock\n"
        "with lock(pathlib.Path(sys.argv[1]), lambda: None):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"

    def refuse():
        raise UserError("held")

    with pytest.raises(UserError, match="held"), lock(tmp_path / "lock", refuse):
        pass
    assert (tmp_path / "lock").exists()
    holder.kill()
    holder.communicate()
    with lock(tmp_path / "lock", refuse):
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_what_fails_is_told_by_its_own_reason(tmp_path):
    def failing():
        yield next(iter(source().splits["train"]()))
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory\nand where")

    def other():
        yield {"id": "a", "group": "a", "images": np.zeros((5, 4, 1), np.uint8), "label/icm": 0}

    for records, message in (
        (
            failing,
            r"the source of eyes failed in its split val: RuntimeError: RESOURCE_EXHAUSTED: out of memory and where$",
        ),
        (lambda: sys.exit("no"), "the source of eyes failed in its split val: SystemExit: no$"),
        (other, r"a record of the split val does not fit the features of eyes: "),
        (lambda: iter(()), "eyes has no records in its split val"),
        (lambda: [None], r"a record of the split val does not fit the features of eyes: "),
        (lambda: None, r"the source of eyes failed in its split val: TypeError"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            store.build(source(splits=source().splits | {"val": records}), tmp_path)
        assert "\n" not in str(caught.value)
        assert "free space" not in str(caught.value)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot build eyes in .*: Not a directory; set data.cache to a folder that"):
        store.build(source(), tmp_path / "file")


@pytest.mark.parametrize("name", ["my-eyes", "eyes.v2", "Augen_ä", "2eyes"])
def test_names_with_hyphens_dots_and_letters_of_any_alphabet_come_back(tmp_path, name):
    dataset = store.open_dataset(store.build(source(name), tmp_path))
    assert (dataset.name, len(dataset)) == (name, 18)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../../x"}, r"a dataset is named '../../x'"),
        ({"name": "a/b"}, "a dataset is named 'a/b'"),
        ({"name": ".hidden"}, r"a dataset is named '.hidden'"),
        ({"name": "x" * 101}, "a dataset is named 'xxx"),
        ({"splits": {"../../x": list}}, r"eyes has a split named '../../x'"),
        ({"splits": {"all": list}}, "eyes has a split named 'all'"),
        ({"tasks": (Task("icm", ("a", "b")),) * 2}, "eyes has two tasks named icm"),
        ({"tasks": (Task("te", ("a", "b")),)}, "eyes has records without label/te"),
    ],
)
def test_names_that_lead_elsewhere_or_are_given_twice_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        source(**change)


@pytest.mark.parametrize("grades", [(0, 1), ("a", None), ("a", " b"), ("a", "b\nc"), ("a", ""), ("a",), ("a", "a")])
def test_grades_that_are_no_plain_texts_are_refused_wherever_a_task_is_made(grades):
    with pytest.raises(UsageError, match=r"^task icm has "):
        Task("icm", grades)


def test_labels_and_groups_that_are_none_are_refused(tmp_path):
    def records(label, group):
        return lambda: [{"id": "a", "group": group, "images": np.zeros((4, 4, 1), np.uint8), "label/icm": label}]

    features = source().features
    for number, (label, group, kind, message) in enumerate(
        (
            (3, "a", np.int32, "label 3 of example 0 for task icm in .* is outside 0 ... 2"),
            (-2, "a", np.int32, "label -2 of example 0"),
            (0, "", np.int32, "example 0 of .* has the group ''"),
            (0, "nan", np.int32, "example 0 of .* has the group 'nan': name one, or one for each alone"),
            (0, "None", np.int32, "example 0 of .* has the group 'None'"),
            (np.nan, "a", np.float32, "labels of task icm in .* are float64 .1,.: give one integer each"),
        )
    ):
        made = source(splits={"rows": records(label, group)}, features=features | {"label/icm": kind})
        made = dataclasses.replace(made, identity={"number": number})
        with pytest.raises(UserError, match=message):
            store.open_dataset(store.build(made, tmp_path))


@pytest.mark.parametrize(("held", "kind"), [(6 * 16, store.Records), (1 << 30, np.ndarray)])
def test_what_is_too_large_for_memory_is_read_when_it_is_asked_for_and_is_the_same(built, held, kind):
    """18 examples of 16 bytes: whether they are held or not, names and labels are."""
    columns = store.open_dataset(built, held=held).columns
    assert type(columns["images"]) is kind
    np.testing.assert_array_equal(columns["images"][np.arange(18)][:, 0, 0, 0], np.tile(np.arange(6), 3))
    assert {type(columns[name]) for name in ("id", "group", "label/icm")} == {np.ndarray}
