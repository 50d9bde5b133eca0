"""Training as a whole against the textbooks: every update in plain numpy, float64, on a loss with one minimum."""

import math

import flax.linen as nn
import jax
import numpy as np
import pytest

from ordinal_blast import objectives
from ordinal_blast.data import batches
from ordinal_blast.data.batches import Examples, fixed
from ordinal_blast.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.training import loop, optimizer, step
from ordinal_blast.training.problem import GradingLoss, Problem

SEED = 3


class Linear(nn.Module):
    @nn.compact
    def __call__(self, x, *, train, keys=None, mask=None):
        return {"grade": nn.Dense(3, name="dense")(x)}


def examples(seed, count=48):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype(np.float32)
    labels = np.digitize(x[:, 0] + rng.normal(size=count) / 3, [-0.5, 0.5]).astype(np.int32)
    weights = np.ones(count, np.float32)
    return Examples(np.arange(count).astype(str), fixed(x), {"grade": labels}, {"grade": weights})


TRAIN, VAL = examples(0), examples(1)


def cross_entropy(params, x, labels):
    """The mean loss of rows, and its gradient."""
    logits = x.astype(np.float64) @ params["kernel"] + params["bias"]
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    slope = (np.exp(log_probs) - np.eye(3)[labels]) / len(labels)
    return -log_probs[np.arange(len(labels)), labels].mean(), {"kernel": x.T @ slope, "bias": slope.sum(axis=0)}


def adam(p, g, rate, t, m, v, decay=0.0):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    return p - rate * (m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8) + decay * p), m, v


def adamw(*arguments):
    return adam(*arguments, decay=0.1)


def momentum(p, g, rate, t, m, v):
    m = 0.9 * m + g
    return p - rate * m, m, v


def rmsprop(p, g, rate, t, m, v):
    v = 0.9 * v + 0.1 * g**2
    return p - rate * g / np.sqrt(v + 1e-8), m, v


def lion(p, g, rate, t, m, v):
    return p - rate * (np.sign(0.9 * m + 0.1 * g) + 0.001 * p), 0.99 * m + 0.01 * g, v


RULES = {
    "adam": (adam, 0.05, {}),
    "adamw": (adamw, 0.05, {"weight_decay": 0.1}),
    "sgd": (momentum, 0.3, {"momentum": 0.9}),
    "rmsprop": (rmsprop, 0.01, {}),
    "lion": (lion, 0.01, {}),
}
SHAPES = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "warmup_cosine": lambda progress: (
        progress / 0.25 if progress < 0.25 else (1 + math.cos(math.pi * (progress - 0.25) / 0.75)) / 2
    ),
}


def by_hand(task, settings, schedule, training):
    """Per epoch the mean training loss, the validation loss, the last rate, and the parameters that are evaluated."""
    rule, _, _ = RULES[settings.name]
    x = TRAIN.inputs(np.arange(len(TRAIN)))
    place = {row.tobytes(): number for number, row in enumerate(x)}
    stream = batches.epochs(TRAIN, size=training.batch_size, first=0, last=training.epochs, seed=SEED, threads=0)
    rows = [[[place[row.tobytes()] for row in batch.inputs] for batch in epoch] for _, epoch in stream]
    total = sum(map(len, rows)) // settings.accumulate
    params = step.create(task, x[:2], SEED, total).params["dense"]
    params = {name: np.asarray(value, np.float64) for name, value in params.items()}
    memory = {name: (0.0, 0.0) for name in params}
    average, waiting, updates, told = dict.fromkeys(params, 0.0), [], 0, []
    scale, best, wait = 1.0, math.inf, 0
    for epoch in rows:
        losses, rate = [], None
        for chosen in epoch:
            loss, gradient = cross_entropy(params, x[chosen], TRAIN.labels["grade"][chosen])
            losses.append(loss)
            waiting.append(gradient)
            if len(waiting) < settings.accumulate:
                continue
            gradient = {name: sum(one[name] for one in waiting) / len(waiting) for name in params}
            norm = math.sqrt(sum((leaf**2).sum() for leaf in gradient.values()))
            shrink = min(1.0, settings.clip_norm / norm) if settings.clip_norm else 1.0
            factor = scale if schedule.name == "plateau" else SHAPES[schedule.name](updates / total)
            rate, waiting, updates = settings.learning_rate * factor, [], updates + 1
            for name, value in gradient.items():
                params[name], *memory[name] = rule(params[name], shrink * value, rate, updates, *memory[name])
                average[name] = training.ema * average[name] + (1 - training.ema) * params[name]
        shown = {name: value / (1 - training.ema**updates) for name, value in average.items()}
        val_loss, _ = cross_entropy(shown, VAL.inputs(np.arange(len(VAL))), VAL.labels["grade"])
        best, wait = (val_loss, 0) if val_loss < best else (best, wait + 1)
        if wait == schedule.options.get("patience"):
            scale, wait = scale * schedule.options["factor"], 0
        told.append((np.mean(losses), val_loss, rate, shown))
    return told


CASES = {
    **{name: (name, "cosine", {}, {"batch_size": 48, "epochs": 50}) for name in RULES},
    "warm, with a rest": ("sgd", "warmup_cosine", {}, {"batch_size": 14, "epochs": 10}),
    "clipped": ("sgd", "constant", {"clip_norm": 0.1}, {"batch_size": 14, "epochs": 10}),
    "accumulated": ("sgd", "cosine", {"clip_norm": 0.2, "accumulate": 4}, {"batch_size": 8, "epochs": 10}),
    "averaged": ("sgd", "cosine", {}, {"batch_size": 16, "epochs": 10, "ema": 0.9}),
    "plateau": ("sgd", "plateau", {"learning_rate": 3.0}, {"batch_size": 16, "epochs": 25}),
}


@pytest.mark.parametrize(
    ("case", "devices"), [(name, 1) for name in CASES] + [(name, 4) for name in list(CASES)[len(RULES) :]]
)
def test_every_update_is_that_of_the_textbook(case, devices):
    name, shape, changes, how = CASES[case]
    _, rate, options = RULES[name]
    settings = OptimizerSettings(name, options=options, **{"learning_rate": rate, **changes})
    schedule = ScheduleSettings(
        shape,
        {
            "plateau": {"patience": 2, "factor": 0.5},
            "warmup_cosine": {"warmup": 0.25},
        }.get(shape, {}),
    )
    training = TrainingSettings(threads=0, **how)
    loss = GradingLoss((("grade", objectives.get("cross_entropy", num_classes=3)),))
    task = Problem(Linear(), loss, optimizer.make(settings, schedule, training, "stage"))
    used = tuple(jax.devices()[:devices])
    fitted = loop.fit(task, TRAIN, VAL, training, seed=SEED, directory=None, devices=used, name="a cell")
    told = by_hand(task, settings, schedule, training)
    for line, (train_loss, val_loss, rate, _) in zip(fitted.history, told, strict=True):
        # 1 − 0.999 in float32 is off by 1e-5 of itself, and optax corrects the bias of Adam's spread by that
        np.testing.assert_allclose([line["train_loss"], line["val_loss"]], [train_loss, val_loss], rtol=1e-5)
        assert line["learning_rate"] == (None if rate is None else pytest.approx(rate, rel=1e-4, abs=1e-9))
    assert fitted.best_epoch == 1 + np.argmin([val_loss for _, val_loss, _, _ in told])
    for key, value in told[fitted.best_epoch - 1][-1].items():
        np.testing.assert_allclose(fitted.variables["params"]["dense"][key], value, rtol=1e-4, atol=1e-5)
    if shape == "plateau":
        assert len({rate for _, _, rate, _ in told}) > 2


def test_a_weighted_loss_is_divided_by_the_weights_or_by_the_labelled_examples():
    rng = np.random.default_rng(0)
    outputs = {task: rng.normal(size=(6, 3)).astype(np.float32) for task in ("icm", "te")}
    labels = {"icm": np.asarray([0, 1, 2, 1, 0, 2]), "te": np.asarray([2, 2, 1, -1, 0, 0])}
    weights = {"icm": np.float32([5.9, 1, 2.1, 1, 5.9, 2.1]), "te": np.float32([1, 1, 3, 0, 2, 2])}
    bound = tuple((task, objectives.get("cross_entropy", num_classes=3)) for task in outputs)
    sums = {}
    for task, logits in outputs.items():
        log_probs = logits - np.logaddexp.reduce(logits.astype(np.float64), axis=1, keepdims=True)
        sums[task] = -np.sum(weights[task] * log_probs[np.arange(6), labels[task]])
    by_weights = sums["icm"] / 18 / 2 + sums["te"] / 9 / 2
    by_examples = sums["icm"] / 6 / 2 + sums["te"] / 5 / 2  # one label of te is missing
    for divide_by, expected in {"weights": by_weights, "examples": by_examples}.items():
        got = GradingLoss(bound, divide_by)(outputs, labels, weights)
        np.testing.assert_allclose(got, expected, rtol=1e-6)
