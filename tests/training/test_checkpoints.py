"""Checkpoints: damaged anywhere, they are refused in one line, or what they hold is unharmed."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.errors import UserError
from ordinal_blast.training.checkpoints import Checkpoints

STATE = {"weights": jnp.asarray(np.random.default_rng(0).normal(size=(40, 30)), jnp.float32), "count": jnp.int32(3)}
BEST = {"weights": jnp.arange(7.0)}
HISTORY = [{"epoch": 1, "val_loss": 0.1, "val_qwk": None}, {"epoch": 2, "val_loss": 1 / 3, "val_qwk": -0.5}]


def read(directory):
    checkpoints = Checkpoints(directory)
    found = checkpoints.restore({"state": STATE, "best": BEST})
    checkpoints.close()
    return checkpoints.epoch, checkpoints.history, found


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "checkpoints"
    checkpoints = Checkpoints(directory)
    checkpoints.save(1, {"state": BEST, "best": STATE}, HISTORY[:1])
    checkpoints.save(2, {"state": STATE, "best": BEST}, HISTORY)
    checkpoints.close()
    return directory


def unharmed(epoch, history, found):
    assert (epoch, history) == (2, HISTORY)
    np.testing.assert_array_equal(found["state"]["weights"], STATE["weights"])
    np.testing.assert_array_equal(found["state"]["count"], 3)
    np.testing.assert_array_equal(found["best"]["weights"], BEST["weights"])


def refusal(directory):
    try:
        read(directory)
    except UserError as error:
        return str(error)
    return ""


def test_what_was_saved_comes_back_exactly_and_only_the_last_is_kept(saved):
    unharmed(*read(saved))
    assert {path.name for path in saved.iterdir()} == {"2", "seal.json"}


def test_before_any_checkpoint_there_is_epoch_0_and_nothing_is_written(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert (checkpoints.epoch, checkpoints.history) == (0, [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "one bit", "one bit more"])
def test_a_damaged_file_is_named_in_one_line(saved, tmp_path, damage):
    """Orbax alone reads an array with a flipped bit without a word."""
    rng = np.random.default_rng(len(damage))
    for file in sorted(path.relative_to(saved) for path in saved.rglob("*") if path.is_file()):
        copy = tmp_path / "checkpoints"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(saved, copy)
        content = bytearray((copy / file).read_bytes())
        if damage == "missing":
            (copy / file).unlink()
        elif damage.startswith("one bit"):
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
            (copy / file).write_bytes(content)
        else:
            (copy / file).write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
        if damage == "missing" and file.name == "seal.json":
            assert Checkpoints(copy).epoch == 0  # as before the first checkpoint
            continue
        refused = refusal(copy)
        assert refused.startswith(f"cannot read the checkpoint in {copy}: ")
        assert file.name in refused
        assert refused.endswith("; delete it to train again")
        assert "\n" not in refused


def test_a_seal_that_was_edited_is_refused(saved, tmp_path):
    copy = tmp_path / "checkpoints"
    shutil.copytree(saved, copy)
    seal = json.loads((copy / "seal.json").read_text())
    seal["history"][1]["val_qwk"] = 0.9
    (copy / "seal.json").write_text(json.dumps(seal))
    with pytest.raises(UserError, match=r"seal.json is not what was written; delete it to train again"):
        Checkpoints(copy)


def test_a_tree_of_another_shape_is_refused(saved):
    with pytest.raises(UserError, match=r"cannot read the checkpoint in"):
        Checkpoints(saved).restore({"best": {"weights": jnp.zeros(8)}})


def test_a_file_where_the_folder_should_be_is_told(tmp_path):
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(UserError, match=r"cannot read the checkpoint in .*: it is a file; delete it to train again"):
        Checkpoints(tmp_path / "checkpoints")
