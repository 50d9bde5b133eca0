"""Networks from a file in a folder of its own train, resume exactly, and see the same batch on any devices."""

import functools
import textwrap

import jax
import numpy as np
import optax
import pytest

from ordinal_blast import objectives
from ordinal_blast.data import batches
from ordinal_blast.data.batches import Examples, fixed
from ordinal_blast.models import networks
from ordinal_blast.models.heads import GradingNetwork
from ordinal_blast.settings import NetworkSettings, OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.training import loop, optimizer, parallel, step
from ordinal_blast.training.problem import GradingLoss, Problem

pytestmark = pytest.mark.usefixtures("compile_quickly")

NETS = """
    import flax.linen as nn
    import jax
    import jax.numpy as jnp
    from flax import nnx


    class Small(nn.Module):
        width: int = 4
        rate: float = 0.0
        reads = "images"

        @nn.compact
        def __call__(self, x, train):
            for _ in range(2):  # without biases, whose gradient before normalisation is round-off alone
                x = nn.Conv(self.width, (3, 3), strides=2, use_bias=False)(x)
                x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
            return nn.Dropout(self.rate, deterministic=not train)(x.mean((1, 2)))


    class Nnx(nnx.Module):
        reads = "images"

        def __init__(self, width: int = 4, rate: float = 0.0, *, rngs):
            self.conv = nnx.Conv(3, width, (3, 3), strides=2, rngs=rngs)
            self.norm = nnx.BatchNorm(width, momentum=0.9, rngs=rngs)
            self.dropout = nnx.Dropout(rate, rngs=rngs)

        def __call__(self, x):
            return self.dropout(nnx.relu(self.norm(self.conv(x))).mean((1, 2)))


    class Running(nnx.Module):
        "Colours, and their mean over the last batch."
        reads = "images"

        def __init__(self, *, rngs):
            self.mean, self.dense = nnx.BatchStat(jnp.zeros(3)), nnx.Linear(3, 4, rngs=rngs)

        def __call__(self, x, training: bool = False):
            if training:
                self.mean[...] = x.mean((0, 1, 2))
            return self.dense(x.mean((1, 2)))
"""
TRAINING = TrainingSettings(batch_size=14, epochs=3, threads=1)


class Stopped(Exception):
    pass


@pytest.fixture
def nets(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "nets.py").write_text(textwrap.dedent(NETS))
    return folder / "nets.py"


def problem(nets, name, **options):
    bound = (("grade", objectives.get("ordinal_cross_entropy", num_classes=3)),)
    backbone = networks.make(NetworkSettings(f"{nets}:{name}", options), "cnn.network")
    moves = optimizer.make(OptimizerSettings(learning_rate=0.02), ScheduleSettings("cosine"), TRAINING, "cnn")
    return Problem(GradingNetwork(backbone, bound), GradingLoss(bound), moves)


def examples(seed, count=42):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count).astype(np.int32)
    light = 60 + 60 * labels[:, None, None, None] + rng.normal(0, 25, (count, 8, 8, 3))
    images, weights = np.clip(light, 0, 255).astype(np.uint8), np.ones(count, np.float32)
    return Examples(np.arange(count).astype(str), fixed(images), {"grade": labels}, {"grade": weights})


def fit(task, directory, devices=1, **more):
    chosen = tuple(jax.devices()[:devices])
    return loop.fit(
        task, examples(0), examples(1), TRAINING, seed=3, directory=directory, devices=chosen, name="a cell", **more
    )


def losses(fitted):
    return [(line["train_loss"], line["val_loss"]) for line in fitted.history]


def test_training_on_one_and_on_four_devices_is_the_loop_that_one_would_write_in_flax_and_optax(nets):
    """The same initial weights and batches of 14, two rows of padding on four devices: losses to round-off."""
    task, bound = problem(nets, "Small"), objectives.get("ordinal_cross_entropy", num_classes=3)
    train, val = examples(0), examples(1)
    network, head = task.model.backbone.network, bound.layer()
    start = step.create(task, train.inputs(np.arange(2)), 3, 1)
    params = {"network": start.params["backbone"]["network"], "head": start.params["grade_head"]}
    statistics, moves = start.batch_stats["backbone"]["network"], optax.adam(optax.cosine_decay_schedule(0.02, 9))
    state = jax.jit(moves.init)(params)

    @functools.partial(jax.jit, static_argnames="train")
    def outputs(params, statistics, images, train):
        variables = {"params": params["network"], "batch_stats": statistics}
        kept = network.apply(variables, images / 127.5 - 1, train, mutable=["batch_stats"])
        return head.apply({"params": params["head"]}, kept[0]), kept[1]["batch_stats"]

    @jax.jit
    def update(params, statistics, state, images, labels):
        def loss_of(params):
            made, moved = outputs(params, statistics, images, train=True)
            return bound.loss(made, labels), moved

        (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, state = moves.update(gradients, state, params)
        return optax.apply_updates(params, updates), statistics, state, loss

    by_hand = []
    for _, epoch in batches.epochs(train, size=14, first=0, last=3, seed=3, threads=0):
        losses_of = []
        for batch in epoch:
            images, labels = np.float32(batch.inputs), batch.labels["grade"]
            params, statistics, state, loss = update(params, statistics, state, images, labels)
            losses_of.append(float(loss))
        made, _ = outputs(params, statistics, np.float32(val.inputs(np.arange(42))), train=False)
        by_hand.append((np.mean(losses_of), float(bound.loss(made, val.labels["grade"]))))
    one, four = (fit(task, None, devices) for devices in (1, 4))
    np.testing.assert_allclose([losses(one), losses(four)], [by_hand, by_hand], rtol=1e-5)
    for a, b in zip(jax.tree.leaves(four.variables), jax.tree.leaves(one.variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["Small", "Nnx"])
def test_a_network_of_ones_own_learns_and_is_resumed_exactly(nets, tmp_path, name):
    whole = fit(problem(nets, name, rate=0.3), tmp_path / "whole")
    assert whole.history[-1]["train_loss"] < 0.9 * whole.history[0]["train_loss"]

    def stop(epoch, epochs, line):
        if epoch == 2:
            raise Stopped

    with pytest.raises(Stopped):
        fit(problem(nets, name, rate=0.3), tmp_path / "cut", report=stop)
    cut = fit(problem(nets, name, rate=0.3), tmp_path / "cut")
    assert losses(cut) == losses(whole)
    jax.tree.map(np.testing.assert_array_equal, cut.variables, whole.variables)
    restored = loop.restore(problem(nets, name, rate=0.3), np.zeros((1, 8, 8, 3), np.uint8), tmp_path / "cut")
    jax.tree.map(np.testing.assert_array_equal, restored, whole.variables)


def test_dropout_draws_anew_in_every_step_and_the_same_when_repeated(nets):
    def two_steps(name, rate):
        task = problem(nets, name, rate=rate)
        state = step.create(task, np.zeros((1, 8, 8, 3), np.uint8), seed=0, updates=2)
        frozen = state.replace(step=state.step + 1)
        batch = next(next(batches.epochs(examples(0), size=14, first=0, last=1, seed=0, threads=0))[1])
        run = parallel.train_steps(task, tuple(jax.devices()[:1]))
        return [float(run(one, parallel.stack([batch], 1))[1].loss[0]) for one in (state, state, frozen)]

    for name in ("Small", "Nnx"):
        first, again, next_step = two_steps(name, 0.5)
        assert first == again
        assert abs(first - next_step) > 1e-4
        without = two_steps(name, 0.0)
        assert without[0] == without[2]


@pytest.mark.parametrize("name", ["Nnx", "Running"])
def test_statistics_of_nnx_are_those_of_all_devices(nets, name):
    task = problem(nets, name)
    batch = next(next(batches.epochs(examples(0), size=16, first=0, last=1, seed=0, threads=0))[1])
    state = step.create(task, batch.inputs, seed=0, updates=2)
    one, four = (
        parallel.train_steps(task, tuple(jax.devices()[:count]))(state, parallel.stack([batch], count))[0].batch_stats
        for count in (1, 4)
    )
    for a, b in zip(jax.tree.leaves(four), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
