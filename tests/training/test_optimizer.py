"""Optimisers by name: the rate of every step is the schedule's; clipping, accumulation and averaging are formulas."""

import dataclasses
import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ordinal_blast.errors import UsageError
from ordinal_blast.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.training import optimizer, schedules
from ordinal_blast.training.optimizer import OPTIMIZERS, Optimizer

PARAMS = {"bias": jnp.asarray([0.5, -1.0]), "kernel": jnp.asarray([[1.0, -2.0], [0.5, 0.1], [-0.3, 0.7]])}
NEEDED = {  # options that an optimiser asks for
    "noisy_sgd": {"key": 0},
    "dpsgd": {"l2_norm_clip": 1.0, "noise_multiplier": 1.0, "seed": 0},
    "schedule_free": {"base_optimizer": optax.sgd(1.0)},
}
REFUSED = {
    "dpsgd": "to have a batch dimension",  # gradients of single examples
    "lbfgs": "missing 3 required keyword-only arguments: 'value'",
    "momo": "missing 1 required keyword-only argument: 'value'",
    "momo_adam": "missing 1 required keyword-only argument: 'value'",
    "schedule_free": "it is evaluated at other parameters than it trains",
    "schedule_free_adamw": "it is evaluated at other parameters than it trains",
    "schedule_free_sgd": "it is evaluated at other parameters than it trains",
    "sophia": "obj_fn must be provided",
}


def make(name="adam", schedule="constant", options=None, ema=0.0, schedule_options=None, **more):
    return optimizer.make(
        OptimizerSettings(name, options=options or {}, **more),
        ScheduleSettings(schedule, schedule_options or {}),
        TrainingSettings(ema=ema),
        "cnn",
    )


def gradients(count, seed=0):
    rng = np.random.default_rng(seed)
    return [jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape), p.dtype), PARAMS) for _ in range(count)]


def run(moves, steps, total=None):
    """The parameters after every gradient, and the factors."""
    state, params, path, factors = moves.init(PARAMS, total or len(steps)), PARAMS, [], []
    update = jax.jit(moves.update)
    for gradient in steps:
        params, state, factor = update(gradient, state, params)
        path.append(params)
        factors.append(float(factor))
    return path, factors, state


def close(a, b, rtol=1e-6, atol=1e-7):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=rtol, atol=atol), a, b)


def test_optimisers_of_optax_and_its_contributions_are_there():
    assert {"adam", "adamw", "sgd", "rmsprop", "lion", "lamb", "muon", "prodigy", "adafactor"} <= set(OPTIMIZERS)
    assert not [name for name in OPTIMIZERS if name.startswith(("_", "scale_by"))]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of optax's older optimisers
@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - set(REFUSED)))
def test_an_optimiser_moves_parameters_as_optax_does(name):
    options = NEEDED.get(name, {})
    path, factors, _ = run(make(name, options=options, learning_rate=0.01), gradients(3))
    own, params = OPTIMIZERS[name](learning_rate=0.01, **options), PARAMS
    state = own.init(params)
    for gradient in gradients(3):
        updates, state = own.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    close(path[-1], params, rtol=1e-5)
    assert factors == [1, 1, 1]
    assert not all(np.array_equal(a, b) for a, b in zip(path[-1].values(), PARAMS.values(), strict=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_an_optimiser_that_needs_more_than_gradients_is_refused(name):
    with pytest.raises(UsageError, match=rf"^cnn\.optimizer\.name is {name}, which cannot train here: ") as refused:
        make(name, options=NEEDED.get(name))
    assert re.search(REFUSED[name], str(refused.value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "adm"}, r"^cnn\.optimizer\.name is 'adm' \(did you mean adam or "),
        ({"options": {"b3": 0.9}}, r"^cnn\.optimizer\.options has no b3: it takes learning_rate, b1, b2"),
        (
            {"name": "sgd", "options": {"nesterov": "yes"}},
            r"^cnn\.optimizer\.options\.nesterov is 'yes': it takes True",
        ),
        (
            {"options": {"learning_rate": 1.0}},
            r"^cnn\.optimizer\.options has no learning_rate: it is cnn\.optimizer\.le",
        ),
        ({"options": {"b1": "high"}}, r"^cnn\.optimizer\.name is adam, which cannot train here: TypeError: "),
        ({"name": "rprop", "schedule": "cosine"}, r"^cnn\.schedule is cosine, but rprop does not follow one"),
        ({"schedule": "cosin"}, r"^cnn\.schedule\.name is 'cosin' \(did you mean cosine"),
        (
            {"schedule": "cosine", "schedule_options": {"ends": 1}},
            r"^cnn\.schedule\.options has no ends: it takes end$",
        ),
        (
            {"schedule": "cosine", "schedule_options": {"end": -1.0}},
            r"^cnn\.schedule\.options\.end is -1\.0: it takes a",
        ),
        (
            {"schedule": "plateau", "schedule_options": {"patience": 0}},
            r"^cnn\.schedule\.options\.patience is 0: it ta",
        ),
        (
            {"schedule": "plateau", "schedule_options": {"factor": 1.5}},
            r"^cnn\.schedule\.options\.factor is 1\.5: it ta",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(settings, message):
    with pytest.raises(UsageError, match=message):
        make(**settings)


def test_the_same_settings_are_one_optimiser_and_others_another():
    same = [make("sgd", "step", {"momentum": 0.9}, schedule_options={"at": [0.5]}) for _ in range(2)]
    assert same[0] == same[1]
    assert hash(same[0]) == hash(same[1])
    others = [make("sgd", "step", {"momentum": 0.8}), make("sgd", "step", {"momentum": 0.9}), make("adam")]
    assert len({*same, *others}) == 4


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_rate_that_changes_moves_adam_as_scaled_updates_do(name):
    """Only because Adam divides the gradient's scale out before: the rate is the last factor of its update."""
    moves = make(name, "linear", learning_rate=0.1)
    path, factors, _ = run(moves, gradients(5))
    own, params = OPTIMIZERS[name](0.1), PARAMS
    state = own.init(params)
    for step, gradient in enumerate(gradients(5)):
        updates, state = own.update(gradient, state, params)
        params = optax.apply_updates(params, jax.tree.map(lambda u, by=1 - step / 5: u * by, updates))
        close(path[step], params)
    np.testing.assert_allclose(factors, [1, 0.8, 0.6, 0.4, 0.2], rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "lion", "lamb", "novograd", "muon", "prodigy", "adafactor"])
def test_a_rate_that_changes_is_that_of_a_schedule_of_optax(name):
    options = {"momentum": 0.9} if name in ("sgd", "rmsprop") else {}
    path, _, _ = run(make(name, "cosine", options, learning_rate=0.1), gradients(6))
    own, params = OPTIMIZERS[name](learning_rate=optax.cosine_decay_schedule(0.1, 6), **options), PARAMS
    state = own.init(params)
    for step, gradient in enumerate(gradients(6)):
        updates, state = own.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        close(path[step], params, rtol=1e-5)


def test_an_optimiser_and_a_schedule_of_ones_own_come_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import jax, optax\n"
        "def descent(learning_rate, *, sign: float = 1.0):\n"
        "    return optax.chain(optax.scale(sign), optax.scale_by_learning_rate(learning_rate))\n"
        "def halves(progress, *, by: float = 2.0):\n"
        "    return 1 / (1 + (progress >= 0.5) * (by - 1))\n"
        "def two(progress):\n"
        "    return progress, progress\n"
        "def forgets(learning_rate):\n"
        "    return optax.stateless(lambda updates, params: {})\n"
        "def grows(learning_rate):\n"
        "    def update(updates, state, params=None):\n"
        "        return updates, jax.numpy.concatenate([state, state])\n"
        "    return optax.GradientTransformation(lambda params: jax.numpy.zeros(1), update)\n"
    )
    moves = make(f"{file}:descent", f"{file}:halves", {"sign": -1.0}, schedule_options={"by": 4.0}, learning_rate=0.1)
    path, factors, _ = run(moves, [PARAMS] * 4)
    assert factors == [1, 1, 0.25, 0.25]
    close(path[-1], jax.tree.map(lambda p: p * (1 + 0.1 * 2.5), PARAMS))
    with pytest.raises(UsageError, match=r"^cnn\.schedule\.name is .*mine.py:two: it gives no single number$"):
        make(schedule=f"{file}:two")
    with pytest.raises(
        UsageError, match=r"mine.py:forgets, which cannot train here: its updates are not like the para"
    ):
        make(f"{file}:forgets")
    with pytest.raises(UsageError, match=r"mine.py:grows, which cannot train here: its state changes its shape$"):
        make(f"{file}:grows")
    with pytest.raises(UsageError, match=r"has no nothing to call; it has descent, halves, two, forgets, grows"):
        make(f"{file}:nothing")


def test_gradients_are_clipped_by_their_global_norm_before_the_optimiser():
    clipped, _, _ = run(make("sgd", learning_rate=0.1, clip_norm=0.5), gradients(1))
    gradient = gradients(1)[0]
    norm = math.sqrt(sum(float((leaf**2).sum()) for leaf in gradient.values()))
    assert norm > 0.5
    close(clipped[0], jax.tree.map(lambda p, g: p - 0.1 * 0.5 * g / norm, PARAMS, gradient))
    loose, _, _ = run(make("sgd", learning_rate=1.0, clip_norm=2 * norm), gradients(1))
    close(loose[0], jax.tree.map(lambda p, g: p - g, PARAMS, gradient))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_an_update_by_three_batches_is_one_by_their_mean(name):
    steps = gradients(8)
    path, factors, state = run(make(name, "linear", accumulate=3, clip_norm=0.1), steps, total=2)
    means = [jax.tree.map(lambda *g: sum(g) / 3, *steps[i : i + 3]) for i in (0, 3)]
    whole, _, _ = run(make(name, "linear", clip_norm=0.1), means, total=2)
    close(path[2], whole[0])
    close(path[5], whole[1])
    close(path[7], path[5], rtol=0, atol=0)  # two batches are left over
    assert [factor for factor in factors if factor == factor] == [1, 0.5]
    assert [step for step, factor in enumerate(factors) if factor == factor] == [2, 5]
    assert int(state.updates) == 2


@pytest.mark.parametrize(("decay", "accumulate"), [(0.9, 1), (0.9999, 1), (0.5, 2)])
def test_the_average_is_that_of_the_parameters_after_each_update(decay, accumulate):
    moves = make("sgd", learning_rate=0.3, ema=decay, accumulate=accumulate)
    path, _, state = run(moves, gradients(8))
    after = path[accumulate - 1 :: accumulate]
    weights = np.asarray([decay ** (len(after) - 1 - i) for i in range(len(after))], np.float64)
    for name, got in moves.evaluated(state, path[-1]).items():
        values = np.stack([np.asarray(params[name], np.float64) for params in after])
        want = np.tensordot(weights / weights.sum(), values, 1)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_without_an_average_the_parameters_are_evaluated_and_nothing_is_kept():
    moves = make()
    assert moves.init(PARAMS, 1).average == {}
    assert moves.evaluated(moves.init(PARAMS, 1), PARAMS) is PARAMS


def test_a_plateau_changes_the_rate_of_the_next_epoch():
    moves = make("sgd", "plateau", schedule_options={"factor": 0.1, "patience": 2}, learning_rate=1.0)
    state, params, update = moves.init(PARAMS, 100), PARAMS, jax.jit(moves.update)
    factors = []
    for loss in (-1.0, -2.0, -2.0, math.nan, -3.0):
        params, state, factor = update(PARAMS, state, params)
        factors.append(float(factor))
        state = moves.after_epoch(state, loss)
    np.testing.assert_allclose(factors, [1, 1, 1, 1, 0.1], rtol=1e-6)
    still = dataclasses.replace(moves, schedule=schedules.constant)
    assert still.after_epoch(state, 0.0) is state
    assert Optimizer(optax.adam, 1e-3) == Optimizer(optax.adam, 1e-3)
