"""Options, weights and own losses that are wrong are refused when they are given, by one line that says the right."""

import math
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast import objectives
from ordinal_blast.objectives import options

K = 4
OPTIONS = [(name, option) for name in objectives.names() for option in objectives.get(name, num_classes=K).options]
VECTORS = ("threshold_weights", "class_weights", "means", "log_priors")
MATRICES = ("distance_matrix", "targets")


def bad_values(name, option):
    """Values that no reading of the option allows."""
    if option in VECTORS:
        size = K - (option == "threshold_weights")
        bad = [np.ones(size + 1), np.ones((size, size)), [1.0] * (size - 1) + [math.nan], "abc", [None] * size, 1.0]
        if option.endswith("weights"):
            bad += [[1.0] * (size - 1) + [-1.0], np.zeros(size)]
        return bad + ([[1.0] * size, list(range(size))[::-1]] if option == "means" else [])
    if option in MATRICES:
        broken = [np.full((K, K), 1 / K) for _ in range(2)]
        broken[0][1, 2], broken[1][1, 2] = -1, math.nan
        return [np.eye(K + 1), np.ones(K), *broken, "abc", [[1.0], [1.0, 2.0]]]
    if isinstance(objectives.get(name, num_classes=K).options[option], (str, bool)):
        return ["nonsense", 1.0, None, -1]
    return [-1, -1e-9, math.nan, math.inf, True, "2", None, [1.0, 2.0]]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_values_out_of_range_are_refused_with_name_and_range(name, option):
    for bad in bad_values(name, option):
        with pytest.raises(ValueError, match=rf"^{name}: {option} must be .+, got ") as refused:
            objectives.get(name, num_classes=K, **{option: bad})
        assert "\n" not in str(refused.value).partition(", got ")[0]


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("ordinal_cross_entropy", {"margin": 1.0}),
        ("label_smoothing", {"epsilon": 1.0}),
        ("sord", {"alpha": 0}),
        ("sord", {"blend": 1.5}),
        ("exponential_soft_labels", {"tau": 0}),
        ("exponential_soft_labels", {"power": 0}),
        ("poisson_soft_labels", {"offset": 0}),
        ("poisson_soft_labels", {"offset": 1.01}),
        ("triangular_soft_labels", {"alpha": 0.23}),
        ("geometric_soft_labels", {"alpha": 0.5}),
        ("binomial_unimodal", {"tau": 0}),
        ("gaussian_uncertainty", {"alpha": 1.5}),
        ("regression", {"error": "huber", "delta": 0}),
        ("mce_qwk", {"balance": 1.5}),
        ("soft_qwk", {"epsilon": 0}),
    ],
)
def test_the_edges_of_ranges(name, chosen):
    option = list(chosen)[-1]
    with pytest.raises(ValueError, match=f"{name}: {option} must be"):
        objectives.get(name, num_classes=K, **chosen)
    outputs, labels = jnp.zeros((2, objectives.get(name, num_classes=K).num_outputs)), jnp.zeros(2, jnp.int32)
    with pytest.raises(ValueError, match=f"{name}: {option} must be"):
        getattr(objectives, name)(outputs, labels, num_classes=K, **chosen)


def test_every_option_says_its_values():
    """No option is without a rule, so that none can be accepted unread."""
    for name, option in OPTIONS:
        objective = objectives.get(name, num_classes=K)
        stated = options.stated(objective.function) | options.stated(type(objective.family))
        assert option in stated, f"{name}: {option}"


def test_numbers_of_grades_that_are_none():
    for bad in (1, 0, 3.0, "3", None):
        with pytest.raises(ValueError, match="num_classes must be an integer of at least 2"):
            objectives.get("cross_entropy", num_classes=bad)


def example(name):
    objective = objectives.get(name, num_classes=K)
    outputs = np.sort(np.random.default_rng(0).normal(size=(6, objective.num_outputs))).astype(np.float32)
    return objective, outputs, np.arange(6) % K


@pytest.mark.parametrize("name", ["cross_entropy", "regression", "soft_qwk", "corn_per_question", "mce_qwk"])
def test_weights_that_are_none_are_refused(name):
    objective, outputs, labels = example(name)
    for bad in (-1.0, math.nan, math.inf):
        weights = np.array([1, 1, bad, 1, 1, 0], np.float32)
        with pytest.raises(ValueError, match="weights must be finite and not negative"):
            objective.loss(outputs, labels, weights)
        assert np.isnan(jax.jit(objective.loss)(outputs, labels, weights))  # where values are traced


def test_soft_labels_that_are_no_distributions_are_refused():
    for name in ("cross_entropy", "soft_qwk", "corn"):
        objective, outputs, labels = example(name)
        soft = np.eye(K, dtype=np.float32)[labels]
        for row in ([-1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [math.nan, 0, 0, 1]):
            wrong = soft.copy()
            wrong[2] = row
            with pytest.raises(ValueError, match="soft labels must be distributions"):
                objective.loss(outputs, wrong)
            assert np.isnan(jax.jit(objective.loss)(outputs, wrong))
            weights = np.array([1, 1, 0, 1, 1, 1])  # a row of weight 0 may hold anything
            assert objective.loss(outputs, wrong, weights) == objective.loss(outputs, soft, weights)


LOSSES = types.ModuleType("wrong_losses")
exec(
    """
import jax.numpy as jnp
from ordinal_blast import objectives

def column(logits, labels):
    return objectives.cross_entropy(logits, labels)[:, None]

def scalar(logits, labels):
    return objectives.cross_entropy(logits, labels).mean()

def table(logits, labels):
    return logits**2

def integers(logits, labels):
    return labels

def floats(logits, labels):
    return 1.0

def nothing(logits, labels):
    pass

def fails(logits, labels):
    return logits[labels.item()]

def one_argument(logits):
    return logits[:, 0]

def needs(logits, labels, *, scale):
    return scale * objectives.cross_entropy(logits, labels)

def annotated(logits: "Array", labels: "Array", *, scale: "Number" = 1) -> "Array":
    return scale * objectives.cross_entropy(logits, labels)

@objectives.objective(objectives.families.Cumulative)
def decorated(logits, labels):
    return objectives.binary_decomposition(logits, labels)[:, None]

@objectives.objective(batch_coupled=True)
def per_example(logits, labels, weights):
    return weights * objectives.cross_entropy(logits, labels)
""",
    LOSSES.__dict__,
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("column", r"column must return the loss of each example, floating-point \[B\] = \[6\], and returned float32 "),
        ("scalar", r"scalar must return the loss of each example, .* and returned float32 \[\]"),
        ("table", r"and returned float32 \[6, 3\]"),
        ("integers", r"and returned int32 \[6\]"),
        ("floats", "and returned 1.0"),
        ("nothing", "and returned None"),
        ("fails", r"fails fails for outputs \[B, 3\] and labels \[B\]: "),
        ("one_argument", "one_argument fails for outputs .*: TypeError: .* positional argument"),
        ("needs", "needs its option scale, which has no default"),
        ("decorated", r"decorated must return the loss of each example, floating-point \[B\] = \[5\], and returned "),
        ("per_example", r"per_example must return a floating-point scalar, and returned float32 \[6\]"),
    ],
)
def test_own_losses_of_another_shape_are_refused_at_binding(name, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "wrong_losses", LOSSES)
    with pytest.raises(ValueError, match=message):
        objectives.get(f"wrong_losses:{name}", num_classes=3)


def test_own_losses_that_are_right_are_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "wrong_losses", LOSSES)
    needs = objectives.get("wrong_losses:needs", num_classes=3, scale=2.0)
    logits, labels = jnp.array([[0.0, 1.0, 3.0]]), jnp.array([2])
    assert needs.loss(logits, labels) == 2 * objectives.cross_entropy(logits, labels)[0]
    assert objectives.get("wrong_losses:annotated", num_classes=3, scale=3).options == {"scale": 3}


def test_a_file_that_cannot_be_run_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_losses.py").write_text("def f(:\n")
    with pytest.raises(ValueError, match=r"cannot run .*broken_losses.py: SyntaxError"):
        objectives.get("broken_losses:f", num_classes=3)
    (tmp_path / "leaving_losses.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(ValueError, match=r"leaving_losses.*: SystemExit: 3"):
        objectives.get("leaving_losses:f", num_classes=3)
    with pytest.raises(ValueError, match=r"objective is no_such_module_here:f: ModuleNotFoundError"):
        objectives.get("no_such_module_here:f", num_classes=3)
    with pytest.raises(ValueError, match=r"objective is losses.py:f: there is no file .*losses.py"):
        objectives.get("losses.py:f", num_classes=3)


def test_a_loss_in_a_file_is_found_with_what_stands_beside_it(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/scales.py").write_text("SCALE = 3.0\n")
    (tmp_path / "mine/losses.py").write_text(
        "from scales import SCALE\nfrom ordinal_blast import objectives\n"
        "def scaled(logits, labels, *, power: float = 1.0):\n"
        "    return SCALE**power * objectives.cross_entropy(logits, labels)\n"
    )
    monkeypatch.chdir(tmp_path)
    scaled = objectives.get("mine/losses.py:scaled", num_classes=3, power=2.0)
    logits, labels = jnp.array([[0.0, 1.0, 3.0]]), jnp.array([2])
    np.testing.assert_allclose(scaled.loss(logits, labels), 9 * objectives.cross_entropy(logits, labels)[0], rtol=1e-6)
    assert scaled == objectives.get("mine/losses.py:scaled", num_classes=3, power=2.0)
    with pytest.raises(ValueError, match=r"has no scale to call; it has scaled$"):
        objectives.get("mine/losses.py:scale", num_classes=3)
