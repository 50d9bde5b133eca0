"""What a trained network keeps of the examples that it knows, to say of a new one that it is unlike them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast.data.batches import Examples
from ordinal_blast.evaluation import novelty
from ordinal_blast.evaluation.novelty import Familiar
from ordinal_blast.storage import read_npz, write_npz
from ordinal_blast.study.recipe import About

FILE = "familiarity.npz"  # beside the checkpoints of the network
_MOST = 2048  # examples of a set that are looked at
_FIELDS = ("mean", "axes", "variances", "rest")  # of `Familiar`
_LEAST_SIDE = 3  # pixels that a Laplacian takes

Extract = Callable[..., np.ndarray]
"""Features `[N, D]` of inputs(indices), a count and how many at once: `Features.extract`."""


def keep(folder: Path, examples: Mapping[str, Examples], extract: Extract, at_once: int) -> None:
    """Write how the features of training examples are distributed, and how far validation examples lie from them.

    Of images also how sharp those are. Nothing is written twice, nor for features that are not finite.
    """
    if (folder / FILE).exists():
        return
    train, val = (_features(examples[split], extract, at_once) for split in ("train", "val"))
    if len(train) < 2 or not (np.isfinite(train).all() and np.isfinite(val).all()):
        return
    learnt = novelty.learn(train)
    arrays = {name: np.asarray(getattr(learnt, name), np.float32) for name in _FIELDS}
    arrays["distances"] = np.sort(_familiar(arrays).distances(val))
    seen, rows = examples["val"], _some(examples["val"])
    if _are_images(seen.inputs(rows[:1])):
        parts = [rows[start : start + at_once] for start in range(0, len(rows), at_once)]
        arrays["sharpness"] = np.sort(np.concatenate([novelty.sharpness(seen.inputs(part)) for part in parts]))
    write_npz(folder / FILE, arrays)


def about(folder: Path, inputs: np.ndarray, extract: Extract | None) -> list[About]:
    """How far new inputs `[N, ...]` lie from the training examples, and of images how sharp they are, one an example.

    Without `extract` the first is left out. It warns of what few validation examples share. UserError for a damaged
    file.
    """
    if not (folder / FILE).exists():
        said = "whether it is like the training data is not known: the run kept nothing of that"
        return [About({}, (said,) if extract else ())] * len(inputs)
    kept = read_npz(folder / FILE, (*_FIELDS, "distances"), also=("sharpness",))
    remarks: list[list[About]] = [[About()] * len(inputs)]
    if extract:
        distances = _familiar(kept).distances(extract(inputs.__getitem__, len(inputs)))
        far = "it is unlike the training data: its features lie farther from them than those of"
        remarks.append(_held(distances, kept["distances"], 1, "distance", far))
    if "sharpness" in kept and _are_images(inputs):
        blurred = "it is out of focus, or blurred: less sharp than"
        remarks.append(_held(novelty.sharpness(inputs), kept["sharpness"], -1, "sharpness", blurred))
    return [
        About({key: value for one in row for key, value in one.facts.items()}, sum((one.warnings for one in row), ()))
        for row in zip(*remarks, strict=True)
    ]


def _held(values: np.ndarray, known: np.ndarray, sign: int, name: str, odd: str) -> list[About]:
    """Values held against those of validation examples; sign: 1 where large ones are odd, -1 where small ones are."""
    shares, count = novelty.oddness(sign * values, sign * known), len(known)
    facts: list[dict[str, Any]] = [
        {name: float(value), f"{name}_p": float(share)} for value, share in zip(values, shares, strict=True)
    ]
    return [
        About(fact, (f"{odd} {count + 1 - round(share * (count + 1))} of {count} validation examples",) if rare else ())
        for fact, share, rare in zip(facts, shares, novelty.rare(shares, count), strict=True)
    ]


def _features(examples: Examples, extract: Extract, at_once: int) -> np.ndarray:
    rows = _some(examples)
    return extract(lambda places: examples.inputs(rows[places]), len(rows), at_once)


def _some(examples: Examples) -> np.ndarray:
    """Rows of a set, all of them or so many at equal steps."""
    return np.unique(np.linspace(0, len(examples) - 1, min(_MOST, len(examples))).round().astype(int))


def _are_images(inputs: np.ndarray) -> bool:
    return inputs.ndim == 4 and min(inputs.shape[1:3]) >= _LEAST_SIDE


def _familiar(arrays: Mapping[str, np.ndarray]) -> Familiar:
    return Familiar(arrays["mean"], arrays["axes"], arrays["variances"], float(arrays["rest"]))
