"""How long a finished chain takes for one new example, stage by stage: what a record says of its own speed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ordinal_blast.record import SECONDS, TIMED, Record
from ordinal_blast.settings import StageSettings
from ordinal_blast.study import recipe
from ordinal_blast.study.recipe import Stage, Values

Facts = Mapping[str, Mapping[str, Any]]


def timed(chain: Sequence[Stage[StageSettings]], places: Mapping[str, Path], record: Record, times: int) -> Facts:
    """The facts of the record's stages with the seconds that each takes for one new example: the least of so many.

    As `grade` does it, but for the reading of a file, on the first device; a first time, which compiles, is not
    counted. The facts as they are where no stage of the chain has a `sample`.
    """
    makers = [stage for stage in chain if type(stage).sample is not Stage.sample]
    if not makers or not times:
        return record.stages
    sample = makers[0].sample(record)
    steps = {}
    for stage in chain:
        with recipe.blamed(stage.name, stage.settings):
            steps[stage.name] = stage.restore(places[stage.name], record)
    seconds: dict[str, float] = {}
    for number in range(times + 1):
        values: Values = sample
        for name, step in steps.items():
            begun = time.perf_counter()
            values = step(values)
            took = time.perf_counter() - begun
            if number:
                seconds[name] = min(took, seconds.get(name, took))
    facts = {name: {**record.stages.get(name, {}), SECONDS: took} for name, took in seconds.items()}
    first = makers[0].name
    return {**record.stages, **facts, first: {**facts[first], TIMED: sample["names"][0]}}
