"""Seeded damage and odd values by the hundred: each is read, or refused as what a user did."""

import csv
import dataclasses
import inspect

import numpy as np
import pytest
from PIL import Image

from ordinal_blast.data import catalog
from ordinal_blast.data.sources import arrays, folder, table
from ordinal_blast.errors import UserError
from ordinal_blast.settings import DataSettings, SplitSettings

ODD = (None, -1, 0, 2**70, 1.5, float("nan"), float("inf"), True, "", "x", "../x", "\0", "a\nb", b"x", (), ("x",), [[]])
TABLE = {
    "name": "fires",
    "task": "grade",
    "grades": ("C", "B", "A"),
    "train": "a.csv",
    "val": "",
    "test": "b.csv",
    "label": "y",
    "lowest": 0,
    "holdout": 0,
    "val_share": 0.5,
    "val_stratified": True,
    "val_seed": 0,
    "licence": "MIT",
    "citation": "nobody",
    "group": "who",
    "drop": (),
}


def write(root):
    for name, count in (("a", 12), ("b", 3)):
        rows = "".join(f"{i},{i}.5,p{i},{'CBA'[i % 3]}\n" for i in range(count))
        (root / f"{name}.csv").write_text(f",v,who,y\n{rows}")


SOURCES = {"table": table.source, "folder": folder.source, "arrays": arrays.source}
FOLDER = {"sheet": "a.csv", "file": "file", "tasks": ("y",), "grades": ("C", "B", "A"), "group": "who", "split": ""}


def write_images(root):
    rows = "".join(f"{i}.png,p{i},{'CBA'[i % 3]}\n" for i in range(6))
    (root / "a.csv").write_text(f"file,who,y\n{rows}")
    for i in range(6):
        Image.fromarray(np.full((5, 4), 40 * i, np.uint8)).save(root / f"{i}.png")


def write_arrays(root):
    np.savez(root / "a.npz", x=np.arange(24).reshape(12, 2), y=np.arange(12) % 3)


def is_refused(call):
    """Whether a call is refused; any other exception than a UserError, and one that a source failed by, fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog.store, "build", lambda source, cache: source)  # what is written is not the question
        try:
            call()
        except UserError as error:
            said = str(error)
        else:
            return False
    assert " failed: " not in said
    return True


def test_a_damaged_table_is_read_or_refused(tmp_path):
    write(tmp_path)
    content = (tmp_path / "a.csv").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 2):
            changed[place] = rng.choice(list(b'\0\xff",;\n\r\t-e9 C'))
        (tmp_path / "a.csv").write_bytes(changed[: rng.integers(1, len(content) + 1)])
        refused += is_refused(lambda: table.source(tmp_path, **TABLE))
    assert 100 < refused <= 150


def data(root, **changes):
    return DataSettings(
        **{"source": "table", "root": str(root), "cache": str(root / "cache"), "options": TABLE} | changes
    )


def test_a_damaged_sheet_of_images_is_read_or_refused(tmp_path):
    write_images(tmp_path)
    content = (tmp_path / "a.csv").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        changed = bytearray(content)
        changed[rng.integers(0, len(content))] = rng.choice(list(b'\0\xff",;\n\r\t-9 C/.'))
        (tmp_path / "a.csv").write_bytes(changed)
        refused += is_refused(lambda: folder.source(tmp_path, **FOLDER))
    assert 50 < refused < 100


def test_damaged_arrays_are_read_or_refused(tmp_path):
    write_arrays(tmp_path)
    content = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 2):
            changed[place] = rng.integers(0, 256)
        (tmp_path / "a.npz").write_bytes(changed[: rng.choice([len(content), rng.integers(1, len(content) + 1)])])
        refused += is_refused(lambda: arrays.source(tmp_path))
    assert 100 < refused <= 150


@pytest.mark.parametrize(
    ("source", "option"),
    [(name, option) for name, part in SOURCES.items() for option in inspect.signature(part).parameters],
)
def test_an_odd_value_of_an_option_is_taken_or_refused(tmp_path, source, option):
    make, options = {"table": (write, TABLE), "folder": (write_images, FOLDER), "arrays": (write_arrays, {})}[source]
    make(tmp_path)
    for value in (*ODD, {}, {"y": ("a", "b")}, {"y": 1}):
        changed = data(tmp_path, source=source, options=options | {option: value})
        is_refused(lambda changed=changed: catalog.prepare(changed))


def test_odd_splits_are_refused(tmp_path):
    write(tmp_path)
    options = TABLE | {"test": ""}
    dataset = catalog.store.open_dataset(catalog.prepare(data(tmp_path, options=options)))
    split = SplitSettings("group", (0.5, 0.25, 0.25))
    assert set(catalog.divide(dataset, split)) == {"train", "val", "test"}
    for key in ("by", "fractions", "seed"):
        odd = [value for value in ODD if not (key == "seed" and value in (0, True, 2**70))]
        for value in odd:
            changed = dataclasses.replace(split, **{key: value})
            assert is_refused(lambda changed=changed: catalog.divide(dataset, changed))


def test_a_field_longer_than_the_reader_takes_is_refused_whatever_the_limit(tmp_path):
    write(tmp_path)
    (tmp_path / "a.csv").write_text(f',v,who,y\n0,"{"1" * (csv.field_size_limit() + 1)}",p,C\n')
    assert is_refused(lambda: table.source(tmp_path, **TABLE))
