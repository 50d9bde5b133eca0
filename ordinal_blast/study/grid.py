"""From a question and a configuration to a plan: named variants times seeds."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ordinal_blast.errors import UsageError
from ordinal_blast.study import configuration


@dataclasses.dataclass(frozen=True)
class Cell:
    """One variant with one seed, and its exact configuration."""

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
    an override that does not fit the configuration.
    """
    module = configuration.load_module(path)
    if not hasattr(module, "variants"):
        raise UsageError(f"{path} has no variants(): it is not an ablation")
    variants = list(module.variants())
    names = [name for name, _ in variants]
    if twice := {name for name in names if names.count(name) > 1} or (not names and {"nothing"}):
        raise UsageError(
            f"{path} yields {', '.join(sorted(twice))} {'twice' if names else ''}: each variant needs its name"
        )
    question = " ".join((module.__doc__ or "").strip().split("\n\n")[0].split())
    return _plan(config.name, question, variants, config, seeds)


def single(config: Any) -> Plan:
    """The plan of one run: the configuration as it stands."""
    return _plan(config.name, "", [(config.objective.name, {})], config, 1)


def _with_seed(config: Any, seed: int) -> Any:
    return configuration.override(config, dict.fromkeys(("seed", *config.seed_also_sets), seed))


def _plan(experiment: str, question: str, variants: list[Any], config: Any, seeds: int) -> Plan:
    if seeds < 1:
        raise UsageError(f"--seeds is {seeds}: it is at least 1")
    numbers = tuple(range(config.seed, config.seed + seeds))
    cells = tuple(
        Cell(
            name=f"{re.sub(r'[^A-Za-z0-9._+-]+', '_', name)}-s{seed}",
            variant=name,
            seed=seed,
            config=_with_seed(configuration.override(config, changes), seed),
        )
        for seed in numbers
        for name, changes in variants
    )
    return Plan(experiment, question, tuple(name for name, _ in variants), numbers, cells)
