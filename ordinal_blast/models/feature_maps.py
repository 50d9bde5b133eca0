"""What a network of images has inside: feature maps through its depth, and Grad-CAM, where a score's evidence lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

Outputs = Mapping[str, jax.Array]


class FeatureMap(nn.Module):
    """Marks a feature map: `[B, h, w, C]` as it is, without parameters."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return x."""
        return x


def observed(
    model: nn.Module, variables: Mapping[str, Any], x: jax.Array, shifts: Mapping[str, jax.Array] | None = None
) -> tuple[Any, dict[str, jax.Array]]:
    """What a Linen model says of x in evaluation, and its feature maps `[B, h, w, C]` by path, in order of computation.

    The maps are the outputs of `FeatureMap`s, or where there are none, of all its modules that give some. shifts: what
    is added to the map of a path, for gradients.
    """
    maps: dict[str, jax.Array] = {}
    marked: list[str] = []

    def look(
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: Mapping[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        y = call(*arguments, **options)
        is_map = getattr(y, "ndim", 0) == 4 and len(y) == len(x) and jnp.issubdtype(y.dtype, jnp.floating)
        if context.method_name != "__call__" or not is_map:
            return y
        path = "/".join(context.module.path)
        if shifts and path in shifts:
            y = y + shifts[path]
        maps[path] = y
        marked.extend([path] * isinstance(context.module, FeatureMap))
        return y

    with nn.intercept_methods(look):
        outputs = model.apply(variables, x, train=False)
    return outputs, {path: maps[path] for path in marked} or maps


def grad_cam(
    model: nn.Module,
    variables: Mapping[str, Any],
    x: jax.Array,
    layer: str,
    scores: Callable[[Any], Mapping[str, jax.Array]],
) -> dict[str, jax.Array]:
    """Where in a feature map the evidence for scores lies, by their names, float32 `[B, h, w]`, 0 or more.

    L = ReLU(Σ_k α_k A^k) with α_k = mean over positions of ∂score / ∂A^k, A the map of the path `layer` (Selvaraju et
    al., 2017, equations 1 and 2). scores: of the outputs, each `[B]`, one an example.
    """
    shape = jax.eval_shape(lambda: observed(model, variables, x)[1][layer])

    def shifted(shift: jax.Array) -> tuple[Mapping[str, jax.Array], jax.Array]:
        outputs, maps = observed(model, variables, x, {layer: shift})
        return {name: score.sum() for name, score in scores(outputs).items()}, maps[layer]

    totals, pull, activation = jax.vjp(shifted, jnp.zeros(shape.shape, shape.dtype), has_aux=True)
    named = {}
    for name in totals:
        (gradient,) = pull({other: jnp.full_like(total, other == name) for other, total in totals.items()})
        named[name] = evidence(activation.astype(jnp.float32), gradient.astype(jnp.float32))
    return named


def evidence(activation: jax.Array, gradient: jax.Array) -> jax.Array:
    """ReLU(Σ_k α_k A^k), α_k the mean of the gradient over positions; both `[B, h, w, C]`, to `[B, h, w]`."""
    return nn.relu(jnp.einsum("bhwc,bc->bhw", activation, gradient.mean(axis=(1, 2))))


def first_kernel(model: nn.Module, variables: Mapping[str, Any], x: jax.Array) -> jax.Array | None:
    """The filters `[k, k, C, F]` of the first convolution that is computed; None where no module has such a kernel."""
    kernels: list[jax.Array] = []

    def look(
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: Mapping[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        kernel = context.module.variables.get("params", {}).get("kernel")
        if context.method_name == "__call__" and getattr(kernel, "ndim", 0) == 4:
            kernels.append(kernel)
        return call(*arguments, **options)

    def trace(x: jax.Array) -> None:
        with nn.intercept_methods(look):
            model.apply(variables, x, train=False)

    jax.eval_shape(trace, x)  # the order is all that is asked for
    return kernels[0] if kernels else None
