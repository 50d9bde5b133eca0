import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.errors import UsageError
from ordinal_blast.models import Xception, count_parameters

SMALL = Xception(stem=(3, 4), entry=(5,), middle=1, exit=(5, 6, 7, 8), stem_stride=1)
XLA = {"dense": "xla", "depthwise": "grouped", "pooling": "windowed"}
SHIFTED = {"dense": "patches", "depthwise": "shifted", "pooling": "shifted"}
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), np.uint8)


def shapes(model, *image):
    return jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, *image)), train=False))


def test_the_defaults_are_the_published_network():
    variables = shapes(Xception(), 224, 224, 3)
    assert count_parameters(variables) == (20_806_952, 20_861_480)
    features = jax.eval_shape(
        lambda v, x: Xception().apply(v, x, train=False),
        variables,
        jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.uint8),
    )
    assert (features.shape, features.dtype) == ((2, 2048), jnp.float32)
    separable = [name for name in variables["params"] if "sepconv" in name and not name.endswith("_bn")]
    shortcuts = {name for name in variables["params"] if name.endswith("_shortcut")}
    assert len(separable) == 34
    assert shortcuts == {f"block{block}_shortcut" for block in (2, 3, 4, 13)}
    assert variables["params"]["block14_sepconv2"]["pointwise_kernel"].shape == (1, 1, 1536, 2048)


def test_a_small_network_has_the_size_its_docstring_says():
    model = Xception(stem=(16, 32), stem_stride=1, entry=(48, 96), middle=2, exit=(96, 128, 128, 128))
    assert count_parameters(shapes(model, 28, 28, 3))[0] == 165_264


def test_both_forms_are_the_architecture_written_out_in_numpy(plain):
    variables = plain.randomise(SMALL, PIXELS, 1)
    params, stats = variables["params"], variables["batch_stats"]

    def norm(x, name):
        return plain.batch_norm(x, params[f"{name}_bn"], stats[f"{name}_bn"])

    def sep(x, name):
        filtered = plain.depthwise(x, params[name]["depthwise_kernel"])
        return norm(plain.conv(filtered, params[name]["pointwise_kernel"]), name)

    def shortcut(x, name):
        return norm(plain.conv(x, params[name]["kernel"], 2), name)

    relu = plain.relu
    x = relu(norm(plain.conv(PIXELS / 127.5 - 1, params["block1_conv1"]["kernel"], 1, "VALID"), "block1_conv1"))
    x = relu(norm(plain.conv(x, params["block1_conv2"]["kernel"], 1, "VALID"), "block1_conv2"))
    # The published network has no ReLU at the head of block 2, which follows one directly.
    y = sep(relu(sep(x, "block2_sepconv1")), "block2_sepconv2")
    x = plain.max_pool(y) + shortcut(x, "block2_shortcut")
    y = sep(relu(sep(relu(sep(relu(x), "block3_sepconv1")), "block3_sepconv2")), "block3_sepconv3")
    x = x + y
    y = sep(relu(sep(relu(x), "block4_sepconv1")), "block4_sepconv2")
    x = plain.max_pool(y) + shortcut(x, "block4_shortcut")
    x = relu(sep(relu(sep(x, "block5_sepconv1")), "block5_sepconv2"))

    for forms in (XLA, SHIFTED):
        model = SMALL.clone(**forms)
        got = jax.jit(lambda v, model=model: model.apply(v, PIXELS, train=False))(plain.as_float32(variables))
        np.testing.assert_allclose(got, x.mean((1, 2)), rtol=1e-4, atol=1e-5)


def test_bfloat16_computes_with_float32_parameters():
    half = SMALL.clone(dtype=jnp.bfloat16)
    variables = shapes(half, 20, 20, 3)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    features = jax.eval_shape(lambda v: half.apply(v, PIXELS, train=False), variables)
    assert (features.shape, features.dtype) == ((3, 8), jnp.bfloat16)


@pytest.mark.parametrize("option", SHIFTED)
def test_an_unknown_form_is_refused(option):
    with pytest.raises(UsageError, match="'fast'"):
        Xception(**{option: "fast"})


def test_computing_blocks_again_for_the_gradient_changes_neither_it_nor_the_statistics():
    variables = jax.jit(lambda: SMALL.init(jax.random.key(0), PIXELS, train=False))()

    def of(model):
        def loss(params):
            both = {"params": params, "batch_stats": variables["batch_stats"]}
            y, updates = model.apply(both, PIXELS, train=True, mutable=["batch_stats"])
            return jnp.square(y).sum(), (y, updates)

        return jax.jit(jax.grad(loss, has_aux=True))

    kept, again = (of(SMALL.clone(remat=remat)) for remat in (False, True))
    for a, b in zip(*(jax.tree.leaves(f(variables["params"])) for f in (kept, again)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(a).max())
    checkpoints = [str(jax.make_jaxpr(f)(variables["params"])).count("remat2[") for f in (kept, again)]
    assert checkpoints == [0, 5]  # the stem, an entry block, one in the middle and the last two
