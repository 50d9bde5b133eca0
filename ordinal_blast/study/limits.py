"""What every setting of a configuration may be, checked before any work: one row a setting, nothing else."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from ordinal_blast.errors import UsageError

ALONE = {"cnn": "image", "mlp": "features"}  # the models that can grade alone, and the column that each reads
TIME_LAPSE = (("cropper", "cnn"), ("cropper", "cnn", "rnn"))
LARGEST_SEED = 2**32 - 1  # a random key takes 32 bits: a larger seed would silently be a smaller one


@dataclasses.dataclass(frozen=True)
class Range:
    """The values that a setting takes: in words, and as a test."""

    words: str
    holds: Callable[[Any], bool]


def check(settings: Mapping[str, Any], where: str) -> None:
    """Raise UsageError for the first setting that is missing, or is not what it may be; `where` begins the message.

    settings: every leaf of a configuration under its dotted key. Sections of links that `chain` leaves out may be
    absent or anything. The numbers of `training` and `model` sections are checked by what they make.
    """
    for key, value in settings.items():
        if not _storable(value):
            raise UsageError(f"{where}: {key} is {value!r}: {_STORABLE}")
        if key.rpartition(".")[2] in ("seed", "val_seed"):
            _require(where, key, value, _SEED)
    _require_all(where, settings, _ALWAYS)
    links = tuple(settings["chain"])
    _require(where, "chain", links, _one_of(*((name,) for name in ALONE), *TIME_LAPSE))
    for link in links:
        _require_all(
            where, settings, {f"{link}.{name}": values for name, values in (_LINK | _OF.get(link, {})).items()}
        )
    if "cropper" in links:
        _require_all(where, settings, _TIME_LAPSE)
    for link in links:
        balance = settings.get(f"{link}.training.balance", "")
        _require(where, f"{link}.training.balance", balance, _one_of("", *settings["tasks"]))


def _require_all(where: str, settings: Mapping[str, Any], table: Mapping[str, Range]) -> None:
    for key, values in table.items():
        if key in settings:
            _require(where, key, settings[key], values)
        elif values is not _SECTION or not any(known.startswith(f"{key}.") for known in settings):
            raise UsageError(f"{where} lacks {key}: it takes {values.words}")


def _require(where: str, key: str, value: Any, values: Range) -> None:
    if not values.holds(value):
        raise UsageError(f"{where}: {key} is {value!r}: it takes {values.words}")


_STORABLE = "settings are text, finite numbers, booleans, None, and tuples and sections of these"


def _storable(value: Any) -> bool:
    if isinstance(value, Mapping) or hasattr(value, "items"):
        return all(isinstance(key, str) and _storable(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return all(map(_storable, value))
    return value is None or isinstance(value, str | bool | int) or _is_number(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (_is_whole(value) or isinstance(value, float)) and abs(value) < math.inf


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def _whole(low: int, high: int = 2**31 - 1) -> Range:
    words = f"a whole number from {low} {f'to {high}' if high < 2**31 - 1 or high > 2**31 else 'on'}"
    return Range(words, lambda value: _is_whole(value) and low <= value <= high)


def _one_of(*choices: Any) -> Range:
    return Range("one of " + ", ".join(repr(choice) for choice in choices), lambda value: value in choices)


def _each(words: str, holds: Callable[[Any], bool]) -> Range:
    """A sequence of at least one, of which each holds."""
    return Range(words, lambda value: isinstance(value, list | tuple) and len(value) > 0 and all(map(holds, value)))


def _is_shares(value: Any) -> bool:
    numbers = isinstance(value, list | tuple) and len(value) == 3 and all(map(_is_number, value))
    return numbers and min(value) > 0 and abs(sum(value) - 1) <= 1e-9


def _is_time(value: Any) -> bool:
    if value in ("tA", "tMEB"):
        return True
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


_GIVEN = Range("what the configurations of the package have there", lambda value: True)  # its reader checks it
_SECTION = Range("a section of settings", lambda value: hasattr(value, "items"))
_SEED = _whole(0, LARGEST_SEED)
_TEXT = Range("a text that is not empty", _is_text)
_FLAG = Range("True or False", lambda value: isinstance(value, bool))
_NUMBER = Range("a number", _is_number)
_POSITIVE = Range("a number above 0", lambda value: _is_number(value) and value > 0)
_NUMBERS = _each("at least one number", _is_number)
_NAMES = Range(
    "at least one name, each once",
    lambda value: (
        isinstance(value, list | tuple) and 0 < len(value) == len(set(map(str, value))) and all(map(_is_text, value))
    ),
)

_ALWAYS: Mapping[str, Range] = {
    "name": _TEXT,
    "seed": _SEED,
    "seed_also_sets": Range("settings' names", lambda value: not value or _each("", _is_text).holds(value)),
    "devices": _whole(0),
    "tasks": _NAMES,
    "chain": _each("names of models", _is_text),
    "class_weights": _one_of("none", "inverse_frequency"),
    "objective.name": _TEXT,
    "objective.options": _SECTION,
    "objective.rule": _TEXT,
    "objective.correct_weights": _FLAG,
    "data.source": _TEXT,
    "data.root": Range("a text", lambda value: isinstance(value, str) and (not value or value.isprintable())),
    "data.cache": _TEXT,
    "data.options": _SECTION,
    "data.split.by": _TEXT,
    "data.split.fractions": Range("three numbers above 0 that sum to 1", _is_shares),
    "data.split.seed": _SEED,
    "report.examples": _whole(0),
}
_LINK: Mapping[str, Range] = {
    "model": _SECTION,
    "training.batch_size": _GIVEN,
    "training.epochs": _GIVEN,
    "training.learning_rate": _GIVEN,
    "training.weight_decay": _GIVEN,
    "training.plateau_factor": _GIVEN,
    "training.plateau_patience": _GIVEN,
    "training.select": _GIVEN,
    "training.steps_per_dispatch": _GIVEN,
    "training.checkpoint_every": _GIVEN,
    "training.threads": _GIVEN,
}
_OF: Mapping[str, Mapping[str, Range]] = {
    "cropper": {"seed": _SEED, "size": _whole(1), "frames_per_embryo": _whole(1)},
    "mlp": {"standardize": _FLAG},
}
_TIME_LAPSE: Mapping[str, Range] = {
    "frames.start_hpi": _NUMBER,
    "frames.stop_hpi": _NUMBER,
    "frames.step_h": _POSITIVE,
    "frames.max_frames": _whole(1),
    "frames.planes": _NUMBERS,
    "frames.cnn_time": Range("tA, tMEB, or an hour such as 110", _is_time),
    "frames.time_shifts_h": Range(
        "numbers of which one is 0, the CNN's time itself", lambda value: _NUMBERS.holds(value) and 0 in value
    ),
    "frames.crop_share": Range("a number above 0, at most 1", lambda value: _is_number(value) and 0 < value <= 1),
    "frames.size": _whole(1),
    "cnn.views.focal_planes": _whole(0),
    "cnn.views.plane_um": _POSITIVE,
}
