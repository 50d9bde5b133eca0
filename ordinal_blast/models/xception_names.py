"""What Keras and timm call the layers of Xception, in the names and layouts of the network here.

A place is the name of a layer here, of one of its arrays, and the order of the stored axes that makes its layout.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

TIMM_EPSILON, KERAS_EPSILON = 1e-5, 1e-3  # of their batch normalisation
_NORM = ("scale", "bias", "mean", "var")  # in the order in which Keras has them
_OF_TIMM = dict(zip(("weight", "bias", "running_mean", "running_var"), _NORM, strict=True))
_HWIO = (2, 3, 1, 0)  # of OIHW
_AUTOMATIC = re.compile(r"(?:conv2d|convolution2d|separable_?conv2d|batch_?normalization(?:_v1)?)(?:_(\d+))?")
_HERE = re.compile(r"block(\d+)_(conv|sepconv|shortcut)(\d*)(_bn)?")
_KINDS = {(4, 4): "separable", (4,): "plain", (1, 1, 1, 1): "norm", (2, 1): "dense", (2,): "dense"}  # by axes


class Place(NamedTuple):
    """Where an array of a file belongs; no axes: as it is."""

    layer: str
    array: str
    axes: tuple[int, ...] = ()


def is_timm(names: Collection[str]) -> bool:
    """Whether names are those of timm's `legacy_xception` (once `xception`)."""
    return "block1.rep.0.conv1.weight" in names


def of_timm(names: Collection[str]) -> dict[str, Place | None]:
    """The place of each array of timm's Xception; None for its classifier and counters, absent where unknown."""
    blocks = [int(name.removeprefix("block").partition(".")[0]) for name in names if re.match(r"block\d+\.", name)]
    last = max(blocks) + 2
    rules = (
        (r"conv([12])", "block1_conv{0}", "kernel", 0),
        (r"bn([12])", "block1_conv{0}_bn", "", 0),
        (r"conv([34])\.conv1", f"block{last}_sepconv{{0}}", "depthwise_kernel", -2),
        (r"conv([34])\.pointwise", f"block{last}_sepconv{{0}}", "pointwise_kernel", -2),
        (r"bn([34])", f"block{last}_sepconv{{0}}_bn", "", -2),
        (r"block(\d+)\.skip", "block{0}_shortcut", "kernel", 1),
        (r"block(\d+)\.skipbn", "block{0}_shortcut_bn", "", 1),
        (r"block(\d+)\.rep\.(\d+)\.conv1", "block{0}_sepconv{1}", "depthwise_kernel", 1),
        (r"block(\d+)\.rep\.(\d+)\.pointwise", "block{0}_sepconv{1}", "pointwise_kernel", 1),
        (r"block(\d+)\.rep\.(\d+)", "block{0}_sepconv{1}_bn", "", 1),
    )
    places: dict[str, Place | None] = {}
    for name in names:
        layer, _, array = name.rpartition(".")
        if layer in ("fc", "last_linear") or array == "num_batches_tracked":
            places[name] = None
        for pattern, form, kernel, shift in rules:
            if (match := re.fullmatch(pattern, layer)) and (array == "weight" if kernel else array in _OF_TIMM):
                first, *others = map(int, match.groups())
                here = form.format(first + shift, *(number // 3 + 1 for number in others))  # ReLU, filter, norm
                places[name] = Place(here, kernel, _HWIO) if kernel else Place(here, _OF_TIMM[array])
    return places


def of_keras(
    layers: Mapping[str, Sequence[tuple[int, ...]]], wanted: Collection[str]
) -> dict[tuple[str, int], Place | None]:
    """The place of each array of the layers of `keras.applications.Xception`, by layer and number.

    layers: the shapes of each layer's arrays. wanted: names of the layers here. Layers that Keras numbers itself
    (shortcuts, or all of a file without names) are taken in order. None for dense layers, which classify.
    """
    kinds = {name: _KINDS.get(tuple(map(len, shapes)), "") for name, shapes in layers.items()}
    here = {name: name for name in layers if name in wanted}
    unnamed = [name for name in wanted if _HERE.fullmatch(name) and ("shortcut" in name or not here)]
    numbered = sorted((int(match[1] or 0), name) for name in kinds if (match := _AUTOMATIC.fullmatch(name)))
    for kind in ("separable", "plain", "norm"):
        ours = sorted((name for name in unnamed if _kind(name) == kind), key=_order)
        theirs = [name for _, name in numbered if kinds[name] == kind]
        if len(theirs) == len(ours):
            here |= dict(zip(theirs, ours, strict=True))
    arrays = {
        "separable": (("depthwise_kernel", (0, 1, 3, 2)), ("pointwise_kernel", ())),
        "plain": (("kernel", ()),),
        "norm": tuple((array, ()) for array in _NORM),
    }
    places: dict[tuple[str, int], Place | None] = {}
    for name, kind in kinds.items():
        if kind == "dense":
            places |= {(name, number): None for number in range(len(layers[name]))}
        elif name in here and kind:
            places |= {(name, number): Place(here[name], *array) for number, array in enumerate(arrays[kind])}
    return places


def _kind(name: str) -> str:
    if name.endswith("_bn"):
        return "norm"
    return "separable" if "sepconv" in name else "plain"


def _order(name: str) -> tuple[int, bool, int]:
    """Where a layer comes among those of its kind in Keras: a shortcut after the other layers of its block."""
    block, word, number, _ = _HERE.fullmatch(name).groups()
    return int(block), word == "shortcut", int(number or 0)
