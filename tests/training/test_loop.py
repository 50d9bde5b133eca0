"""The loop: kill it anywhere and it ends the same; NaN and a full disk stop it with one clear line."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast import objectives
from ordinal_blast.data.batches import Examples, fixed, inverse_frequency
from ordinal_blast.errors import UserError
from ordinal_blast.training import checkpoints, loop
from ordinal_blast.training.problem import DiceLoss, GradingLoss, Problem

SCHEDULE = loop.Schedule(
    batch_size=16,
    epochs=6,
    plateau_factor=0.5,
    plateau_patience=1,
    select="val_loss",
    steps_per_dispatch=2,
    checkpoint_every=2,
    threads=1,
)


class Linear(nn.Module):
    @nn.compact
    def __call__(self, x, *, train, keys=None, mask=None):
        return {"grade": nn.Dense(3)(x)}


def problem(learning_rate=0.05):
    loss = GradingLoss((("grade", objectives.get("ordinal_cross_entropy", num_classes=3)),))
    return Problem(model=Linear(), loss=loss, learning_rate=learning_rate)


def examples(seed, count=50):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype(np.float32)
    labels = np.digitize(x[:, 0] + rng.normal(size=count) / 3, [-0.5, 0.5]).astype(np.int32)
    return Examples(
        ids=np.arange(count).astype(str),
        view=fixed(x),
        labels={"grade": labels},
        weights={"grade": np.ones(count, np.float32)},
    )


def fit(directory, schedule=SCHEDULE, task=None, train=None):
    return loop.fit(
        task or problem(),
        train or examples(0),
        examples(1),
        schedule,
        seed=3,
        directory=directory,
        devices=tuple(jax.devices()[:1]),
        name="a cell",
    )


def same(a, b):
    without = [{k: v for k, v in line.items() if k != "seconds"} for line in a.history]
    assert without == [{k: v for k, v in line.items() if k != "seconds"} for line in b.history]
    assert a.best_epoch == b.best_epoch
    jax.tree.map(np.testing.assert_array_equal, a.variables, b.variables)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 2, 3, 5])
def test_a_run_stopped_after_any_epoch_ends_as_one_that_was_not(tmp_path, epoch):
    def stop(number, epochs, line):
        if number == epoch:
            raise Stopped

    whole = fit(tmp_path / "whole")
    with pytest.raises(Stopped):
        loop.fit(
            problem(),
            examples(0),
            examples(1),
            SCHEDULE,
            seed=3,
            directory=tmp_path / "cut",
            devices=tuple(jax.devices()[:1]),
            name="a cell",
            report=stop,
        )
    same(whole, fit(tmp_path / "cut"))
    lines = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_a_run_killed_before_its_checkpoint_is_sealed_ends_the_same(tmp_path, monkeypatch):
    whole = fit(tmp_path / "whole")
    seal = checkpoints.write_json

    def cut(path, value):
        if value["epoch"] == 4:
            raise Stopped
        seal(path, value)

    monkeypatch.setattr(checkpoints, "write_json", cut)
    with pytest.raises(UserError, match="cannot write the checkpoint of epoch 4"):
        fit(tmp_path / "cut")
    monkeypatch.setattr(checkpoints, "write_json", seal)
    assert checkpoints.Checkpoints(tmp_path / "cut/checkpoints").epoch == 2
    same(whole, fit(tmp_path / "cut"))
    assert {path.name for path in (tmp_path / "cut/checkpoints").iterdir()} == {"6", "seal.json"}


def test_a_finished_run_is_read_not_trained_again(tmp_path):
    first = fit(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_text()
    same(first, fit(tmp_path))
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_kill_dash_nine(tmp_path):
    """A real process, killed without warning while it trains, then run to the end."""
    code = textwrap.dedent(
        f"""
        import sys, time
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from pathlib import Path
        import test_loop as t
        import dataclasses
        slow = dataclasses.replace(t.SCHEDULE, epochs=40, checkpoint_every=1)
        t.fit(Path({str(tmp_path / "cut")!r}), slow)
        """
    )
    log = tmp_path / "cut" / "metrics.jsonl"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    while process.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < 5):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert process.returncode == -signal.SIGKILL
    schedule = loop.Schedule(**{**vars(SCHEDULE), "epochs": 40, "checkpoint_every": 1})
    same(fit(tmp_path / "whole", schedule), fit(tmp_path / "cut", schedule))


def test_the_best_epoch_is_that_of_the_smallest_validation_loss(tmp_path):
    fitted = fit(tmp_path)
    losses = [line["val_loss"] for line in fitted.history]
    assert fitted.best_epoch == 1 + int(np.argmin(losses))
    task = problem()
    outputs = task.model.apply(fitted.variables, examples(1).inputs(np.arange(50)), train=False)
    loss = task.loss(outputs, examples(1).labels, examples(1).weights)
    np.testing.assert_allclose(loss, min(losses), rtol=1e-6)
    restored = loop.restore(task, np.zeros((1, 4), np.float32), tmp_path)
    jax.tree.map(np.testing.assert_array_equal, restored, fitted.variables)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_finished(tmp_path):
    fit(tmp_path, loop.Schedule(**{**vars(SCHEDULE), "epochs": 2}))
    broken = examples(0)
    poisoned = Examples(
        broken.ids, lambda i, rng: np.full((len(i), 4), np.nan, np.float32), broken.labels, broken.weights
    )
    with pytest.raises(UserError, match=r"a cell: the loss is nan at epoch 3, step 1; .* checkpoint of epoch 2"):
        fit(tmp_path, train=poisoned)
    assert checkpoints.Checkpoints(tmp_path / "checkpoints").epoch == 2


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    import orbax.checkpoint as ocp

    whole = fit(tmp_path / "whole")
    save = ocp.CheckpointManager.save

    def full(self, step, *args, **kwargs):
        if step == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(self, step, *args, **kwargs)

    monkeypatch.setattr(ocp.CheckpointManager, "save", full)
    with pytest.raises(UserError, match=r"cannot write the checkpoint of epoch 4 .*No space left.*same command again"):
        fit(tmp_path / "cut")
    monkeypatch.setattr(ocp.CheckpointManager, "save", save)
    same(whole, fit(tmp_path / "cut"))


def test_inverse_frequency_weights_average_to_one():
    labels = np.asarray([0, 0, 0, 1, 3, 3, -1])
    weights = inverse_frequency(labels, 4)
    np.testing.assert_allclose(weights, [6 / (3 * 3), 6 / (3 * 1), 0, 6 / (3 * 2)], rtol=1e-6)
    np.testing.assert_allclose(weights[labels[labels >= 0]].mean(), 1, rtol=1e-6)


def test_dice_loss_is_the_formula():
    logits = jnp.log(jnp.asarray([[[0.25, 1.0], [3.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]))
    masks = jnp.asarray([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    first = 1 - (2 * (0.5 + 0.75) + 1) / ((0.2 + 0.5 + 0.75 + 0.5) + 2 + 1)
    second = 1 - 1 / (2 + 1)
    loss = DiceLoss()({"mask": logits}, {"mask": masks}, {"mask": jnp.asarray([3.0, 1.0])})
    np.testing.assert_allclose(loss, (3 * first + second) / 4, rtol=1e-6)
