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

import dataclasses
import difflib
import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from ordinal_blast import parts, ranges, schema
from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import FLAG, PATH, SEED, SHARES, Range, number, one_of, whole
from ordinal_blast.schema import setting
from ordinal_blast.types import INPUTS

_WORD = Range(
    "a printable text that is not empty", lambda v: isinstance(v, str) and v.strip() != "" and v.isprintable()
)
_NAMES = Range("names, each once", lambda v: ranges.list_of(_WORD, empty=True).holds(v) and len(set(v)) == len(v))
_TRACKERS = Range(
    "names among jsonl, tensorboard, wandb and mlflow, each once",
    lambda v: _NAMES.holds(v) and set(v) <= {"jsonl", "tensorboard", "wandb", "mlflow"},
)
_CHAIN = Range(
    "one name or more, each once and without dots and slashes",  # they name folders too
    lambda v: _NAMES.holds(v) and len(v) > 0 and all(len(name) < 99 and not {*"./\\"} & {*name} for name in v),
)
_QUESTIONS = Range(
    "ablation files, or their names, each once",
    lambda v: ranges.list_of(PATH, empty=True).holds(v) and len(set(v)) == len(v),
)
_CONDITIONS = Range(
    "texts COLUMN=VALUE, each once",
    lambda v: _NAMES.holds(v) and all(text.partition("=")[0] and "=" in text for text in v),
)
_OUTCOMES = Range(
    "a section of column names with the names of two grades or more, worst first",
    lambda v: all(_NAMES.holds(grades) and len(grades) > 1 for grades in v.values()),
)
_PLACE = Range(f"{PATH.words}, in printable text", lambda v: PATH.holds(v) and v.isprintable())
_SOMEWHERE = Range(f"{_PLACE.words}, and not empty", lambda v: _WORD.holds(v) and _PLACE.holds(v))


_MEAN_AND_SD = ranges.list_of(number(), count=2)
_PUBLISHED = Range(
    "a source and values, {'source': text, 'values': {variant: {measure: (mean, s.d.)}}}",
    lambda v: (
        not v
        or (
            set(v) == {"source", "values"}
            and isinstance(v["source"], str)
            and isinstance(v["values"], Mapping)
            and all(
                isinstance(by, Mapping) and all(map(_MEAN_AND_SD.holds, by.values())) for by in v["values"].values()
            )
        )
    ),
)


@dataclasses.dataclass(frozen=True)
class ObjectiveSettings:
    """What is optimised, and what is decided."""

    name: str = setting(
        "cross_entropy", "the loss: a name of objectives.names(), or a function of your own", _WORD, part="objective"
    )
    options: Mapping[str, Any] = setting({}, "keyword options of the loss")
    adjust_loss: float = setting(
        0.0,
        "logits rise in the loss by so many times the log share of their grade in training, for losses of K logits "
        "(Menon et al. 2021); 0: none",
        number(least=0, most=10),
    )
    rule: str = setting(
        "native", "the decision: native, mode, median, mean, or a rule of your own", _WORD, decision=True, part="rule"
    )
    correct_weights: bool = setting(
        False, "undo class_weights in the decision of a strictly proper loss", FLAG, decision=True
    )
    adjust_decision: float = setting(
        0.0,
        "log-probabilities fall by so many times the log share of their grade in training: 1 decides as if grades were "
        "equally common (Menon et al. 2021); 0: none",
        number(least=0, most=10),
        decision=True,
    )
    calibration: str = setting(
        "none",
        "probabilities are rescaled to fit validation labels: by one temperature, or a slope and offset for each grade",
        one_of("none", "temperature", "vector"),
        decision=True,
    )


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """How examples become training, validation and test sets."""

    by: str = setting("official", "official, or a column whose values are never divided: group, id, clinic, ...", _WORD)
    fractions: tuple[float, ...] = setting((0.8, 0.1, 0.1), "shares of training, validation and test", SHARES)
    seed: int = setting(0, "of the random division", SEED)
    unseen: tuple[str, ...] = setting(
        (),
        "COLUMN=VALUE, once or more: examples with that value are left out of training and validation, and are tested "
        "where the division puts them",
        _CONDITIONS,
    )
    stratified: bool = setting(
        False, "whether every set gets its share of every grade, as far as whole groups can", FLAG
    )
    leakage: str = setting(
        "refuse",
        "groups, such as patients, that lie in two sets: refuse, or allow with a warning, as published splits may need",
        one_of("refuse", "allow"),
    )


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Where examples come from."""

    source: str = setting(
        "folder",
        "folder, table, arrays, features, medmnist, timelapse, kromp2023, nantes2022, stork, or a source of your own",
        _WORD,
        part="data source",
    )
    root: str = setting("", "folder of the source's files", _PLACE, place=True)
    cache: str = setting(
        lambda: _cache(),
        "where built data sets lie",
        _SOMEWHERE,
        place=True,
    )
    options: Mapping[str, Any] = setting({}, "keyword options of the source")
    split: SplitSettings = setting(SplitSettings, "how it is divided")
    outcomes: Mapping[str, Any] = setting(
        {},
        "columns of whole numbers that are tasks too, each with the names of its grades from 0 on, worst first; −1 is "
        "missing",
    )
    memory: int = setting(
        1024,
        "MiB that images, sequences or numbers may take in memory, and crops as well; more, or examples above 64 KiB, "
        "are read from disk batch by batch, which changes no result",
        whole(0),
        place=True,
    )


@dataclasses.dataclass(frozen=True)
class ReportSettings:
    """What a report shows beside the numbers."""

    examples: int = setting(0, "how many test images are kept for the page", whole(0))
    timed: int = setting(
        0,
        "how often a new example is graded by a finished cell of seed 0, so that its record says how long that takes; "
        "once more, to compile, is not counted",
        whole(0),
    )
    published: Mapping[str, Any] = setting(
        {}, "published results: source, and values by variant and measure as (mean, s.d.)"
    )


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """Who grades: a network from inputs to features; heads are added for every task."""

    name: str = setting(
        "mlp", "xception, lstm, mean, attention, frames, mlp, or a Flax module of your own", _WORD, part="network"
    )
    options: Mapping[str, Any] = setting({}, "fields of the module")
    init_from: str = setting(
        "", "start from these weights: a finished cell or stage, .safetensors, or Keras's .h5 or .keras", _PLACE
    )
    init_channels: str = setting(
        "same",
        "where the images have other channels than these weights read: same, which is refused, or spread, the sum over "
        "theirs divided among ours",
        one_of("same", "spread"),
    )


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """How parameters move."""

    name: str = setting(
        "adam", "any optimiser of optax, or a function (learning_rate, **options) of your own", _WORD, part="optimizer"
    )
    learning_rate: float = setting(1e-3, "before any schedule", number(above=0))
    options: Mapping[str, Any] = setting({}, "other arguments of the optimiser, such as weight_decay")
    clip_norm: float = setting(0.0, "largest global norm of the gradients; 0: any", number(least=0))
    accumulate: int = setting(
        1, "batches whose mean gradient makes one update; batch normalisation takes the statistics of each", whole(1)
    )


@dataclasses.dataclass(frozen=True)
class ScheduleSettings:
    """How the learning rate changes."""

    name: str = setting(
        "constant",
        "constant, cosine, exponential, linear, plateau, step, warmup_cosine, or a function of your own",
        _WORD,
        part="schedule",
    )
    options: Mapping[str, Any] = setting({}, "arguments of the schedule")


@dataclasses.dataclass(frozen=True)
class AugmentSettings:
    """Random views of the inputs in training."""

    name: str = setting("none", "none, affine, quarter, or a view of your own", _WORD, part="view")
    options: Mapping[str, Any] = setting({}, "arguments of the view")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How long, in what batches, and which epoch is kept."""

    batch_size: int = setting(32, "examples of a step, over all devices", whole(1))
    epochs: int = setting(30, "how many at most", whole(1))
    select: str = setting("val_loss", "the epoch that is kept: val_loss, val_qwk, val_mae or val_rmse", _WORD)
    patience: int = setting(0, "stop after so many epochs without a better `select`; 0: never", whole(0))
    ema: float = setting(
        0.0, "decay of the moving average of the weights that is evaluated; 0: none", number(least=0, below=1)
    )
    balance: str = setting("", "a task whose grades every batch has in equal numbers; empty: none", ranges.TEXT)
    checkpoint_every: int = setting(1, "epochs from one checkpoint to the next", whole(1))
    steps_per_dispatch: int = setting(1, "steps that one call to the device takes", whole(1))
    threads: int = setting(2, "how many read ahead", whole(0))


@dataclasses.dataclass(frozen=True)
class StageSettings:
    """The section of one stage of the chain: whatever its part declares, and which part that is."""

    stage: str = setting("grader", "grader, or a stage of your own", _WORD, part="stage")


@dataclasses.dataclass(frozen=True)
class GraderSettings(StageSettings):
    """One network that is trained to grade."""

    reads: str = setting(
        "",
        "images, clips, sequences or numbers; empty: what the network declares",
        one_of("", *INPUTS),
    )
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
    devices: int = setting(0, "how many of this machine work; 0: all there are", whole(0))
    compiled: str = setting(
        lambda: os.path.join(_cache(), "compiled"),
        "where compiled programs are kept for the next start, unless JAX is configured otherwise; empty: nowhere",
        _PLACE,
        place=True,
    )
    stack: int = setting(
        0,
        "cells that are trained as one program, at most: seeds of a variant whose network reads numbers or sequences; "
        "the numbers are the same to round-off, which training amplifies; 0: 16, of sequences on a CPU 1, which is "
        "faster there; 1: one by one, to the last bit",
        whole(0),
        place=True,
    )
    track: tuple[str, ...] = setting((), "where metrics go as they come, beside metrics.jsonl", _TRACKERS, place=True)
    tasks: tuple[str, ...] = setting((), "what is graded; empty: every task of the data set", _NAMES)
    learns_from: str = setting(
        "labels",
        "what examples teach that several raters graded (columns rater_TASK): their labels, the majority vote, the "
        "distribution of the votes, or that of a model of the raters",
        one_of("labels", "majority", "distribution", "raters"),
    )
    class_weights: str = setting(
        "none",
        "of the loss, for a grade that n of N labels have: inverse_frequency N / (K n), which average 1; inverse_share "
        "N / n, as Kragh et al. (2019) print them",
        one_of("none", "inverse_frequency", "inverse_share"),
    )
    divide_by: str = setting(
        "weights",
        "what a weighted sum of losses is divided by: the sum of the weights in the batch, or its labelled examples, "
        "as equations 1 and 2 of Kragh et al. (2019)",
        one_of("weights", "examples"),
    )
    measures: tuple[str, ...] = setting(
        (), "functions of your own that are reported too", _NAMES, decision=True, part="measure"
    )
    objective: ObjectiveSettings = setting(ObjectiveSettings, "what is optimised, and what is decided")
    data: DataSettings = setting(DataSettings, "where examples come from")
    report: ReportSettings = setting(ReportSettings, "what a report shows beside the numbers")
    questions: tuple[str, ...] = setting(
        (), "what `ordinal-blast study` asks in turn: ablation files, or their names", _QUESTIONS, place=True
    )
    chain: tuple[str, ...] = setting(("grader",), "stages in order; each has a section of its name", _CHAIN)
    stages: Mapping[str, StageSettings] = dataclasses.field(
        default_factory=lambda: {"grader": GraderSettings()}, metadata={"stages": True}
    )


STAGES = {"grader": "ordinal_blast.study.grader:Grader"}
SUMMARIES = {"quality": "ordinal_blast.embryo.outcome:quality"}  # what grades of several tasks say together, as facts


def find(name: str, folder: str = "configs") -> Path:
    """The Python file `name`, or the copy that comes with the package, so that README commands work in any folder.

    A name alone, such as `retinamnist`, means `retinamnist.py` of the present folder, or `configs/retinamnist.py`.
    Raises UsageError that lists what there is.
    """
    path, home = Path(name), _home()
    plain = Path(path.name.removesuffix(".py") + ".py")
    listed = Path(folder, plain) if path.parent == Path() else path
    beside = [plain] if path.parent == Path() else []
    for place in (path, *beside, listed, *([home / listed] if listed.parent == Path(folder) else [])):
        if place.suffix == ".py" and os.path.isfile(place):
            return place
    kind = "is a folder, not a file" if name and os.path.isdir(name) else ""
    kind = kind or ("is no Python file" if os.path.isfile(name) else "")
    there = ", ".join(sorted(f"{folder}/{path.name}" for path in (home / folder).glob("*.py")))
    said = f"{name:.200} {kind}" if kind else f"there is no file {name or repr(name):.200}"
    raise UsageError(f"{said}; there are {there}")


def load(name: str, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a file, `get_config()` with dotted overrides.

    Raises UsageError for a file that makes no configuration, and for a setting that there is not or cannot be.
    """
    module = parts.load_file(find(name))
    if not callable(getattr(module, "get_config", None)):
        raise UsageError(f"{name} has no get_config(): it is not a configuration")
    with parts.blamed(f"{name}: get_config() raised"):
        config = module.get_config()
        if not isinstance(config, ConfigDict):
            raise UsageError(
                f"{name}: get_config() returns {type(config).__name__}: it has to return a ConfigDict of ml_collections"
            )
        config = schema.plain(config, name)  # what holds itself has no end, and raises here
    return override(resolve(config, name), overrides or {})


def resolve(config: Mapping[str, Any] | ConfigDict, where: str) -> Settings:
    """The settings of a configuration, which states differences from the defaults; `where` begins messages."""
    try:
        return _applied(Settings(), schema.plain(config, ""), texts=False)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def override(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with `{"a.b": value}` applied; texts are read as the type that stands there.

    A mapping replaces its section, a text names the part of its section and empties its options, and another `chain`
    drops the sections that it leaves out. Raises UsageError for a key that there is not, naming the nearest, and for a
    value that cannot be.
    """
    return _applied(settings, changes, texts=True)


def tree(settings: Settings) -> dict[str, Any]:
    """Every setting, as JSON has it, with the section of each stage at the top; `resolve` makes the settings of it."""
    return schema.tree(settings) | {name: schema.tree(settings.stages[name]) for name in settings.chain}


def differences(section: Any, *, decision: bool = True) -> dict[str, Any]:
    """The settings that are not at their default, by dotted key and as JSON has them, but for places.

    section: Settings, or a section of them. decision: with those that change only what is said of trained models.
    """
    result = schema.differences(section, type(section)(), decision=decision)
    for name in section.chain if isinstance(section, Settings) else ():
        stage = differences(section.stages[name], decision=decision)
        result |= {f"{name}.{key}": value for key, value in stage.items()}
    return result


def leaves(settings: Settings) -> list[schema.Leaf]:
    """Every setting under its dotted key."""
    stages = (schema.leaves(settings.stages[name], f"{name}.") for name in settings.chain)
    return [*schema.leaves(settings), *(leaf for stage in stages for leaf in stage)]


def parse_overrides(arguments: Sequence[str]) -> dict[str, str]:
    """`--config.a.b=v` and `--config.a.b v` as `{"a.b": "v"}`; raises UsageError for anything else."""
    changes, rest = {}, list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("--config."):
            raise UsageError(
                f"unknown argument {argument}: overrides look like --config.a.b=value, --help lists the rest"
            )
        key, equals, value = argument.removeprefix("--config.").partition("=")
        if not equals:
            if not rest:
                raise UsageError(f"{argument} lacks a value: write {argument}=value")
            value = rest.pop(0)
        changes[key] = value
    return changes


def _applied(settings: Settings, changes: Mapping[str, Any], *, texts: bool) -> Settings:
    settings = _staged(settings, changes, texts=texts)
    for key, value in changes.items():
        first, *rest = key.split(".")
        try:
            if first not in settings.stages:
                settings = schema.changed(settings, [first, *rest], value, key, texts=texts)
                continue
            section = settings.stages[first]
            if rest:
                section = schema.changed(section, rest, value, key, texts=texts)
            else:
                section = schema.replaced(_defaults(section.stage), section, value, key, texts=texts)
            settings = dataclasses.replace(settings, stages={**settings.stages, first: section})
        except schema.UnknownSetting as unknown:
            raise UsageError(_unknown(str(unknown), settings)) from unknown
    _check_read(settings)
    return settings


def _staged(settings: Settings, changes: Mapping[str, Any], *, texts: bool) -> Settings:
    """The settings with the chain that the changes state, and for each stage a section of its kind."""
    if "chain" in changes:
        settings = schema.changed(settings, ["chain"], changes["chain"], "chain", texts=texts)
    stages = {}
    for name in settings.chain:
        if name in {field.name for field in dataclasses.fields(Settings)}:
            raise UsageError(f"chain is {settings.chain}: a stage cannot be called {name}, which is another setting")
        section, stated = settings.stages.get(name), changes.get(name)
        stage = stated.get("stage") if isinstance(stated, Mapping) else None
        stage = changes.get(f"{name}.stage", stage)
        if section is None or stage not in (None, section.stage):
            section = _defaults(StageSettings.stage if stage is None else stage, name)
        stages[name] = section
    return dataclasses.replace(settings, stages=stages)


def _defaults(stage: str, name: str = "") -> StageSettings:
    """The section of a stage where nothing is stated."""
    ranges.check(f"{name}.stage", stage, _WORD)
    section = getattr(parts.find("stage", stage, STAGES), "Settings", None)
    if not (dataclasses.is_dataclass(section) and isinstance(section, type) and issubclass(section, StageSettings)):
        raise UsageError(f"stage is {stage}: its Settings has to be a dataclass that extends StageSettings")
    with parts.blamed(f"stage is {stage}: its Settings cannot be made of defaults"):
        complete = dataclasses.replace(section(), stage=stage)
        if lost := sorted({*inspect.get_annotations(section)} - {field.name for field in dataclasses.fields(complete)}):
            raise TypeError(f"{section.__name__} has no field {lost[0]}: it needs @dataclasses.dataclass(frozen=True)")
        for leaf in schema.leaves(complete):
            schema.plain(leaf.value, f"{stage}: {leaf.key}")
    return complete


def _check_read(settings: Settings) -> None:
    """Raise UsageError for a setting that nothing would read, or could."""
    split = settings.data.split
    for name in ("fractions", "seed", "stratified") if split.by == SplitSettings.by else ():
        if getattr(split, name) != getattr(SplitSettings, name):
            raise UsageError(
                f"data.split.{name} is {getattr(split, name)!r}, and nothing reads it: data.split.by is official, so "
                "that nothing is divided; leave it out, or divide by group"
            )
    ranges.check("data.outcomes", settings.data.outcomes, _OUTCOMES)
    ranges.check("report.published", settings.report.published, _PUBLISHED)


def _unknown(key: str, settings: Settings) -> str:
    keys = [leaf.key for leaf in leaves(settings)]
    sections = dict.fromkeys(name.rpartition(".")[0] for name in keys if "." in name)
    known = [*keys, *sections]
    top = [*(field.name for field in schema.fields(settings)), *settings.chain]
    close = difflib.get_close_matches(key, known if "." in key else top, n=3)
    alike = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    near = [name for name in close if name in alike] or close[:1] or alike[:3] or settings.chain
    return f"there is no setting {key or repr(key)}: did you mean {' or '.join(near)}?"


def _cache() -> str:
    """The folder of what can be made again."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return os.environ.get("ORDINAL_BLAST_CACHE") or os.path.join(user, "ordinal_blast")


def _home() -> Path:
    """The folder of the configurations and ablations that come with the package: installed with it, or the checkout."""
    package = Path(__file__).resolve().parent
    return package / "shipped" if (package / "shipped").is_dir() else package.parent
