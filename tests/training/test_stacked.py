"""Trainings side by side come out as by themselves: on any number of devices, killed, failing, stopped early."""

import dataclasses
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ordinal_blast import objectives
from ordinal_blast.data.batches import Examples, fixed
from ordinal_blast.errors import UserError
from ordinal_blast.models.heads import GradingNetwork
from ordinal_blast.models.mlp import MLP
from ordinal_blast.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.training import course as course_module
from ordinal_blast.training import loop, optimizer, stacked
from ordinal_blast.training.course import Course
from ordinal_blast.training.problem import GradingLoss, Problem
from ordinal_blast.types import AXIS

TRAINING = TrainingSettings(batch_size=16, epochs=6, steps_per_dispatch=2, checkpoint_every=2, ema=0.5)
WAITING = dataclasses.replace(TRAINING, epochs=12, patience=2, steps_per_dispatch=3)
BALANCED = dataclasses.replace(TRAINING, balance="grade")
PLATEAU = ScheduleSettings("plateau", {"patience": 1})
SEEDS = (3, 4, 5)


def problem(training, name="soft_qwk"):
    objective = objectives.get(name, num_classes=3)
    network = GradingNetwork(MLP((8, 6), dropout=0.3, axis_name=AXIS), (("grade", objective),))
    chosen = optimizer.make(OptimizerSettings("adamw", 0.05, accumulate=2), PLATEAU, training, "stage")
    return Problem(network, GradingLoss((("grade", objective),)), chosen)


def examples(seed, count, scale=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype(np.float32)
    labels = np.digitize(x[:, 0] + rng.normal(size=count) / 3, [-0.5, 0.5]).astype(np.int32)
    weights = rng.uniform(0.5, 2, count).astype(np.float32)
    return Examples(np.arange(count).astype(str), fixed(scale * x), {"grade": labels}, {"grade": weights})


def course(seed, training=TRAINING, directory=None, scale=1.0, **more):
    return Course(
        problem(training),
        examples(0 if training.balance else seed, 50, scale),  # of one shape
        examples(seed + 50, 21),
        training,
        seed=seed,
        directory=directory,
        name=f"cell {seed}",
        **more,
    )


def alone(seed, training=TRAINING):
    return loop.finish(course(seed, training), tuple(jax.devices()[:1]))


def same(one, other):
    assert (one.best_epoch, len(one.history)) == (other.best_epoch, len(other.history))
    for a, b in zip(one.history, other.history, strict=True):
        for key in a.keys() - {"seconds"}:
            np.testing.assert_allclose(a[key], b[key], rtol=1e-5, atol=1e-6)
    for a, b in zip(jax.tree.leaves(one.variables), jax.tree.leaves(other.variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("devices", "training"), [(1, WAITING), (4, WAITING), (1, BALANCED)])
def test_trainings_side_by_side_come_out_as_by_themselves(devices, training):
    courses = [course(seed, training) for seed in SEEDS]
    assert stacked.advance(courses, tuple(jax.devices()[:devices])) == []
    assert [one.failure for one in courses] == [None] * len(SEEDS)
    assert all(one.over for one in courses)
    fitted = [one.fitted() for one in courses]
    for seed, one in zip(SEEDS, fitted, strict=True):
        same(one, alone(seed, training))
    if training.patience:
        assert len({len(one.history) for one in fitted}) > 1  # they stop at epochs of their own
        assert min(len(one.history) for one in fitted) < training.epochs


@pytest.mark.parametrize("again", ["side by side", "one by one"])
def test_killed_in_the_middle_each_goes_on_from_its_checkpoint(tmp_path, again):
    def killed(epoch, epochs, line):
        if epoch == 5:
            raise KeyboardInterrupt

    def begin(**more):
        return [course(seed, directory=tmp_path / str(seed), **more) for seed in SEEDS]

    for seed in SEEDS:
        (tmp_path / str(seed)).mkdir()
    ahead = course(3, directory=tmp_path / "3", report=killed)
    with pytest.raises(KeyboardInterrupt):  # one cell is ahead of the others
        loop.finish(ahead, tuple(jax.devices()[:1]))
    with pytest.raises(KeyboardInterrupt):
        stacked.advance(begin(report=killed), tuple(jax.devices()[:1]))
    courses = begin()
    assert [len(one.history) for one in courses] == [4, 0, 0]
    if again == "side by side":
        stacked.advance(courses, tuple(jax.devices()[:1]))
    for seed, one in zip(SEEDS, courses, strict=True):
        same(loop.finish(one, tuple(jax.devices()[:1])), alone(seed))
        assert len((tmp_path / str(seed) / "metrics.jsonl").read_text().splitlines()) == 6


def test_kill_dash_nine_inside_a_stack(tmp_path):
    """A real process, killed without warning while it trains several, which then end as if it had not been."""
    training = dataclasses.replace(TRAINING, epochs=40, checkpoint_every=3)

    def begin(name):
        for seed in SEEDS:
            (tmp_path / name / str(seed)).mkdir(parents=True, exist_ok=True)
        return [course(seed, training, tmp_path / name / str(seed)) for seed in SEEDS]

    for name in ("whole", "cut"):
        begin(name)
    code = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        import dataclasses, jax, test_stacked as t
        training = dataclasses.replace(t.TRAINING, epochs=40, checkpoint_every=3)
        root = Path({str(tmp_path / "cut")!r})
        courses = [t.course(seed, training, root / str(seed)) for seed in t.SEEDS]
        t.stacked.advance(courses, tuple(jax.devices()[:1]))
        """
    )
    log = tmp_path / "cut" / "5" / "metrics.jsonl"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    while process.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < 5):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert process.returncode == -signal.SIGKILL
    devices = tuple(jax.devices()[:1])
    whole, cut = begin("whole"), begin("cut")
    assert all(3 <= len(one.history) < 40 for one in cut)
    for courses in (whole, cut):
        stacked.advance(courses, devices)
    for one, other in zip(whole, cut, strict=True):
        a, b = one.fitted(), other.fitted()
        assert a.best_epoch == b.best_epoch
        assert [line | {"seconds": 0} for line in a.history] == [line | {"seconds": 0} for line in b.history]
        jax.tree.map(np.testing.assert_array_equal, a.variables, b.variables)


def test_one_whose_loss_is_not_finite_fails_by_itself_with_its_own_words():
    courses = [course(seed, scale=np.inf if seed == 4 else 1.0) for seed in SEEDS]
    stacked.advance(courses, tuple(jax.devices()[:1]))
    with pytest.raises(UserError, match=r"^cell 4: the loss is nan at epoch 1, step 1; .*; no epoch was finished$"):
        loop.finish(courses[1], tuple(jax.devices()[:1]))
    for one, seed in ((courses[0], 3), (courses[2], 5)):
        same(one.fitted(), alone(seed))


def test_what_is_alone_of_its_kind_or_cannot_be_stacked_is_left_as_it_is(monkeypatch):
    def refused(*_):
        raise NotImplementedError("no rule of batching")

    courses = [course(3), course(4, dataclasses.replace(TRAINING, epochs=3))]
    assert stacked.advance(courses, tuple(jax.devices()[:1])) == []
    monkeypatch.setattr(stacked.parallel, "stacked_steps", refused)
    others = [course(3), course(4)]
    (why,) = stacked.advance(others, tuple(jax.devices()[:1]))
    assert str(why) == "no rule of batching"
    assert [(one.history, one.failure) for one in (*courses, *others)] == [([], None)] * 4
    same(loop.finish(others[0], tuple(jax.devices()[:1])), alone(3))


def test_time_is_shared_by_those_that_took_it(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(course_module, "time", SimpleNamespace(perf_counter=lambda: 6.0 * next(clock)))
    courses = [course(seed) for seed in SEEDS]  # 0, 6 and 12 s
    stacked.advance(courses, tuple(jax.devices()[:1]))
    assert [one.together for one in courses] == [3, 3, 3]
    assert [one.history[1]["seconds"] for one in courses] == [6.0, 6.0, 6.0]  # 18 s between two ends, shared by three


def test_inputs_that_would_take_too_much_memory_side_by_side_are_left_one_by_one(monkeypatch):
    courses = [course(seed) for seed in SEEDS]
    assert courses[0].inputs_at_once == 4 * 4 * (21 + 2 * 16)
    monkeypatch.setattr(stacked, "_MOST", 3 * courses[0].inputs_at_once - 1)
    stacked.advance(courses, tuple(jax.devices()[:1]))
    assert [one.history for one in courses] == [[]] * 3
