"""One device and four give the same training, losses that couple the batch included."""

import os
import subprocess
import sys
import textwrap

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

from ordinal_blast import objectives
from ordinal_blast.models import native
from ordinal_blast.models.heads import GradingNetwork
from ordinal_blast.models.mlp import MLP
from ordinal_blast.training import parallel, step
from ordinal_blast.training.optimizer import Optimizer
from ordinal_blast.training.problem import GradingLoss, Problem
from ordinal_blast.types import AXIS, Batch

pytestmark = pytest.mark.usefixtures("compile_quickly")

STEPS, SIZE, K = 20, 22, 4  # 22 examples on 4 devices: two rows of padding


def problem(name, model=None):
    objective = objectives.get(name, num_classes=K)
    backbone = MLP(widths=(16, 8), dropout=0.3, batch_norm=True, axis_name=AXIS)
    grader = model or GradingNetwork(backbone, (("grade", objective),))
    return Problem(model=grader, loss=GradingLoss((("grade", objective),)), optimizer=Optimizer(optax.adam, 1e-2))


def batches(seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(STEPS):
        x = rng.normal(size=(SIZE, 6)).astype(np.float32)
        labels = np.clip(np.round(1.5 + x[:, 0] + rng.normal(size=SIZE) / 2), 0, K - 1).astype(np.int32)
        weights = rng.uniform(0.2, 2.0, SIZE).astype(np.float32)
        labels[0], weights[0] = -1, 0.0  # a missing label
        made.append(Batch(x, {"grade": labels}, {"grade": weights}, np.arange(SIZE, dtype=np.int32)))
    return made


def train(made, devices, name, block=1):
    task = problem(name)
    state = step.create(task, made[0].inputs, seed=7, updates=STEPS)
    run = parallel.train_steps(task, tuple(jax.devices()[:devices]))
    losses = []
    for start in range(0, STEPS, block):
        state, metrics = run(state, parallel.stack(made[start : start + block], devices))
        losses.append(np.asarray(metrics.loss))
    return state, np.concatenate(losses)


@pytest.mark.parametrize("name", ["ordinal_cross_entropy", "soft_qwk"])
def test_four_devices_train_as_one_does(name):
    made = batches()
    one_state, one = train(made, 1, name)
    four_state, four = train(made, 4, name)
    assert one[-5:].mean() < 0.97 * one[0]  # it does learn
    np.testing.assert_allclose(four, one, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(one_state.params), jax.tree.leaves(four_state.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)
    for a, b in zip(jax.tree.leaves(one_state.batch_stats), jax.tree.leaves(four_state.batch_stats), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_many_steps_in_one_dispatch_are_the_same_steps():
    made = batches(1)
    _, single = train(made, 4, "cross_entropy")
    _, blocks = train(made, 4, "cross_entropy", block=5)
    np.testing.assert_allclose(blocks, single, rtol=1e-5)


@pytest.mark.parametrize(("kernels", "block", "loops"), [(True, 1, 0), (True, 5, 1), (False, 5, 0), (False, 9, 1)])
def test_short_programs_have_no_loop_where_convolutions_in_one_are_slow(monkeypatch, kernels, block, loops):
    monkeypatch.setattr(native, "available", lambda: kernels)
    made = batches(1)
    task = problem("cross_entropy")
    state = step.create(task, made[0].inputs, seed=7, updates=STEPS)
    stacked = jax.tree.map(lambda x: x[0], parallel.stack(made[:block], 1))
    traced = jax.make_jaxpr(parallel._steps(task), axis_env=[(AXIS, 1)])(state, stacked)
    whole = [eqn for eqn in traced.eqns if eqn.primitive.name == "scan" and eqn.params["length"] == block]
    assert sum(eqn.params["unroll"] < block for eqn in whole) == loops


def test_predictions_do_not_depend_on_devices_or_batch_size():
    task = problem("cross_entropy")
    x = np.random.default_rng(0).normal(size=(23, 6)).astype(np.float32)
    state = step.create(task, x, seed=0, updates=STEPS)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    direct = step.eval_step(variables, x, task)["grade"]
    for devices, size in ((1, 5), (4, 8), (4, 100)):
        got = parallel.predict(task, variables, lambda i: x[i], 23, size, tuple(jax.devices()[:devices]))
        np.testing.assert_allclose(got["grade"], direct, rtol=1e-5, atol=1e-6)


class _Sum(nn.Module):
    @nn.compact
    def __call__(self, x, *, train, keys=None, mask=None):
        return {"grade": nn.Dense(K)(x)}


def test_padding_rows_change_neither_loss_nor_gradient():
    task = problem("cross_entropy", _Sum())
    made = batches(2)[0]
    state = step.create(task, made.inputs, seed=0, updates=STEPS)
    plain_state, plain = step.train_step(state, made, task)
    padded = jax.tree.map(lambda x: x[0, 0], parallel.stack([parallel._pad(made, 3)], 1))
    padded_state, metrics = step.train_step(state, padded, task)
    np.testing.assert_allclose(metrics.loss, plain.loss, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(plain_state.params), jax.tree.leaves(padded_state.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("devices", [1, 4])
def test_a_replicated_state_lies_where_a_step_leaves_it(devices):
    """Otherwise the second step would compile again."""
    made, task = batches(), problem("oll")
    chosen = tuple(jax.devices()[:devices])
    before = parallel.replicate(step.create(task, made[0].inputs, seed=7, updates=STEPS), chosen)
    after, _ = parallel.train_steps(task, chosen)(before, parallel.stack([made[0]], devices))
    same = jax.tree.map(lambda a, b: a.sharding.is_equivalent_to(b.sharding, a.ndim), before, after)
    assert all(jax.tree.leaves(same))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are bound on Linux only")
@pytest.mark.parametrize("limit", ["", "PJRT_NPROC", "NPROC", "one core"])
def test_provenance_names_the_devices_and_threads_that_xla_really_uses(limit):
    code = """
        import os, sys
        if "one core" in sys.argv:
            os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
        import jax
        from ordinal_blast.training import parallel
        told = parallel.hardware(tuple(jax.local_devices()[:1]))
        names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
        workers = sum("XLAEigen" in name for name in names)
        assert told.startswith("1 x cpu ("), told
        assert told.endswith(f"), {workers} thread{'s' * (workers != 1)}"), (told, workers)
    """
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    if limit.endswith("NPROC"):
        environment[limit] = "3"
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), limit], env=environment, check=True)
