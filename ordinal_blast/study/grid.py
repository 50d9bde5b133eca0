"""From a question and a configuration to a plan: named variants times seeds."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from ordinal_blast.errors import UsageError
from ordinal_blast.storage import digest
from ordinal_blast.study import configuration, limits

_MOST = 10_000  # cells of a plan: more is a slip, and a generator may have no end
_OF_THE_STUDY = ("name", "devices")  # settings that a run has once, whatever its cells say


@dataclasses.dataclass(frozen=True)
class Cell:
    """One variant with one seed, and its exact configuration; `name` is that of its folder."""

    name: str
    variant: str
    seed: int
    config: Any


@dataclasses.dataclass(frozen=True)
class Plan:
    """All cells of a study, every variant of a seed before the next seed; the first variant is the reference."""

    experiment: str
    question: str
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]


def ablation(path: str, config: Any, seeds: int) -> Plan:
    """The plan of an ablation file: its docstring is the question, `variants()` yields (name, overrides).

    Seeds are config.seed, config.seed + 1, ... Raises UsageError for a file without variants, a name given twice, or
    an override that does not fit the configuration or sets what the seeds set.
    """
    module = configuration.load_module(path, "ablations")
    variants = _variants(path, module)
    question = " ".join((module.__doc__ or "").strip().split("\n\n")[0].split())
    return _plan(config.name, question, variants, config, seeds)


def check_changes(changes: Iterable[str], config: Any) -> None:
    """Raise UsageError where settings that were changed by hand would be overwritten by the seed."""
    settings = configuration.flat(config)
    for key in changes:
        if key in config.seed_also_sets and settings[key] != config.seed:
            raise UsageError(
                f"--config.{key}={settings[key]} would be overwritten by the seed, {config.seed} (seed_also_sets): "
                f"use --config.seed={settings[key]}, or --config.seed_also_sets=() to hold {key}"
            )


def single(config: Any) -> Plan:
    """The plan of one run: the configuration as it stands."""
    return _plan(config.name, "", [(config.objective.name, {})], config, 1)


def folders(names: Sequence[str]) -> dict[str, str]:
    """What the folders of each variant begin with: its name where that is plain, else a short form with a digest.

    Names that differ never share one, even where a file system does not tell A from a. Raises UsageError for names
    that would all the same.
    """
    short = {name: re.sub(r"[^A-Za-z0-9._+-]+", "_", name) for name in names}
    alike = collections.Counter(form.casefold() for form in short.values())
    made = {
        name: form
        if form[:1].isalnum() and len(form) <= 80 and alike[form.casefold()] == 1
        else f"{form.lstrip('._+-')[:60] or 'variant'}-{digest(name)}"
        for name, form in short.items()
    }
    if len({form.casefold() for form in made.values()}) < len(made):
        raise UsageError(f"the variants {', '.join(names)} cannot have folders of their own: choose other names")
    return made


def _variants(path: str, module: ModuleType) -> list[tuple[str, Mapping[str, Any]]]:
    """What `variants()` of an ablation file yields; raises UsageError for anything but names with their overrides."""
    if not callable(getattr(module, "variants", None)):
        raise UsageError(f"{path} has no variants(): it is not an ablation")
    with configuration.blamed(f"{path}: variants() raised"):
        variants = list(itertools.islice(module.variants(), _MOST + 1))
    if not 0 < len(variants) <= _MOST:
        raise UsageError(f"{path}: variants() yields {'nothing' if not variants else f'more than {_MOST} variants'}")
    for each in variants:
        pair = isinstance(each, tuple | list) and len(each) == 2
        if not pair or not isinstance(each[0], str) or not isinstance(each[1], Mapping):
            raise UsageError(
                f'{path}: variants() yields {each!r:.100}: it takes ("name", {{"dotted.key": value}}) pairs'
            )
        if not each[0].strip() or not each[0].isprintable():
            raise UsageError(f"{path}: a variant is named {each[0]!r:.100}: a name is a text that can be printed")
        if wrong := [key for key in each[1] if not isinstance(key, str)]:
            raise UsageError(f"{path}: variant {each[0]} overrides {wrong[0]!r}: keys are texts such as objective.name")
    names = [name for name, _ in variants]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{path} yields {', '.join(sorted(twice))} twice: each variant needs its name")
    return variants


def _config(name: str, config: Any, changes: Mapping[str, Any], seed: int) -> Any:
    """The configuration of a cell; raises UsageError where a setting is not what it may be."""
    try:
        made = configuration.override(config, changes)
    except UsageError as error:
        raise UsageError(f"variant {name}: {error}") from error
    for key in changes:
        if any(_overlap(key, other) for other in ("seed", "seed_also_sets", *config.seed_also_sets)):
            raise UsageError(f"variant {name} sets {key}, and the seeds of the study set it: leave it to --config.seed")
        if key in _OF_THE_STUDY:
            raise UsageError(f"variant {name} sets {key}, which a study has once: use --config.{key}")
    made = configuration.override(made, dict.fromkeys(("seed", *made.seed_also_sets), seed))
    limits.check(configuration.flat(made), f"variant {name}, seed {seed}")
    return made


def _overlap(key: str, other: str) -> bool:
    """Whether one dotted key is the other or a section of it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _plan(experiment: str, question: str, variants: list[Any], config: Any, seeds: int) -> Plan:
    if not 1 <= seeds <= _MOST // len(variants):
        raise UsageError(f"--seeds is {seeds}: it is at least 1 and here at most {_MOST // len(variants)}")
    numbers = tuple(range(config.seed, config.seed + seeds))
    short = folders([name for name, _ in variants])
    cells = tuple(
        Cell(
            name=f"{short[name]}-s{seed}",
            variant=name,
            seed=seed,
            config=_config(name, config, changes, seed),
        )
        for seed in numbers
        for name, changes in variants
    )
    return Plan(experiment, question, tuple(name for name, _ in variants), numbers, cells)
