"""Networks by name: what they are given, what they say they read, and what is refused in one line."""

import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.errors import UsageError
from ordinal_blast.models import LSTM, MLP, GradingNetwork, Xception, networks
from ordinal_blast.objectives import get
from ordinal_blast.settings import NetworkSettings
from ordinal_blast.types import AXIS

PIXELS = np.array([[[[0, 51, 255]]], [[[255, 0, 102]]]], np.uint8)

NETS = """
    import flax.linen as nn
    import jax.numpy as jnp
    from flax import nnx


    class Flag(nn.Module):
        "Its inputs, and whether it trains as 1 or 0."
        reads = "numbers"

        def __call__(self, x, train):
            return _told(x, train)


    class Training(nn.Module):
        def __call__(self, x, *, training):
            return _told(x, training)


    class Deterministic(nn.Module):
        def __call__(self, x, deterministic=True):
            return _told(x, not deterministic)


    class Plain(nn.Module):
        def __call__(self, x):
            return _told(x, False)


    class Ours(nn.Module):
        widths: tuple[int, ...] = ()
        dtype: jnp.dtype = jnp.float32
        axis_name: str | None = None

        def __call__(self, x, *, train, keys=None, mask=None):
            return x


    class OfNNX(nnx.Module):
        reads = "images"

        def __init__(self, units: int = 2):
            self.units = units

        def __call__(self, x, training: bool = False):
            return _told(x, training)


    class Layers(nnx.Module):
        def __init__(self, *, rngs):
            self.norm = nnx.BatchNorm(5, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.dropout(self.norm(x))


    def make_flag(reads: str = "") -> nn.Module:
        return Flag()


    def make_number():
        return 3


    def _told(x, train):
        return jnp.concatenate([x.reshape(len(x), -1), jnp.full((len(x), 1), float(train))], axis=1)


    class Odd(nn.Module):
        reads = "pictures"

        def __call__(self, x, train):
            raise RuntimeError("no\\nway")


    class Positions(nn.Module):
        def __call__(self, x, train):
            return x


    class Pair(nn.Module):
        def __call__(self, x, train):
            return x, x
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    path = tmp_path_factory.mktemp("anywhere") / "nets.py"
    path.write_text(textwrap.dedent(NETS))
    return path


def make(name, **options):
    return networks.make(NetworkSettings(name, options), "cnn.network")


def test_a_network_of_the_package_is_made_of_its_name_and_options():
    assert make("mlp", widths=[8, 4], dropout=0.1) == MLP(widths=(8, 4), dropout=0.1, axis_name=AXIS)
    assert make("lstm", units=5, dtype="bfloat16") == LSTM(units=5, dtype=jnp.bfloat16)
    assert make("xception", dtype="auto").dtype == jnp.float32  # on a CPU
    assert hash(make("xception", entry=[8])) == hash(Xception(entry=(8,), axis_name=AXIS))


@pytest.mark.parametrize(
    ("name", "column"), [("xception", "images"), ("lstm", "sequences"), ("mlp", "numbers"), ("unet", "images")]
)
def test_networks_of_the_package_say_what_they_read(name, column):
    assert networks.reads(NetworkSettings(name)) == column


def test_a_network_of_ones_own_says_what_it_reads_or_nothing(nets):
    said = {name: networks.reads(NetworkSettings(f"{nets}:{name}")) for name in ("Flag", "OfNNX", "Plain")}
    assert said == {"Flag": "numbers", "OfNNX": "images", "Plain": ""}
    with pytest.raises(UsageError, match=r"nets.py:Odd.reads is 'pictures': it takes one of '', 'images', 'clips'"):
        networks.reads(NetworkSettings(f"{nets}:Odd"))


@pytest.mark.parametrize("name", ["Flag", "Training", "Deterministic", "OfNNX", "make_flag"])
def test_the_flag_is_passed_under_the_name_that_the_module_has_for_it(nets, name):
    module = make(f"{nets}:{name}")
    assert hash(module) == hash(make(f"{nets}:{name}"))
    variables = module.init(jax.random.key(0), PIXELS, train=False)
    for train in (True, False):
        # Alone, without devices, as a plain call of Linen.
        told = module.clone(axis_name=None).apply(variables, PIXELS, train=train, rngs={"params": jax.random.key(0)})
        np.testing.assert_allclose(told[0], [-1, 51 / 127.5 - 1, 1, float(train)], rtol=1e-6)


def test_a_module_of_nnx_draws_and_takes_the_statistics_of_the_batch_in_training_alone(nets):
    module = make(f"{nets}:Layers").clone(axis_name=None)
    x = np.random.default_rng(0).normal(3, 2, (64, 5)).astype(np.float32)
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    variables = module.init(rngs, x, train=False)
    still = module.apply(variables, x, train=False)
    np.testing.assert_allclose(still, x, rtol=1e-4)  # running mean 0, variance 1, nothing dropped
    trained, _ = module.apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])
    whole = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    dropped = np.asarray(trained == 0)
    assert 0.3 < dropped.mean() < 0.7
    np.testing.assert_allclose(trained[~dropped], 2 * whole[~dropped], rtol=1e-3, atol=1e-4)


def test_a_module_without_a_flag_is_called_without_one(nets):
    told = make(f"{nets}:Plain").apply({}, PIXELS, train=True)
    np.testing.assert_allclose(told[1], [1, -1, 102 / 127.5 - 1, 0], rtol=1e-6)


def test_a_module_that_is_called_as_ours_are_gets_what_ours_get(nets):
    module = make(f"{nets}:Ours", widths=[1], dtype="bfloat16")
    assert (module.widths, module.dtype, module.axis_name) == ((1,), jnp.bfloat16, AXIS)
    assert module.apply({}, PIXELS, train=True).dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "xcepton",
            {},
            r"^cnn\.network\.name is 'xcepton' \(did you mean xception\?\): there are attention, frames, l",
        ),
        ("xception", {"midle": 2}, r"^cnn\.network\.options has no midle: it takes middle"),
        ("xception", {"middle": -1}, r"^cnn\.network\.options\.middle is -1: it takes a whole number from 0 on$"),
        (
            "mlp",
            {"widths": [8, 0]},
            r"^cnn\.network\.options\.widths is \(8, 0\): it takes values, each a whole number",
        ),
        ("mlp", {"activation": "swish"}, r"^cnn\.network\.options\.activation is 'swish': it takes one of 'elu'"),
        ("lstm", {"dtype": "half"}, r"^cnn\.network\.options\.dtype is 'half': it takes one of 'auto', 'float32'"),
        ("mlp", {"axis_name": "batch"}, r"^cnn\.network\.options has no axis_name: training gives it$"),
        ("{}:OfNNX", {"width": 2}, r"^cnn\.network\.options has no width: it takes units$"),
        ("{}:OfNNX", {"units": "two"}, r"^cnn\.network\.options\.units is 'two': it takes a whole number$"),
        ("{}:make_number", {}, r"^cnn\.network is .*:make_number: TypeError: it gives int, no Flax module$"),
        ("{}:Ours", {"widths": {"a": [1]}}, r"^cnn\.network\.options\.widths is .*: it takes values, each a whole"),
    ],
)
def test_a_network_that_cannot_be_is_refused_in_one_line(nets, name, options, message):
    with pytest.raises(UsageError, match=message) as refused:
        make(name.format(nets), **options)
    assert "\n" not in str(refused.value)


def test_what_a_module_raises_when_called_is_one_line(nets):
    with pytest.raises(UsageError, match=r"^Odd: RuntimeError: no way"):
        make(f"{nets}:Odd").apply({}, PIXELS, train=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [("Positions", r"gives float32 \[2, 1, 1, 3\] for 2 examples"), ("Pair", r"gives a tuple for 2 examples")],
)
def test_features_that_are_no_matrix_are_refused_in_one_line(nets, name, said):
    model = GradingNetwork(make(f"{nets}:{name}"), (("grade", get("corn", num_classes=3)),))
    with pytest.raises(UsageError, match=rf"^the network {said}: it has to give features \[B, D\]"):
        model.init(jax.random.key(0), PIXELS, train=False)
