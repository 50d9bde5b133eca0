"""Random views of images, as pure functions of one key per example."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from ordinal_blast import parts
from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import list_of, number
from ordinal_blast.settings import AugmentSettings

View = Callable[[jax.Array, jax.Array], jax.Array]
"""view(keys `[B]`, images `[B, H, W, F]`): a random view of each image, of the same shape and dtype."""


@dataclasses.dataclass(frozen=True)
class Affine:
    """Random flip, rotation, shift and zoom, the same for an image and its mask.

    flip_horizontal, flip_vertical: with probability 1/2 each. rotation: up to ± degrees. shift: up to ± this share of
    the side. zoom: (low, high) magnification. Pixels from outside repeat the nearest edge. Raises UsageError for a
    zoom that has the higher magnification first.
    """

    flip_horizontal: bool = False
    flip_vertical: bool = False
    rotation: Annotated[float, number(least=0, most=180)] = 0.0
    shift: Annotated[float, number(least=0, most=1)] = 0.0
    zoom: Annotated[tuple[float, float], list_of(number(above=0), count=2)] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.zoom[0] > self.zoom[1]:
            raise UsageError(f"options.zoom is {self.zoom!r}: it takes the lower magnification first")

    def __call__(self, keys: jax.Array, images: jax.Array) -> jax.Array:
        """Images `[B, H, W, F]` of any dtype, one view for each of the keys `[B]`; dtype kept."""
        return jax.vmap(self._one)(keys, images)

    def _one(self, key: jax.Array, image: jax.Array) -> jax.Array:
        height, width, _ = image.shape
        angle_key, shift_key, zoom_key, flip_key = jax.random.split(key, 4)
        angle = jnp.deg2rad(self.rotation) * jax.random.uniform(angle_key, minval=-1.0, maxval=1.0)
        shift = self.shift * jax.random.uniform(shift_key, (2,), minval=-1.0, maxval=1.0)
        zoom = jax.random.uniform(zoom_key, minval=self.zoom[0], maxval=self.zoom[1])
        allowed = jnp.asarray([self.flip_vertical, self.flip_horizontal])
        sign = jnp.where(allowed & jax.random.bernoulli(flip_key, shape=(2,)), -1.0, 1.0)
        # Positions are measured from the centre in units of the side, so that height and width may differ.
        rows = (jnp.arange(height) + 0.5) / height - 0.5
        columns = (jnp.arange(width) + 0.5) / width - 0.5
        y, x = jnp.meshgrid(rows, columns, indexing="ij")
        y, x = sign[0] * y, sign[1] * x
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        y, x = (cosine * y - sine * x) / zoom - shift[0], (sine * y + cosine * x) / zoom - shift[1]
        moved = _bilinear(image.astype(jnp.float32), (y + 0.5) * height - 0.5, (x + 0.5) * width - 0.5)
        return jnp.round(moved).astype(image.dtype) if jnp.issubdtype(image.dtype, jnp.integer) else moved


def _bilinear(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """The image `[H, W, F]` at real positions `[H', W']` (pixel centres are integers), edges repeated: `[H', W', F]`.

    All planes of a pixel are fetched at once, which is several times faster than `map_coordinates` for each plane.
    """
    height, width, planes = image.shape
    pixels = image.reshape(-1, planes)
    rows, columns = jnp.clip(rows, 0, height - 1), jnp.clip(columns, 0, width - 1)
    top, left = jnp.floor(rows), jnp.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]

    def at(row: jax.Array, column: jax.Array) -> jax.Array:
        row, column = jnp.minimum(row, height - 1), jnp.minimum(column, width - 1)
        return pixels.at[(row * width + column).astype(jnp.int32)].get(mode="promise_in_bounds")

    above = (1 - right) * at(top, left) + right * at(top, left + 1)
    below = (1 - right) * at(top + 1, left) + right * at(top + 1, left + 1)
    return (1 - down) * above + down * below


@dataclasses.dataclass(frozen=True)
class Quarter:
    """Random flips and rotations by quarter turns: exact, and cheap; UsageError unless images are square."""

    def __call__(self, keys: jax.Array, images: jax.Array) -> jax.Array:
        """Images `[B, S, S, F]`, one of the eight views for each of the keys `[B]`; dtype kept."""

        if images.shape[1] != images.shape[2]:
            raise UsageError(
                f"augment.name is quarter, but the images are {images.shape[1]}×{images.shape[2]} pixels: "
                "quarter turns take square ones"
            )

        def one(key: jax.Array, image: jax.Array) -> jax.Array:
            transpose, vertical, horizontal = jax.random.bernoulli(key, shape=(3,))
            image = jnp.where(transpose, image.swapaxes(0, 1), image)
            image = jnp.where(vertical, image[::-1], image)
            return jnp.where(horizontal, image[:, ::-1], image)

        return jax.vmap(one)(keys, images)


def make(settings: AugmentSettings, where: str) -> View | None:
    """The view of the section `where`, None for "none"; raises UsageError for a name or options that cannot be.

    One of your own is a function `(keys, images, **options)`, or a class whose hashable instances are called as
    `view(keys, images)`.
    """
    part = parts.find(f"{where}.name", settings.name, VIEWS)
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.options.items()}
    parts.check_options(part, options, f"{where}.options", *(() if inspect.isclass(part) else (None, None)))
    if part is none:
        return None
    if not parts.is_outside(settings.name):
        try:
            return part(**options)
        except UsageError as error:
            raise UsageError(f"{where}.{error}") from error
    with parts.blamed(f"{where} is {settings.name}"):
        view = part(**options) if inspect.isclass(part) else parts.Bound(part, options)
        hash(view)  # equal views share one compiled step
    return _Own(view, settings.name)


def none(keys: jax.Array, images: jax.Array) -> jax.Array:
    """The images as they are."""
    del keys
    return images


@dataclasses.dataclass(frozen=True)
class _Own:
    """A view of one's own; raises UsageError for what it raises, and unless it keeps the shape and dtype."""

    view: View
    name: str

    def __call__(self, keys: jax.Array, images: jax.Array) -> jax.Array:
        with parts.blamed(self.name):
            seen = self.view(keys, images)
        if getattr(seen, "shape", None) != images.shape or seen.dtype != images.dtype:
            of = f"{seen.dtype} {list(seen.shape)}" if hasattr(seen, "shape") else f"a {type(seen).__name__}"
            raise UsageError(f"{self.name} gives {of} of {images.dtype} {list(images.shape)}: it has to keep both")
        return seen


VIEWS: Mapping[str, Callable[..., Any]] = {"affine": Affine, "none": none, "quarter": Quarter}
