"""The loop: kill it anywhere and it ends the same; NaN and a full disk stop it with one clear line."""

import dataclasses
import errno
import functools
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import flax.linen as nn
import jax
import numpy as np
import pytest

from ordinal_blast import objectives
from ordinal_blast.data import batches
from ordinal_blast.data.batches import Examples, fixed, inverse_frequency
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.training import checkpoints, course, loop, optimizer, step
from ordinal_blast.training.problem import GradingLoss, OnInputs, Problem
from ordinal_blast.training.selection import HIGHER, Monitor

pytestmark = pytest.mark.usefixtures("compile_quickly")

SHORT = TrainingSettings(batch_size=16, epochs=6, steps_per_dispatch=2, checkpoint_every=2, threads=1)
FAST = OptimizerSettings(learning_rate=0.05)
PLATEAU = ScheduleSettings("plateau", {"patience": 1})


class Linear(nn.Module):
    @nn.compact
    def __call__(self, x, *, train, keys=None, mask=None):
        return {"grade": nn.Dense(3)(x)}


def problem(settings=FAST, schedule=PLATEAU, training=SHORT):
    loss = GradingLoss((("grade", objectives.get("ordinal_cross_entropy", num_classes=3)),))
    return Problem(Linear(), loss, optimizer.make(settings, schedule, training, "stage"))


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


def fit(directory, training=SHORT, task=None, train=None, val=None, **more):
    return loop.fit(
        task or problem(),
        examples(0) if train is None else train,
        examples(1) if val is None else val,
        training,
        directory=directory,
        devices=tuple(jax.devices()[:1]),
        name="a cell",
        **({"seed": 3} | more),
    )


def trained(**changes):
    return dataclasses.replace(SHORT, **changes)


def same(a, b):
    without = [{k: v for k, v in line.items() if k != "seconds"} for line in a.history]
    assert without == [{k: v for k, v in line.items() if k != "seconds"} for line in b.history]
    assert a.best_epoch == b.best_epoch
    jax.tree.map(np.testing.assert_array_equal, a.variables, b.variables)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 2, 3, 5])
def test_a_run_stopped_after_any_epoch_ends_as_one_that_was_not(tmp_path, epoch):
    whole = fit(tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(tmp_path / "cut", report=stop_after(epoch))
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
        t.fit(Path({str(tmp_path / "cut")!r}), t.trained(epochs=40, checkpoint_every=1))
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
    schedule = trained(epochs=40, checkpoint_every=1)
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
    fit(tmp_path, trained(epochs=2))
    broken = examples(0)
    poisoned = Examples(
        broken.ids, lambda i, rng: np.full((len(i), 4), np.nan, np.float32), broken.labels, broken.weights
    )
    with pytest.raises(UserError, match=r"a cell: the loss is nan at epoch 3, step 1; .* checkpoint of epoch 2"):
        fit(tmp_path, train=poisoned)
    assert checkpoints.Checkpoints(tmp_path / "checkpoints").epoch == 2


def test_a_validation_loss_that_is_not_finite_stops_the_run_though_the_training_loss_is(tmp_path):
    val = examples(1)
    poisoned = dataclasses.replace(val, view=fixed(np.full((50, 4), np.nan, np.float32)))
    with pytest.raises(
        UserError, match=r"a cell \(validation\): the loss is nan at epoch 1, step 1; .* no epoch was fin"
    ):
        fit(tmp_path, val=poisoned)


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    import orbax.checkpoint as ocp

    whole = fit(tmp_path / "whole")
    save = ocp.StandardCheckpointHandler.save

    def full(self, place, *args, **kwargs):
        if place.parent.name == "4":
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(self, place, *args, **kwargs)

    monkeypatch.setattr(ocp.StandardCheckpointHandler, "save", full)
    with pytest.raises(UserError, match=r"cannot write the checkpoint of epoch 4 .*No space left.*same command again"):
        fit(tmp_path / "cut")
    monkeypatch.setattr(ocp.StandardCheckpointHandler, "save", save)
    same(whole, fit(tmp_path / "cut"))


class Rising(Monitor):
    """A measure that is better high: undefined in the first epoch, then 0.1, 0.9, 0.3, 0.2, 0.4."""

    def __init__(self, start=0):
        values = iter([math.nan, 0.1, 0.9, 0.3, 0.2, 0.4][start:])
        super().__init__({"val_qwk": HIGHER}, lambda outputs: {"val_qwk": next(values)})


def stop_after(epoch):
    def report(number, epochs, line):
        if number == epoch:
            raise Stopped

    return report


def test_the_best_epoch_of_a_measure_that_is_better_high_is_kept_with_its_own_variables(tmp_path):
    fitted = fit(tmp_path / "whole", trained(select="val_qwk"), monitor=Rising())
    assert fitted.best_epoch == 3
    third = fit(tmp_path / "three", trained(epochs=3, select="val_qwk"), monitor=Rising())
    jax.tree.map(np.testing.assert_array_equal, fitted.variables, third.variables)


@pytest.mark.parametrize("damage", ["missing", "empty", "torn", "first line doubled", "NaN", "another run's"])
def test_a_resumed_run_keeps_its_earlier_best_whatever_became_of_the_metrics_file(tmp_path, damage):
    schedule = trained(select="val_qwk", checkpoint_every=1)
    whole = fit(tmp_path / "whole", schedule, monitor=Rising())
    with pytest.raises(Stopped):
        fit(tmp_path / "cut", schedule, monitor=Rising(), report=stop_after(4))
    log = tmp_path / "cut" / "metrics.jsonl"
    text = log.read_text()
    first = text.splitlines(keepends=True)[0]
    if damage == "missing":
        log.unlink()
    else:
        damaged = {
            "empty": "",
            "torn": text[:-20],
            "first line doubled": first + text,
            "NaN": text.replace("0.1", "NaN"),
            "another run's": text.replace('"epoch": 1', '"epoch": 7'),
        }
        log.write_text(damaged[damage])
    same(whole, fit(tmp_path / "cut", schedule, monitor=Rising(start=4)))
    lines = [json.loads(line, parse_constant=pytest.fail) for line in log.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["val_qwk"] for line in lines] == [None, 0.1, 0.9, 0.3, 0.2, 0.4]


def test_a_run_killed_while_the_metrics_file_is_rewritten_loses_nothing(tmp_path, monkeypatch):
    with pytest.raises(Stopped):
        fit(tmp_path, trained(checkpoint_every=1), report=stop_after(3))
    log = tmp_path / "metrics.jsonl"
    log.write_text(log.read_text() + '{"epoch": 4, "val')
    before = log.read_bytes()

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path)
    assert log.read_bytes() == before


@pytest.mark.parametrize("select", ["seconds", "learning_rate", "epoch", "train_loss", "val_mae"])
def test_what_is_no_measure_is_refused_before_any_work(tmp_path, select):
    with pytest.raises(UsageError, match=rf"training.select is '{select}': it takes one of 'val_loss', 'val_qwk'"):
        fit(tmp_path, trained(select=select), monitor=Rising())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [2**32, -1, 0.5, True, "0"])
def test_a_seed_without_a_key_of_its_own_is_refused_before_any_work(tmp_path, seed):
    with pytest.raises(UsageError, match=r"seed is .*: it takes a whole number from 0 to 4294967295"):
        fit(tmp_path, seed=seed)
    assert not list(tmp_path.iterdir())


def test_the_first_and_the_last_seed_train_differently(tmp_path):
    short = trained(epochs=1)
    losses = {fit(tmp_path / str(seed), short, seed=seed).history[0]["val_loss"] for seed in (0, 1, 2**32 - 1)}
    assert len(losses) == 3


def test_a_balance_that_is_no_task_is_refused_before_any_work(tmp_path):
    with pytest.raises(UsageError, match=r"training.balance is 'stage': it takes one of '', 'grade'"):
        fit(tmp_path, trained(balance="stage"))
    assert not list(tmp_path.iterdir())


def test_a_batch_larger_than_the_training_set_is_the_training_set(tmp_path):
    large, exact = (fit(tmp_path / str(size), trained(batch_size=size)) for size in (64, 50))
    same(large, exact)


def test_a_split_without_any_label_is_refused_before_any_work(tmp_path):
    unlabelled = dataclasses.replace(examples(1), weights={"grade": np.zeros(50, np.float32)})
    message = r"a cell \({}\): none of the 50 examples has a label of grade that counts"
    with pytest.raises(UserError, match=message.format("training")):
        fit(tmp_path, train=unlabelled)
    with pytest.raises(UserError, match=message.format("validation")):
        fit(tmp_path, val=unlabelled)
    with pytest.raises(UserError, match="none of the 0 examples"):
        fit(tmp_path, val=examples(1, count=0))
    assert not list(tmp_path.iterdir())


def test_a_model_that_was_never_trained_is_told_and_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match="holds no trained model: run the command that trains it first"):
        loop.restore(problem(), np.zeros((1, 4), np.float32), tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("labels", [[0, 0, 2], [-1, -1], []])
def test_grades_without_an_example_weigh_nothing(labels):
    weights = inverse_frequency(np.asarray(labels, int), 3)
    assert np.isfinite(weights).all()
    assert (weights[np.setdiff1d(range(3), labels)] == 0).all()


def test_inverse_frequency_weights_average_to_one():
    labels = np.asarray([0, 0, 0, 1, 3, 3, -1])
    weights = inverse_frequency(labels, 4)
    np.testing.assert_allclose(weights, [6 / (3 * 3), 6 / (3 * 1), 0, 6 / (3 * 2)], rtol=1e-6)
    np.testing.assert_allclose(weights[labels[labels >= 0]].mean(), 1, rtol=1e-6)


class Worsening(Monitor):
    """A measure that is best in the third epoch, and undefined in the fourth."""

    def __init__(self, start=0):
        values = iter([0.1, 0.2, 0.5, math.nan, 0.5, 0.4, 0.9][start:])
        super().__init__({"val_qwk": HIGHER}, lambda outputs: {"val_qwk": next(values)})


@pytest.mark.parametrize("every", [1, 2])
def test_patience_stops_after_so_many_epochs_without_a_better_one_and_so_does_a_resumed_run(tmp_path, every):
    patient = trained(epochs=7, select="val_qwk", patience=2, checkpoint_every=every)
    whole = fit(tmp_path / "whole", patient, monitor=Worsening())
    assert [line["epoch"] for line in whole.history] == [1, 2, 3, 4, 5]
    assert whole.best_epoch == 3
    for stop in (1, 2, 3, 4, 5):
        with pytest.raises(Stopped):
            fit(tmp_path / str(stop), patient, monitor=Worsening(), report=stop_after(stop))
        begun = stop if stop == 5 else stop // every * every
        assert checkpoints.Checkpoints(tmp_path / str(stop) / "checkpoints").epoch == begun
        same(whole, fit(tmp_path / str(stop), patient, monitor=Worsening(start=begun)))


def test_without_a_directory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    same(fit(tmp_path / "kept"), fit(None))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_average_of_the_weights_is_what_is_evaluated_selected_and_kept(tmp_path):
    averaging = trained(ema=0.9)
    task = problem(training=averaging)
    whole = fit(tmp_path / "whole", averaging, task)
    with pytest.raises(Stopped):
        fit(tmp_path / "cut", averaging, task, report=stop_after(3))
    same(whole, fit(tmp_path / "cut", averaging, task))
    best = whole.history[whole.best_epoch - 1]
    outputs = task.model.apply(whole.variables, examples(1).inputs(np.arange(50)), train=False)
    loss = task.loss(outputs, examples(1).labels, examples(1).weights)
    np.testing.assert_allclose(loss, best["val_loss"], rtol=1e-6)
    plain = fit(tmp_path / "plain")
    np.testing.assert_allclose(plain.history[0]["train_loss"], whole.history[0]["train_loss"], rtol=1e-6)
    assert plain.history[0]["val_loss"] < whole.history[0]["val_loss"]  # the average lags behind


@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulating_over_all_batches_is_training_on_larger_ones(tmp_path, accumulate):
    """48 of 50 examples an epoch: three batches of 16, which updates of two take from two epochs."""
    ones = trained(steps_per_dispatch=1)
    task = problem(OptimizerSettings("sgd", 0.1, accumulate=accumulate), ScheduleSettings("linear"), ones)
    fitted = fit(tmp_path / "whole", ones, task)
    with pytest.raises(Stopped):
        fit(tmp_path / "cut", ones, task, report=stop_after(3))
    same(fitted, fit(tmp_path / "cut", ones, task))
    stream = batches.epochs(examples(0), size=16, first=0, last=6, seed=3, threads=0)
    small = [batch for _, steps in stream for batch in steps]
    assert len(small) == 18
    whole = problem(OptimizerSettings("sgd", 0.1), ScheduleSettings("linear"), ones)
    state = step.create(whole, examples(0).inputs(np.arange(2)), seed=3, updates=18 // accumulate)
    take = jax.jit(functools.partial(step.train_step, problem=whole))
    for start in range(0, 18, accumulate):
        joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *small[start : start + accumulate])
        state, _ = take(state, joined)
    assert fitted.best_epoch == 6
    for a, b in zip(jax.tree.leaves(fitted.variables), jax.tree.leaves(step.variables(state, whole)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_rate_of_an_epoch_is_that_of_its_last_update():
    def rates(name, **more):
        task = problem(OptimizerSettings("adam", 0.05, **more), ScheduleSettings(name))
        return [line["learning_rate"] for line in fit(None, task=task).history]

    assert rates("constant") == [0.05] * 6
    np.testing.assert_allclose(rates("linear"), [0.05 * (1 - (3 * i + 2) / 18) for i in range(6)], rtol=1e-6)
    # Updates after batches 4, 8, 12, 16 of 18: none in the first and last epochs.
    slow = rates("linear", accumulate=4)
    assert (slow[0], slow[3], slow[5]) == (None, 0.05 * float(np.float32(0.5)), 0.0125)


def test_the_rate_is_halved_after_an_epoch_whose_validation_loss_is_no_better():
    history = fit(None, task=problem(OptimizerSettings("sgd", 4.0))).history
    rates, best, scale = [], math.inf, 1.0
    for line in history:
        rates.append(4.0 * scale)
        scale *= 1.0 if line["val_loss"] < best else 0.5
        best = min(best, line["val_loss"])
    assert [line["learning_rate"] for line in history] == rates
    assert rates[-1] < 4.0


def test_the_training_loss_of_an_epoch_is_the_mean_over_its_steps(tmp_path):
    still = problem(OptimizerSettings("sgd", 1e-30))
    fitted = fit(None, trained(epochs=2), still)
    steps = batches.epochs(examples(0), size=16, first=0, last=2, seed=3, threads=0)
    for line, (_, taken) in zip(fitted.history, steps, strict=True):
        losses = [
            float(still.loss(still.model.apply(fitted.variables, b.inputs, train=False), b.labels, b.weights))
            for b in taken
        ]
        assert len(set(losses)) == 3
        np.testing.assert_allclose(line["train_loss"], np.mean(losses), rtol=1e-6)


def test_seconds_are_those_of_each_epoch_and_training_takes_their_sum(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(course, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
    fitted = fit(None, trained(epochs=3))
    assert [line["seconds"] for line in fitted.history] == [1.0] * 3
    assert fitted.seconds == 3.0


def test_random_views_are_trained_on_and_still_ones_are_evaluated():
    def start(variables):
        begun.append(variables)
        return variables

    begun, dark = [], OnInputs(lambda keys, inputs: 0 * inputs)
    plain = problem(OptimizerSettings("sgd", 0.5))
    fitted = fit(None, trained(epochs=2), dataclasses.replace(plain, augment=dark), initial=start)
    first, last = (variables["params"]["Dense_0"] for variables in (begun[0], fitted.variables))
    np.testing.assert_array_equal(first["kernel"], last["kernel"])
    assert not np.array_equal(first["bias"], last["bias"])
    val, line = examples(1), fitted.history[fitted.best_epoch - 1]
    outputs = plain.model.apply(fitted.variables, val.inputs(np.arange(50)), train=False)
    np.testing.assert_allclose(line["val_loss"], plain.loss(outputs, val.labels, val.weights), rtol=1e-5)


def test_every_example_step_and_use_has_a_key_of_its_own():
    seen = []

    class Keyed(Linear):
        @nn.compact
        def __call__(self, x, *, train, keys=None, mask=None):
            seen.extend([] if keys is None else map(tuple, jax.random.key_data(keys).tolist()))
            return {"grade": nn.Dense(3)(x)}

    def view(keys, inputs, labels):
        seen.extend(map(tuple, jax.random.key_data(keys).tolist()))
        return inputs, labels

    task = dataclasses.replace(problem(), model=Keyed(), augment=view)
    (batch, *_) = next(batches.epochs(examples(0), size=16, first=0, last=1, seed=3, threads=0))[1]
    state = step.create(task, batch.inputs, 3, 6)
    with jax.disable_jit():
        state, _ = step.train_step(state, batch, task)
        step.train_step(state, batch, task)
    assert len(seen) == len(set(seen)) == 2 * 2 * 16  # steps, views and networks, examples


def test_metrics_that_cannot_be_written_are_told_in_one_line(tmp_path):
    def spoil(epoch, epochs, line):
        (tmp_path / "metrics.jsonl").unlink()
        (tmp_path / "metrics.jsonl").mkdir()

    with pytest.raises(
        UserError, match=r"^cannot write .*metrics.jsonl: .*; free space and run the same command again$"
    ):
        fit(tmp_path, report=spoil)


def test_a_network_that_keeps_more_than_parameters_and_statistics_is_refused():
    class Counts(nn.Module):
        @nn.compact
        def __call__(self, x, *, train, keys=None, mask=None):
            self.variable("memory", "calls", lambda: np.zeros(()))
            return {"grade": nn.Dense(3)(x)}

    with pytest.raises(UsageError, match=r"^the network keeps memory: only params and batch_stats are trained$"):
        fit(None, task=dataclasses.replace(problem(), model=Counts()))


def test_more_accumulation_than_there_are_batches_is_refused_before_any_work(tmp_path):
    with pytest.raises(UsageError, match=r"optimizer.accumulate is 19: training has 18 batches, not enough for one up"):
        fit(tmp_path, task=problem(OptimizerSettings(accumulate=19)))
    assert not list(tmp_path.iterdir())


def test_a_run_starts_from_what_initial_gives_and_a_resumed_one_from_its_checkpoint(tmp_path):
    def zeros(variables):
        return jax.tree.map(np.zeros_like, variables)

    still = problem(OptimizerSettings("sgd", 1e-30))
    fitted = fit(tmp_path, trained(epochs=2), still, initial=zeros)
    assert max(abs(leaf).max() for leaf in jax.tree.leaves(fitted.variables)) < 1e-20
    again = fit(tmp_path, trained(epochs=3), still, initial=lambda variables: pytest.fail("resumed"))
    assert max(abs(leaf).max() for leaf in jax.tree.leaves(again.variables)) < 1e-20
