"""What every setting of a configuration may be, checked before any work: one row a setting, nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ordinal_blast import ranges
from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import FLAG, PATH, SEED, SHARES, Range, each, number, one_of, whole

ALONE = {"cnn": "image", "mlp": "features"}  # the models that can grade alone, and the column that each reads
TIME_LAPSE = (("cropper", "cnn"), ("cropper", "cnn", "rnn"))


def check(settings: Mapping[str, Any], where: str) -> None:
    """Raise UsageError for the first setting that is missing, or is not what it may be; `where` begins the message.

    settings: every leaf of a configuration under its dotted key. Sections of links that `chain` leaves out may be
    absent or anything. The numbers of `training` and `model` sections are checked by what they make.
    """
    for key, value in settings.items():
        if not _storable(value):
            raise UsageError(f"{where}: {key} is {value!r:.100}: {_STORABLE}")
        if key.rpartition(".")[2] in ("seed", "val_seed"):
            ranges.check(f"{where}: {key}", value, SEED)
    _check_table(where, settings, _ALWAYS)
    links = tuple(settings["chain"])
    ranges.check(f"{where}: chain", links, one_of(*((name,) for name in ALONE), *TIME_LAPSE))
    for link in links:
        rows = _LINK | _OF.get(link, {})
        _check_table(where, settings, {f"{link}.{name}": allowed for name, allowed in rows.items()})
        balance = f"{link}.training.balance"
        ranges.check(f"{where}: {balance}", settings.get(balance, ""), one_of("", *settings["tasks"]))
    if "cropper" in links:
        _check_table(where, settings, _TIME_LAPSE)
        start = settings["frames.start_hpi"]
        ranges.check(f"{where}: frames.stop_hpi", settings["frames.stop_hpi"], number(least=start))


def _check_table(where: str, settings: Mapping[str, Any], table: Mapping[str, Range]) -> None:
    for key, allowed in table.items():
        if key in settings:
            ranges.check(f"{where}: {key}", settings[key], allowed)
        elif allowed is not _SECTION or not any(known.startswith(f"{key}.") for known in settings):
            raise UsageError(f"{where} lacks {key}: it takes {allowed.words}")


_STORABLE = "settings are text, finite numbers, booleans, None, and tuples and sections of these"


def _storable(value: Any) -> bool:
    if hasattr(value, "items"):
        return all(isinstance(key, str) and _storable(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(map(_storable, value))
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def _is_time(value: Any) -> bool:
    try:
        return value in ("tA", "tMEB") or math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


_GIVEN = Range("what the configurations of the package have there", lambda value: True)  # what reads it checks it
_SECTION = Range("a section of settings", lambda value: hasattr(value, "items"))
_TEXT = Range("a printable text that is not empty", _is_text)
_TEXTS = each(_TEXT)
_PATH = Range(f"{PATH.words}, in printable text", lambda value: PATH.holds(value) and value.isprintable())
_NUMBERS = each(number())

_ALWAYS: Mapping[str, Range] = {
    "name": _TEXT,
    "seed": SEED,
    "seed_also_sets": each(_TEXT, empty=True),
    "devices": whole(0),
    "tasks": Range("names, each once", lambda value: _TEXTS.holds(value) and len(set(value)) == len(value)),
    "chain": _TEXTS,
    "class_weights": one_of("none", "inverse_frequency"),
    "objective.name": _TEXT,
    "objective.options": _SECTION,
    "objective.rule": _TEXT,
    "objective.correct_weights": FLAG,
    "data.source": _TEXT,
    "data.root": _PATH,
    "data.cache": Range(f"{_PATH.words}, and not empty", lambda value: _TEXT.holds(value) and _PATH.holds(value)),
    "data.options": _SECTION,
    "data.split.by": _TEXT,
    "data.split.fractions": SHARES,
    "data.split.seed": SEED,
    "report.examples": whole(0),
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
    "cropper": {"seed": SEED, "size": whole(1), "frames_per_embryo": whole(1)},
    "mlp": {"standardize": FLAG},
}
_TIME_LAPSE: Mapping[str, Range] = {
    "frames.start_hpi": number(),
    "frames.stop_hpi": number(),
    "frames.step_h": number(above=0),
    "frames.max_frames": whole(1),
    "frames.planes": _NUMBERS,
    "frames.cnn_time": Range("tA, tMEB, or an hour such as 110", _is_time),
    "frames.time_shifts_h": Range(
        "numbers of which one is 0, the CNN's time itself", lambda value: _NUMBERS.holds(value) and 0 in value
    ),
    "frames.crop_share": number(above=0, most=1),
    "frames.size": whole(1),
    "cnn.views.focal_planes": whole(0),
    "cnn.views.plane_um": number(above=0),
}
