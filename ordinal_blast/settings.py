"""Every setting of a study: its type, its default, what it may be and what it means.

A configuration file returns a ConfigDict with what differs from the defaults; the command line changes any setting of
it, stated there or not; what works with settings gets frozen dataclasses. A section belongs to the one function that
takes it, whole, so that a setting that nothing reads has no place to stand.

    load("configs/retinamnist.py", {"cnn.training.epochs": "3"}) -> Settings
    override(settings, {"objective": "corn"}) -> Settings

The stages of `chain` have a section each, under the stage's name at the top level of a configuration, with the fields
of the part that its `stage` names (see `StageSettings`).
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import math
import os
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from ml_collections import ConfigDict

from ordinal_blast import parts, ranges
from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import FLAG, PATH, SEED, SHARES, Range, number, one_of, whole
from ordinal_blast.storage import digest

T = TypeVar("T")
_WORD = Range("a printable text that is not empty", lambda v: isinstance(v, str) and v.strip() != "" and v.isprintable())
_WORDS = ranges.each(_WORD)
_NAMES = Range("names, each once", lambda v: ranges.each(_WORD, empty=True).holds(v) and len(set(v)) == len(v))
_PLACE = Range(f"{PATH.words}, in printable text", lambda v: PATH.holds(v) and v.isprintable())
_SOMEWHERE = Range(f"{_PLACE.words}, and not empty", lambda v: _WORD.holds(v) and _PLACE.holds(v))
_OPTIONS = Range(
    "a section of options: text, finite numbers, booleans, None, and tuples and sections of these",
    lambda v: isinstance(v, Mapping) and _storable(v),
)


def setting(default: Any, doc: str, allowed: Range | None = None, *, place: bool = False, decision: bool = False) -> Any:
    """A field of a section. allowed: what it may be, beyond its type. place: where files lie, which changes no result.

    decision: changes what is said of trained models, and not the training.
    """
    metadata = {"doc": doc, "allowed": allowed, "place": place, "decision": decision}
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    if dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class ObjectiveSettings:
    """What is optimised, and what is decided."""

    name: str = setting("cross_entropy", "the loss: a name of objectives.names(), or a function of your own", _WORD)
    options: Mapping[str, Any] = setting({}, "keyword options of the loss", _OPTIONS)
    rule: str = setting("native", "the decision: native, mode, median, mean, or a rule of your own", _WORD, decision=True)
    correct_weights: bool = setting(
        False, "undo class_weights in the decision of a strictly proper loss", FLAG, decision=True
    )


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """How examples become training, validation and test sets."""

    by: str = setting("official", "official, or a column whose values are never divided: group, id, clinic, ...", _WORD)
    fractions: tuple[float, ...] = setting((0.8, 0.1, 0.1), "shares of training, validation and test", SHARES)
    seed: int = setting(0, "of the random division", SEED)


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Where examples come from."""

    source: str = setting("folder", "folder, table, arrays, medmnist, or a source of your own", _WORD)
    root: str = setting("", "folder of the source's files", _PLACE, place=True)
    cache: str = setting(
        "~/.cache/ordinal_blast", "where built data sets lie ($ORDINAL_BLAST_CACHE)", _SOMEWHERE, place=True
    )
    options: Mapping[str, Any] = setting({}, "keyword options of the source", _OPTIONS)
    split: SplitSettings = setting(SplitSettings, "how it is divided")


@dataclasses.dataclass(frozen=True)
class ReportSettings:
    """What a report shows beside the numbers."""

    examples: int = setting(0, "how many test images are kept for the page", whole(0))
    published: Mapping[str, Any] = setting(
        {}, "published results: source, and values by variant and measure as (mean, s.d.)", _OPTIONS
    )


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """Who grades: a network from inputs to features; heads are added for every task."""

    name: str = setting("mlp", "xception, lstm, mlp, or a Flax module of your own", _WORD)
    options: Mapping[str, Any] = setting({}, "fields of the module", _OPTIONS)
    init_from: str = setting("", "start from these weights: a finished cell or stage, or .safetensors", _PLACE)


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """How parameters move."""

    name: str = setting("adam", "any optimiser of optax, or a function (learning_rate, **options) of your own", _WORD)
    learning_rate: float = setting(1e-3, "before any schedule", number(above=0))
    options: Mapping[str, Any] = setting({}, "other arguments of the optimiser, such as weight_decay", _OPTIONS)
    clip_norm: float = setting(0.0, "largest global norm of the gradients; 0: any", number(least=0))
    accumulate: int = setting(1, "batches whose mean gradient makes one update", whole(1))


@dataclasses.dataclass(frozen=True)
class ScheduleSettings:
    """How the learning rate changes."""

    name: str = setting("constant", "constant, plateau, cosine, warmup_cosine, ..., or a function of your own", _WORD)
    options: Mapping[str, Any] = setting({}, "arguments of the schedule", _OPTIONS)


@dataclasses.dataclass(frozen=True)
class AugmentSettings:
    """Random views of the inputs in training."""

    name: str = setting("none", "none, affine, quarter, or a view of your own", _WORD)
    options: Mapping[str, Any] = setting({}, "arguments of the view", _OPTIONS)


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How long, in what batches, and which epoch is kept."""

    batch_size: int = setting(32, "examples of a step, over all devices", whole(1))
    epochs: int = setting(30, "at most", whole(1))
    select: str = setting("val_loss", "the epoch that is kept: val_loss, val_qwk, val_mae or val_rmse", _WORD)
    patience: int = setting(0, "stop after so many epochs without a better `select`; 0: never", whole(0))
    ema: float = setting(0.0, "decay of the moving average of the weights that is evaluated; 0: none", number(least=0, below=1))
    balance: str = setting("", "a task whose grades every batch has in equal numbers; empty: none", ranges.TEXT)
    checkpoint_every: int = setting(1, "epochs", whole(1))
    steps_per_dispatch: int = setting(1, "steps that one call to the device takes", whole(1))
    threads: int = setting(2, "that read ahead", whole(0))


@dataclasses.dataclass(frozen=True)
class StageSettings:
    """The section of one stage of the chain: whatever its part declares, and which part that is."""

    stage: str = setting("grader", "grader, or a stage of your own", _WORD)


@dataclasses.dataclass(frozen=True)
class GraderSettings(StageSettings):
    """One network that is trained to grade."""

    reads: str = setting("", "images, sequences or numbers; empty: what the network declares", one_of("", "images", "sequences", "numbers"))
    network: NetworkSettings = setting(NetworkSettings, "who grades")
    standardize: bool = setting(False, "numbers less their training mean, over their training s.d.", FLAG)
    augment: AugmentSettings = setting(AugmentSettings, "random views")
    optimizer: OptimizerSettings = setting(OptimizerSettings, "how parameters move")
    schedule: ScheduleSettings = setting(ScheduleSettings, "how the learning rate changes")
    training: TrainingSettings = setting(TrainingSettings, "how long and how")


@dataclasses.dataclass(frozen=True)
class Settings:
    """A study, or one cell of it, complete."""

    name: str = setting("study", "of the experiment", _WORD)
    seed: int = setting(0, "of initial weights, shuffling, dropout and augmentation", SEED)
    seed_also_sets: tuple[str, ...] = setting((), "dotted settings that take the cell's seed too", _NAMES)
    devices: int = setting(0, "how many work; 0: all there are", whole(0))
    tasks: tuple[str, ...] = setting((), "what is graded; empty: every task of the data set", _NAMES)
    class_weights: str = setting("none", "of the loss", one_of("none", "inverse_frequency"))
    measures: tuple[str, ...] = setting((), "functions of your own that are reported too", _NAMES, decision=True)
    objective: ObjectiveSettings = setting(ObjectiveSettings, "what is optimised, and what is decided")
    data: DataSettings = setting(DataSettings, "where examples come from")
    report: ReportSettings = setting(ReportSettings, "what a report shows beside the numbers")
    chain: tuple[str, ...] = setting(("grader",), "stages in order; each has a section of its name", _WORDS)
    stages: Mapping[str, StageSettings] = dataclasses.field(default_factory=lambda: {"grader": GraderSettings()})


STAGES = {"grader": "ordinal_blast.study.grader:Grader"}
