"""The MedMNIST source and the store: a round trip, and every kind of bad file."""

import dataclasses
import resource

import numpy as np
import pytest

from ordinal_blast.data import catalog, store
from ordinal_blast.data.sources import medmnist
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import DataSettings, SplitSettings

OPTIONS = {"name": "eyes", "task": "grade", "grades": ("0", "1", "2"), "licence": "CC BY 4.0", "citation": "nobody"}


def arrays(size=(9, 3, 4)):
    rng = np.random.default_rng(0)
    made = {}
    for split, count in zip(("train", "val", "test"), size, strict=True):
        made[f"{split}_images"] = rng.integers(0, 256, (count, 5, 6, 3), dtype=np.uint8)
        made[f"{split}_labels"] = (np.arange(count) % 3).astype(np.uint8)[:, None]
    return made


def data(tmp_path, **changes):
    options = OPTIONS | changes
    return DataSettings(source="medmnist", root=str(tmp_path), cache=str(tmp_path / "cache"), options=options)


def test_a_round_trip_keeps_every_pixel_label_and_split(tmp_path):
    made = arrays()
    np.savez(tmp_path / "eyes.npz", **made)
    dataset = store.open_dataset(catalog.prepare(data(tmp_path)))
    splits = catalog.divide(dataset, SplitSettings())
    for split, rows in splits.items():
        np.testing.assert_array_equal(dataset.columns["images"][rows], made[f"{split}_images"])
        np.testing.assert_array_equal(dataset.columns["label/grade"][rows], made[f"{split}_labels"][:, 0])
    assert (dataset.name, dataset.licence, dataset.tasks[0].grades) == ("eyes", "CC BY 4.0", ("0", "1", "2"))
    assert dataset.columns["id"][splits["test"][0]] == "test-00000"


def test_records_are_written_as_they_come_to_as_many_files_as_it_takes(tmp_path, monkeypatch):
    made = arrays()
    np.savez(tmp_path / "eyes.npz", **made)
    monkeypatch.setattr(store, "_SHARD", 4 * (5 * 6 * 3 + 8))  # four records: image, label, texts
    folder = catalog.prepare(data(tmp_path))
    assert len(list(folder.glob("*train.array_record*"))) == 3  # of 9 records
    columns = store.open_dataset(folder).columns
    together = np.concatenate([made[f"{split}_images"] for split in ("train", "val", "test")])
    np.testing.assert_array_equal(columns["images"], together)


def test_a_build_that_the_disk_refuses_leaves_nothing(tmp_path):
    np.savez(tmp_path / "eyes.npz", **arrays((200, 3, 4)))
    source = medmnist.source(tmp_path, **OPTIONS)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))  # bytes a file may have: as good as a full disk
    try:
        with pytest.raises(UserError, match=r"cannot build eyes in .*File too large.*; free space or set data.cache"):
            store.build(source, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert store.built("eyes", tmp_path / "cache") == []
    columns = store.open_dataset(store.build(source, tmp_path / "cache")).columns
    assert len(columns["id"]) == 207


def test_an_empty_split_is_refused(tmp_path):
    np.savez(tmp_path / "eyes.npz", **arrays())
    source = medmnist.source(tmp_path, **OPTIONS)
    with pytest.raises(UserError, match="eyes has no records in its split val"):
        store.build(dataclasses.replace(source, splits=source.splits | {"val": lambda: iter(())}), tmp_path / "cache")
    assert store.built("eyes", tmp_path / "cache") == []


def test_large_fields_are_decoded_when_indexed(tmp_path):
    made = arrays()
    np.savez(tmp_path / "eyes.npz", **made)
    dataset = store.open_dataset(catalog.prepare(data(tmp_path)), large=10)
    images = dataset.columns["images"]
    assert isinstance(images, store.Records)
    assert len(images) == 16
    together = np.concatenate([made[f"{split}_images"] for split in ("train", "val", "test")])
    wanted = np.asarray([15, 0, 9, 8, 12])
    np.testing.assert_array_equal(images[wanted], together[wanted])


def test_the_built_copy_serves_when_the_file_is_gone_and_a_changed_file_is_built_anew(tmp_path):
    path = tmp_path / "eyes.npz"
    np.savez(path, **arrays())
    first = catalog.prepare(data(tmp_path))
    path.rename(tmp_path / "elsewhere.npz")
    assert catalog.prepare(data(tmp_path)) == first
    np.savez(path, **arrays((12, 3, 4)))
    assert catalog.prepare(data(tmp_path)) != first


def broken(tmp_path, kind):
    path, made = tmp_path / "eyes.npz", arrays()
    if kind == "label":
        made["val_labels"][2] = 3
    if kind == "shape":
        made["test_images"] = made["test_images"].astype(np.float32)
    if kind == "volumes":
        made = {name: np.zeros((len(a), 28, 28, 28), np.uint8) if "images" in name else a for name, a in made.items()}
    if kind == "two channels":
        made["train_images"] = made["train_images"][..., :2]
    if kind == "five axes":
        made["train_images"] = made["train_images"][..., None]
    if kind == "sizes":
        made["val_images"] = made["val_images"][:, 1:]
    if kind == "channels":
        made["test_images"] = made["test_images"][..., :1]
    if kind == "grey and colours":
        made["test_images"] = made["test_images"][..., 0]
    if kind == "no rows":
        made["val_images"], made["val_labels"] = made["val_images"][:0], made["val_labels"][:0]
    if kind == "no pixels":
        made["train_images"] = made["train_images"][:, :0]
    if kind == "more labels":
        made["val_labels"] = made["test_labels"]
    if kind == "fractions":
        made["train_labels"] = made["train_labels"] / 2
    if kind == "scalar":
        made["val_labels"] = np.uint8(1)
    if kind == "lacks":
        del made["test_labels"]
    if kind == "pickle":
        made["train_labels"] = np.asarray([{"a": 1}] * 9, dtype=object)
    if kind != "missing":
        np.savez(path, **made)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:700])
    if kind == "text":
        path.write_text("not an archive")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("label", r"label 3 of example 2 for task grade in val_labels of .*eyes.npz is outside 0 ... 2"),
        ("shape", r"eyes.npz: test_images must be uint8"),
        ("volumes", r"train_images are .9, 28, 28, 28., which is no image of 1 or 3 channels: volumes are not graded"),
        ("two channels", r"train_images are .9, 5, 6, 2., which is no image of 1 or 3 channels"),
        ("five axes", r"train_images are .9, 5, 6, 3, 1., which is no image"),
        ("sizes", r"val_images are .3, 4, 6, 3. and train_images .9, 5, 6, 3.: give images of one size"),
        ("channels", r"test_images are .4, 5, 6, 1. and train_images .9, 5, 6, 3."),
        ("grey and colours", r"test_images are .4, 5, 6. and train_images .9, 5, 6, 3."),
        ("no rows", r"val_images must be uint8 .* not uint8 .0, 5, 6, 3."),
        ("no pixels", r"train_images must be uint8"),
        ("more labels", r"val_labels must be one integer for each of 3 images, not uint8 .4, 1."),
        ("fractions", r"train_labels must be one integer for each of 9 images, not float64 .9, 1."),
        ("scalar", r"val_labels must be one integer for each of 3 images, not uint8 .."),
        ("lacks", r"eyes.npz lacks test_labels: it holds test_images, "),
        ("pickle", r"cannot read .*eyes.npz: train_labels.npy holds pickled Python objects, which are never loaded"),
        ("truncated", r"cannot read .*eyes.npz: it is damaged"),
        ("text", r"cannot read .*eyes.npz: it"),
        ("missing", r"eyes.npz does not exist: download eyes.npz and name its folder"),
    ],
)
def test_a_bad_file_gives_one_clear_line(tmp_path, kind, message):
    broken(tmp_path, kind)
    with pytest.raises(UserError, match=message) as caught:
        catalog.prepare(data(tmp_path))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/**/*.array_record*"))


def test_unknown_options_sources_and_splits_are_refused(tmp_path):
    np.savez(tmp_path / "eyes.npz", **arrays())
    names = "arrays, features, folder, kromp2023, medmnist, nantes2022, stork, table, timelapse"
    with pytest.raises(UsageError, match=f"there are {names}, or one of your own"):
        catalog.prepare(dataclasses.replace(data(tmp_path), source="imagenet"))
    with pytest.raises(UsageError, match=r"data.options has no colour: it takes "):
        catalog.prepare(data(tmp_path, colour=1))
    with pytest.raises(UsageError, match="nowhere"):
        catalog.prepare(dataclasses.replace(data(tmp_path), source="nowhere.at_all:source"))
    dataset = store.open_dataset(catalog.prepare(data(tmp_path)))
    with pytest.raises(UsageError, match="can be split by official or group, id, label/grade"):
        catalog.divide(dataset, SplitSettings("hospital"))


def test_grey_images_get_a_channel(tmp_path):
    made = {name: value[..., 0] if name.endswith("images") else value for name, value in arrays().items()}
    np.savez(tmp_path / "eyes.npz", **made)
    assert medmnist.source(tmp_path, **OPTIONS).features["images"].shape == (5, 6, 1)
