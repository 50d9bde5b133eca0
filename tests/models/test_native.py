"""The compiled kernels against the pure form, on every width of vectors that this processor has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.errors import UsageError
from ordinal_blast.models import UNet, Xception, evaluated, native
from ordinal_blast.models.convolution import conv
from ordinal_blast.models.depthwise import depthwise_conv
from ordinal_blast.models.pooling import max_pool

compiled = pytest.mark.skipif(not native.available(), reason="installed without its native kernels")
WIDTHS = [bits for bits in (128, 256, 512) if bits <= native.vector_bits()] or [128]
SMALL = Xception(stem=(3, 4), entry=(5,), middle=1, exit=(5, 6, 7, 8), stem_stride=1)
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), np.uint8)


def drawn(*shape):
    return jnp.float32(np.random.default_rng(sum(shape)).normal(size=shape))


def case(shape, features, size, filtered):
    channels = shape[-1]
    kernel = drawn(*((1, 1) if filtered else (size, size)), channels, features)
    norm = drawn(features), 1 + drawn(features), drawn(features) / 2
    return drawn(*shape), drawn(3, 3, 1, channels) if filtered else None, kernel, norm


@compiled
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize(
    ("shape", "features", "size", "options"),
    [
        ((1, 1, 1, 1), 1, "filtered", {}),
        ((2, 2, 5, 3), 5, "filtered", {"before": True}),
        ((3, 5, 2, 16), 32, "filtered", {"after": True}),
        ((2, 9, 11, 33), 70, "filtered", {"before": True, "after": True}),
        ((1, 21, 20, 300), 65, "filtered", {}),  # several blocks of channels
        ((1, 40, 41, 8), 33, "filtered", {"before": True}),  # several blocks of positions
        ((2, 6, 7, 20), 40, 1, {"stride": 2}),
        ((2, 11, 9, 3), 33, 3, {"stride": 2, "padding": "VALID", "after": True}),
        ((1, 12, 13, 40), 31, 3, {"before": True}),
        ((1, 3, 3, 2), 4, 5, {}),  # a window that is larger than the map
        ((0, 4, 4, 3), 5, 1, {}),
    ],
)
def test_products_are_those_of_the_pure_form(bits, shape, features, size, options):
    arguments = case(shape, features, size, size == "filtered")
    expected = evaluated.product(*arguments, **options)
    got = native.product(*arguments, bits=bits, **options)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(initial=1))
    residual = drawn(*expected.shape)
    expected = evaluated.product(*arguments, residual, **options)
    got = native.product(*arguments, residual, bits=bits, **options)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(initial=1))


@compiled
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (2, 3, 5, 4), (3, 17, 6, 24), (2, 1, 9, 33), (1, 30, 1, 16), (0, 4, 4, 2)]
)
def test_filters_and_their_gradients_are_those_of_the_grouped_convolution(bits, shape):
    x, kernel, cotangent = drawn(*shape), drawn(3, 3, 1, shape[-1]), drawn(*shape) + 1
    y, pull = jax.vjp(lambda x, kernel: depthwise_conv(x, kernel, form="grouped"), x, kernel)
    got = (
        native.depthwise(x, kernel, bits=bits),
        native.depthwise(cotangent, kernel, turned=True, bits=bits),
        native.depthwise_gradient(x, cotangent, bits=bits),
    )
    for one, expected in zip(got, (y, *pull(cotangent)), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(initial=1))


def dense(x, kernel, bias, stride, pads, bits):
    """Values, the gradient of the map, those of the kernel and of the bias, for one cotangent, by kernels."""
    size, how = kernel.shape[:2], {"stride": stride, "pads": pads, "bits": bits}
    y = native.dense(x, kernel, bias, **how)
    cotangent = drawn(*y.shape) + 1
    by_kernel, by_bias = native.dense_kernel_gradient(x, cotangent, size, **how)
    return cotangent, (y, native.dense_map_gradient(cotangent, kernel, x.shape[1:3], **how), by_kernel, by_bias)


def by_xla(x, kernel, bias, stride, pads, cotangent):
    """The same by XLA in float64."""
    numbers = ("NHWC", "HWIO", "NHWC")

    def compute(x, kernel, bias):
        return jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), pads, dimension_numbers=numbers
        ) + bias.reshape(1, 1, 1, -1)

    with jax.enable_x64(True):
        y, pull = jax.vjp(compute, *(jnp.asarray(a, jnp.float64) for a in (x, kernel, bias)))
        return y, *pull(jnp.asarray(cotangent, jnp.float64))


@compiled
@pytest.mark.parametrize(
    ("shape", "window", "features", "stride", "pads"),
    [
        ((1, 1, 1, 1), (3, 3), 1, 1, ((1, 1), (1, 1))),
        ((2, 5, 7, 3), (3, 3), 16, 1, ((1, 1), (1, 1))),
        ((3, 8, 6, 5), (2, 2), 33, 1, ((0, 1), (0, 1))),
        ((1, 17, 15, 16), (3, 3), 64, 1, ((0, 0), (0, 0))),
        ((2, 6, 9, 33), (3, 2), 5, 2, ((1, 0), (0, 1))),
        ((1, 7, 20, 64), (1, 1), 3, 1, ((0, 0), (0, 0))),
        ((2, 5, 5, 4), (1, 1), 6, 3, ((0, 0), (0, 0))),  # positions that no window sees
        ((1, 3, 2, 2), (5, 5), 4, 1, ((2, 2), (2, 2))),  # a window that is larger than the map
        ((1, 9, 8, 3), (3, 3), 7, 3, ((2, 3), (1, 4))),  # more padding than a window needs
        ((2, 150, 40, 3), (3, 3), 2, 1, ((1, 1), (1, 1))),  # several blocks of rows
        ((1, 4, 600, 70), (3, 3), 2, 1, ((1, 1), (1, 1))),  # a row alone exceeds a block
    ],
)
def test_dense_convolutions_and_their_gradients_are_those_of_xla_in_float64(shape, window, features, stride, pads):
    x, kernel, bias = drawn(*shape), drawn(*window, shape[-1], features), drawn(features)
    exact = None
    for bits in WIDTHS:
        cotangent, got = dense(x, kernel, bias, stride, pads, bits)
        exact = by_xla(x, kernel, bias, stride, pads, cotangent) if exact is None else exact
        for one, expected in zip(got, exact, strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-5, atol=3e-6 * np.abs(expected).max())


@compiled
def test_no_images_leave_gradients_of_nothing():
    x, kernel, bias = drawn(0, 4, 4, 2), drawn(3, 3, 2, 5), drawn(5)
    _, (y, by_x, by_kernel, by_bias) = dense(x, kernel, bias, 1, ((1, 1), (1, 1)), 0)
    assert (y.shape, by_x.shape) == ((0, 4, 4, 5), (0, 4, 4, 2))
    assert not by_kernel.any()
    assert not by_bias.any()


@compiled
@pytest.mark.parametrize("bits", WIDTHS)
def test_what_is_no_number_reaches_what_sees_it_and_nothing_else(bits):
    pads = ((1, 1), (1, 1))
    x, kernel, bias = drawn(2, 6, 19, 5), drawn(3, 3, 5, 19), drawn(19)
    spoilt = {
        "x": (x.at[0, 0, 0, 4].set(jnp.inf).at[1, 5, 18, 0].set(jnp.nan), kernel),
        "kernel": (x, kernel.at[0, 0, 4, 18].set(jnp.inf)),
    }
    for broken in spoilt.values():
        cotangent, got = dense(*broken, bias, 1, pads, bits)
        for one, expected in zip(got, by_xla(*broken, bias, 1, pads, cotangent), strict=True):
            np.testing.assert_array_equal(np.isfinite(one), np.isfinite(expected))
    large = 2.0**100  # of which every product is exact
    np.testing.assert_array_equal(
        native.dense(large * x, kernel, pads=pads, bits=bits), large * native.dense(x, kernel, pads=pads, bits=bits)
    )


@compiled
def test_a_dense_convolution_is_the_same_under_vmap_remat_pmap_and_of_a_transposed_map():
    x, kernel, bias = drawn(4, 5, 6, 3), drawn(3, 3, 3, 7), drawn(7)

    def total(kernel, x):
        return jnp.square(conv(x, kernel, bias, form="native")).mean((1, 2, 3)).sum()

    expected = jax.grad(total)(kernel, x)
    np.testing.assert_array_equal(jax.jit(jax.grad(jax.checkpoint(total)))(kernel, x), expected)
    turned = jnp.asarray(x.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(jax.jit(jax.grad(total))(kernel, turned), expected)
    parts = x[:, None]
    for spread in (jax.vmap, jax.pmap):
        gradients = spread(jax.grad(total), in_axes=(None, 0))(kernel, parts)
        np.testing.assert_allclose(gradients.sum(0), expected, rtol=1e-5, atol=1e-6)


@compiled
@pytest.mark.parametrize(
    "layer",
    [
        lambda x, form: conv(x, drawn(3, 3, 3, 4), form="xla" if form == "pure" else form),
        lambda x, form: depthwise_conv(x, drawn(3, 3, 1, 3), form="grouped" if form == "pure" else form),
        lambda x, form: max_pool(x, form="shifted" if form == "pure" else form),
    ],
)
def test_a_second_derivative_is_refused_in_a_sentence_and_is_there_in_another_form(layer):
    def of_gradient(x, form):
        return jnp.square(jax.grad(lambda x: jnp.square(layer(x, form)).sum())(x)).sum()

    with pytest.raises(NotImplementedError, match="compiled kernels have a first derivative alone: for a second one"):
        jax.grad(of_gradient)(drawn(1, 4, 4, 3), "native")
    # Of a quadratic form, x · ∇ is twice the value.
    x = drawn(1, 4, 4, 3)
    value, gradient = jax.value_and_grad(of_gradient)(x, "pure")
    np.testing.assert_allclose((x * gradient).sum(), 2 * value, rtol=1e-5)


@compiled
def test_maps_and_kernels_that_do_not_fit_are_refused():
    with pytest.raises(Exception, match=r"kernels \[k, k, C, D\]"):
        native.dense(drawn(1, 4, 4, 3), drawn(3, 3, 2, 5))
    with pytest.raises(Exception, match=r"the bias is \[D\]"):
        native.dense(drawn(1, 4, 4, 3), drawn(3, 3, 3, 5), drawn(4))
    with pytest.raises(Exception, match="no vectors of that width"):
        native.dense(drawn(1, 4, 4, 3), drawn(3, 3, 3, 5), bits=1024)


@pytest.mark.parametrize("option", ["dense", "depthwise"])
def test_kernels_are_refused_where_there_are_none_in_a_sentence(option):
    for network in (SMALL, UNet()) if option == "dense" else (SMALL,):
        with pytest.raises(ValueError, match=rf'{option} "native" is for float32 .* use "auto"'):
            network.clone(**{option: "native"}, dtype=jnp.bfloat16)


@compiled
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 8, 17), (1, 8, 7, 32), (1, 6, 6, 3), (0, 4, 4, 2)])
def test_pooling_is_that_of_the_pure_form(bits, shape):
    x = drawn(*shape)
    residual = drawn(shape[0], -(-shape[1] // 2), -(-shape[2] // 2), shape[3])
    np.testing.assert_array_equal(native.pool(x, residual, bits=bits), evaluated.pool(x, residual))


@compiled
@pytest.mark.parametrize("bits", WIDTHS)
def test_what_is_no_number_stays_none_where_the_pure_form_has_it(bits):
    x, taps, kernel, norm = case((2, 6, 7, 20), 40, 1, True)
    x = x.at[0, 2, 3, 4].set(np.nan).at[1, 0, 0, 17].set(np.inf).at[1, 5, 6, 0].set(-np.inf)
    for broken in ((x, taps), (drawn(*x.shape), taps.at[0, 0, 0, 3].set(np.nan))):
        for before in (False, True):
            expected = evaluated.product(*broken, kernel, norm, before=before)
            got = native.product(*broken, kernel, norm, before=before, bits=bits)
            np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))
            assert not np.isfinite(expected).all()
    residual = drawn(2, 3, 4, 20)
    np.testing.assert_array_equal(native.pool(x, residual, bits=bits), evaluated.pool(x, residual))


@compiled
def test_a_width_that_no_processor_has_and_weights_that_do_not_fit_are_refused():
    x, taps, kernel, norm = case((1, 4, 4, 3), 5, 1, True)
    with pytest.raises(Exception, match="no vectors of that width"):
        native.product(x, taps, kernel, norm, bits=1024)
    with pytest.raises(Exception, match=r"mean, factor and bias are \[D\]"):
        native.product(x, taps, kernel, (norm[0], norm[1], norm[2][:-1]))


@compiled
def test_a_network_and_its_gradients_are_those_of_the_pure_form(plain):
    variables = plain.as_float32(plain.randomise(SMALL, PIXELS, 1))
    images = jnp.float32(PIXELS) / 127.5 - 1

    def total(variables, x, inference):
        return jnp.sin(SMALL.clone(inference=inference).apply(variables, x, train=False)).sum()

    for argument in (0, 1):
        values, gradients = zip(
            *(
                jax.jit(jax.value_and_grad(lambda *a, i=i: total(*a, i), argument))(variables, images)
                for i in ("native", "xla")
            ),
            strict=True,
        )
        np.testing.assert_allclose(*values, rtol=1e-5)
        for ours, pure in zip(*map(jax.tree.leaves, gradients), strict=True):
            np.testing.assert_allclose(ours, pure, rtol=1e-4, atol=1e-5)


@compiled
def test_a_network_is_the_same_under_vmap_and_on_several_devices(plain):
    network = SMALL.clone(inference="native")
    variables = plain.as_float32(plain.randomise(network, PIXELS, 1))
    images = np.stack([PIXELS[:2], PIXELS[1:]])
    expected = [network.apply(variables, part, train=False) for part in images]
    evaluate = lambda x: network.apply(variables, x, train=False)  # noqa: E731
    np.testing.assert_allclose(jax.vmap(evaluate)(images), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.pmap(evaluate)(images), expected, rtol=1e-5, atol=1e-6)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), variables)
    both = jax.vmap(lambda v: network.apply(v, PIXELS, train=False))(stacked)
    twice = network.apply(jax.tree.map(lambda leaf: 2 * leaf, variables), PIXELS, train=False)
    np.testing.assert_allclose(both[1], twice, rtol=1e-5, atol=1e-6)


def test_what_cannot_evaluate_is_refused_in_a_sentence():
    with pytest.raises(UsageError, match=r"options.inference is 'fast': it takes one of 'auto', 'native', 'xla'"):
        SMALL.clone(inference="fast")
    with pytest.raises(ValueError, match=r'inference "native" is for float32 .* use "auto"'):
        SMALL.clone(inference="native", dtype=jnp.bfloat16)


def test_kernels_compute_where_they_can_unless_another_form_is_asked_for(monkeypatch):
    assert evaluated.resolve_inference("auto", jnp.bfloat16) == "xla"
    monkeypatch.setattr(native, "available", lambda: True)
    assert evaluated.resolve_inference("auto", jnp.float32) == "native"
    assert evaluated.resolve_inference("xla", jnp.float32) == "xla"
    monkeypatch.setattr(native, "available", lambda: False)
    assert evaluated.resolve_inference("auto", jnp.float32) == "xla"
    with pytest.raises(ValueError, match="C\\+\\+ compiler"):
        evaluated.resolve_inference("native", jnp.float32)


def test_an_image_is_evaluated_as_if_it_were_alone(plain):
    network = SMALL.clone(inference="xla")
    variables = plain.as_float32(plain.randomise(network, PIXELS, 1))
    alone = [network.apply(variables, PIXELS[i : i + 1], train=False)[0] for i in range(3)]
    np.testing.assert_allclose(network.apply(variables, PIXELS, train=False), np.stack(alone), rtol=1e-5, atol=1e-6)
