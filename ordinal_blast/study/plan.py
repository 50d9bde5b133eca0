"""From a question and settings to a plan: named variants times seeds."""

from __future__ import annotations

import collections
import dataclasses
import inspect
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ordinal_blast import parts, settings
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation.multireader import MEASURES
from ordinal_blast.question import Question
from ordinal_blast.settings import Settings
from ordinal_blast.storage import digest

_MOST = 10_000  # cells of a plan: more is a slip, and a generator may have no end
DECLARED = ("reference", "subject", "primary", "equivalence", "families")  # what an ablation may say of its question
_OF_THE_STUDY = ("name", "devices", "stack", "track")  # settings that a run has once, whatever its cells say


@dataclasses.dataclass(frozen=True)
class Cell:
    """One variant with one seed, and its exact settings; `name` is that of its folder."""

    name: str
    variant: str
    seed: int
    settings: Settings


@dataclasses.dataclass(frozen=True)
class Plan:
    """All cells of a study, every variant of a seed before the next seed, and what they are to answer."""

    experiment: str
    question: Question
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]


def ablation(path: str, base: Settings, seeds: int) -> Plan:
    """The plan of an ablation file: its docstring is the question, `variants()` yields (name, overrides).

    Where `variants` takes the settings that are varied, it is called with them: `variants(base)`.

    Constants of the file say what decides it: REFERENCE, SUBJECT, PRIMARY, EQUIVALENCE, FAMILIES, as `question.ask`
    takes them. Raises UsageError for a file without variants, or that is for other configurations, and as
    `of_variants` does.
    """
    module = parts.load_file(settings.find(path, "ablations"))
    if not callable(getattr(module, "variants", None)):
        raise UsageError(f"{path} has no variants(): it is not an ablation")
    text = " ".join((module.__doc__ or "").strip().split("\n\n")[0].split())
    with parts.blamed(f"{path}: variants() raised"):
        variants = module.variants(base) if inspect.signature(module.variants).parameters else module.variants()
    planned = of_variants(text, _yielded(variants, path, base), base, seeds, f"{path}: variants()")
    declared = {name: getattr(module, name.upper()) for name in DECLARED if hasattr(module, name.upper())}
    return asking(planned, path, **declared)


def _yielded(
    variants: Iterable[tuple[str, Mapping[str, Any]]], path: str, base: Settings
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The variants; raises UsageError where they ask for a section that the settings lack."""
    try:
        yield from variants
    except KeyError as error:
        if not error.args or error.args[0] in settings.tree(base):
            raise
        raise UsageError(
            f"{path} varies {error.args[0]}, which the configuration {base.name} lacks: it has the stages "
            f"{', '.join(base.chain)}"
        ) from error


def asking(planned: Plan, where: str, **declared: Any) -> Plan:
    """The plan with what decides its question, as `question.ask` takes it; raises UsageError as that does."""
    asked = planned.question.another(where, planned.variants, MEASURES, **declared)
    return dataclasses.replace(planned, question=asked)


def of_variants(
    text: str,
    variants: Iterable[tuple[str, Mapping[str, Any]]],
    base: Settings,
    seeds: int,
    where: str = "variants",
) -> Plan:
    """The plan of variants, (name, overrides), times seeds: base.seed, base.seed + 1, ...

    Raises UsageError for what is no variant, a name that stands there twice, or an override that does not fit the
    settings or sets what the seeds set.
    """
    return _plan(base, _checked(variants, where), seeds, text)


def single(base: Settings) -> Plan:
    """The plan of one run: the settings as they stand."""
    return _plan(base, [(base.objective.name, {})], 1, "")


def check_changes(changes: Iterable[str], base: Settings) -> None:
    """Raise UsageError where settings that were changed by hand would be overwritten by the seed."""
    values = {leaf.key: leaf.value for leaf in settings.leaves(base)}
    for key in changes:
        section, _, option = key.rpartition(".")
        value = values[key] if key in values else values.get(section, {}).get(option)
        if key in base.seed_also_sets and value != base.seed:
            raise UsageError(
                f"--config.{key}={value} would be overwritten by the seed, {base.seed} (seed_also_sets): "
                f"use --config.seed={value}, or --config.seed_also_sets=() to hold {key}"
            )


def folders(names: Sequence[str]) -> dict[str, str]:
    """What the folders of each variant begin with: its name where that is plain, else a short form with a digest.

    Names that differ never share one, even where a file system does not tell A from a. Raises UsageError for names
    that would all the same.
    """
    short = {name: re.sub(r"[^A-Za-z0-9._+-]+", "_", name) for name in names}
    alike = collections.Counter(form.casefold() for form in short.values())
    prefixes = {
        name: form
        if form[:1].isalnum() and len(form) <= 80 and alike[form.casefold()] == 1
        else f"{form.lstrip('._+-')[:60] or 'variant'}-{digest(name)}"
        for name, form in short.items()
    }
    if len({form.casefold() for form in prefixes.values()}) < len(prefixes):
        raise UsageError(f"the variants {', '.join(names)} cannot have folders of their own: choose other names")
    return prefixes


def _checked(variants: Iterable[tuple[str, Mapping[str, Any]]], where: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Variants as a list; raises UsageError for anything but names with their overrides."""
    with parts.blamed(f"{where} raised"):
        taken = list(itertools.islice(variants, _MOST + 1))
    if not 0 < len(taken) <= _MOST:
        raise UsageError(f"{where} yields {'nothing' if not taken else f'more than {_MOST} variants'}")
    for variant in taken:
        pair = isinstance(variant, tuple | list) and len(variant) == 2
        if not pair or not isinstance(variant[0], str) or not isinstance(variant[1], Mapping):
            raise UsageError(f'{where} yields {variant!r:.100}: it takes ("name", {{"dotted.key": value}}) pairs')
        name, changes = variant
        if not name.strip() or not name.isprintable():
            raise UsageError(f"{where} yields a variant named {name!r:.100}: a name is a text that can be printed")
        if wrong := [key for key in changes if not isinstance(key, str)]:
            raise UsageError(f"{where}: variant {name} overrides {wrong[0]!r}: keys are texts such as objective.name")
    names = [name for name, _ in taken]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{where} yields {', '.join(sorted(twice))} twice: each variant needs its name")
    return [(name, changes) for name, changes in taken]


def _variant(name: str, base: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings of a variant; raises UsageError where one is not what it may be, or is set by the study."""
    for key in changes:
        if any(_overlap(key, other) for other in ("seed", "seed_also_sets", *base.seed_also_sets)):
            raise UsageError(f"variant {name} sets {key}, and the seeds of the study set it: leave it to --config.seed")
        if key in _OF_THE_STUDY:
            raise UsageError(f"variant {name} sets {key}, which a study has once: use --config.{key}")
    try:
        return settings.override(base, changes)
    except UsageError as error:
        raise UsageError(f"variant {name}: {error}") from error


def _seeded(name: str, variant: Settings, seed: int) -> Settings:
    try:
        return settings.override(variant, dict.fromkeys(("seed", *variant.seed_also_sets), seed))
    except UsageError as error:
        raise UsageError(f"variant {name}, seed {seed}: {error}") from error


def _overlap(key: str, other: str) -> bool:
    """Whether one dotted key is the other or a section of it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _plan(base: Settings, variants: Sequence[tuple[str, Mapping[str, Any]]], seeds: int, text: str) -> Plan:
    if not 1 <= seeds <= _MOST // len(variants):
        raise UsageError(f"--seeds is {seeds}: it is at least 1 and here at most {_MOST // len(variants)}")
    numbers = tuple(range(base.seed, base.seed + seeds))
    short = folders([name for name, _ in variants])
    complete = {name: _variant(name, base, changes) for name, changes in variants}
    cells = tuple(
        Cell(f"{short[name]}-s{seed}", name, seed, _seeded(name, variant, seed))
        for seed in numbers
        for name, variant in complete.items()
    )
    asked = Question(text, reference=next(iter(complete)))
    return Plan(base.name, asked, tuple(complete), numbers, cells)
