"""The whole time-lapse chain on a few simulated wells: stages shared by content, and recordings graded."""

import json

import numpy as np
import pytest

from ordinal_blast.data import catalog, store
from ordinal_blast.embryo import timelapse
from ordinal_blast.errors import UsageError
from ordinal_blast.storage import digest
from ordinal_blast.study import chain, configuration, grading, grid, identity, runner, session

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
HOURS = (98.0, 104.0, 112.0, 118.0)  # of the frames; the first hour that is looked at, 96, is before them


@pytest.fixture(scope="module")
def overrides(tmp_path_factory, small_time_lapse):
    one_epoch = {f"{link}.training.epochs": 1 for link in ("cropper", "cnn", "rnn")}
    return (
        one_epoch
        | small_time_lapse
        | {
            "devices": 1,
            "data.cache": str(tmp_path_factory.mktemp("cache")),
            "data.options.embryos": 48,
            "data.options.size": 32,
            "data.options.hours": HOURS,
            "data.options.empty_share": 0.2,
            "frames.start_hpi": 96.0,
            "frames.stop_hpi": 118.0,
            "frames.step_h": 11.0,
            "frames.max_frames": 3,
            "rnn.model.units": 4,
            "report.examples": 2,
        }
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory, overrides, reading):
    folder = tmp_path_factory.mktemp("chain")
    file = folder / "question.py"
    file.write_text(
        '"""A question?"""\ndef variants():\n'
        '    yield "a", {"objective.name": "ordinal_cross_entropy"}\n'
        '    yield "b", {"objective.name": "ordinal_cross_entropy", "rnn.model.masking": True}\n'
    )
    with reading() as unread:
        plan = grid.ablation(str(file), configuration.load("configs/demo.py", overrides), 1)
        assert runner.run(plan, folder / "run", "the command", session.begin(1)) == []
        return folder / "run", unread([each.config for each in plan.cells])


@pytest.fixture(scope="module")
def root(study):
    return study[0]


def result(root, name):
    return json.loads((root / "cells" / name / "result.json").read_text())


def test_every_setting_is_read(study):
    assert study[1] == set()


def test_every_link_is_graded_and_the_shared_stages_are_made_once(root):
    kinds = sorted(path.name.rsplit("-", 1)[0] for path in (root / "stages").iterdir())
    assert kinds == ["cnn", "cropper", "crops", "features"]
    a, b = result(root, "a-s0"), result(root, "b-s0")
    assert {(row["model"], row["task"]) for row in a["rows"]} == {
        (model, task) for model in ("cnn", "rnn") for task in ("icm", "te")
    }
    assert a["stages"] == b["stages"]
    assert 0 <= a["stages"]["cropper"]["dice_val"] <= 1
    cnn = [[row for row in cell["rows"] if row["model"] == "cnn"] for cell in (a, b)]
    assert cnn[0] == cnn[1]


def test_shared_stages_are_named_by_their_data_and_by_the_code_that_makes_them(root, overrides):
    keys = {path.name: json.loads((path / "stage.json").read_text())["key"] for path in (root / "stages").iterdir()}
    cropper, crops, cnn, features = (
        next(n for n in keys if n.startswith(k)) for k in ("cropper", "crops", "cnn", "features")
    )
    changes = overrides | {"objective.name": "ordinal_cross_entropy"}
    config = configuration.load("configs/demo.py", changes)
    assert keys[cropper]["dataset"] == chain.material(config).identity
    assert keys[cropper]["code"] == identity.of_code(config, objective=False)
    assert keys[crops]["cropper"] == cropper
    assert (keys[cnn]["crops"], keys[cnn]["code"]) == (crops, identity.of_code(config))
    assert cnn in keys[features].values()
    for name, key in keys.items():
        assert name.rpartition("-")[2] == digest(key)


def test_sequences_end_at_tmeb_and_empty_wells_are_not_graded(root, overrides):
    config = configuration.load("configs/demo.py", overrides)
    dataset = store.open_dataset(catalog.prepare(config.data))
    labels = dataset.columns["label/icm"]
    assert 0 < np.sum(labels < 0) < 24
    sizes = result(root, "a-s0")["dataset"]["sizes"]
    assert sum(sizes.values()) == np.sum(labels >= 0)
    crops, features = (next((root / "stages").glob(f"{kind}-*")) for kind in ("crops", "features"))
    hours = timelapse.hours(96.0, 118.0, 11.0)
    tmeb = timelapse.maximum_expansion(np.load(crops / "areas.npy")[:, : len(hours)], hours, 96.0)
    sequences = np.load(features / "sequences.npy")
    assert sequences.shape == (48, 3, 6)
    np.testing.assert_array_equal((sequences[:, 1] == 0).all(axis=1), tmeb == 0)


def test_no_treatment_is_in_two_splits_and_the_outcome_travels_with_the_predictions(root):
    with np.load(root / "cells/a-s0/predictions.npz") as saved:
        groups = {split: set(saved[f"rnn/{split}/groups"]) for split in ("train", "val", "test")}
        outcome = saved["rnn/test/fetal_heartbeat"]
        assert saved["examples/frames"].shape == (2, 16, 16, 1)
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["val"]
    assert not groups["val"] & groups["test"]
    assert set(outcome) <= {-1, 0, 1}


def test_recordings_are_graded_as_the_run_graded_them(root, overrides, tmp_path):
    config = configuration.load("configs/demo.py", overrides)
    dataset = store.open_dataset(catalog.prepare(config.data))
    with np.load(root / "cells/a-s0/predictions.npz") as saved:
        names, probs = saved["rnn/test/icm/ids"][:6], saved["rnn/test/icm/probs"][:6]
    files = [tmp_path / f"{name}.npz" for name in names]
    for name, file in zip(names, files, strict=True):
        row = np.flatnonzero(dataset.columns["id"] == name)
        arrays = {column: dataset.columns[column][row][0] for column in ("frames", "hpi")}
        np.savez(file, **arrays, planes=dataset.extras["planes"])
    graded = [line for line in grading.grade(root / "cells/a-s0", files) if line["task"] == "icm"]
    assert {line["model"] for line in graded} == {"rnn"}
    assert np.ptp(probs, axis=0).min() > 1e-4  # a network of one epoch tells recordings apart by little
    np.testing.assert_allclose([list(line["probs"].values()) for line in graded], probs, rtol=0, atol=2e-6)


def test_a_chain_that_the_data_cannot_feed_is_refused(overrides, tmp_path):
    with pytest.raises(UsageError, match=r"chain is \('rnn',\): it takes one of \('cnn',\), "):
        configuration.load("configs/demo.py", overrides | {"chain": ("rnn",)})
    plan = grid.single(configuration.load("configs/demo.py", overrides | {"chain": ("cnn",)}))
    with pytest.raises(UsageError, match="has no image column"):
        runner.run(plan, tmp_path / "run", "the command", session.begin(1))
