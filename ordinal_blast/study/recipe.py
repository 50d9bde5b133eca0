"""What a cell is made by: stages in a row, each of which says what it reads and what it makes.

A stage reads columns of the data set and what earlier stages made, by name. Four of these names are inputs of
networks: "images", "clips", "sequences" and "numbers", each a View of all rows of the data set. Everything else is
between the stages that know its name.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from ordinal_blast import parts, record
from ordinal_blast.data.batches import Examples, View, fixed
from ordinal_blast.data.material import Material
from ordinal_blast.errors import UsageError
from ordinal_blast.objectives import Objective
from ordinal_blast.record import Record
from ordinal_blast.schema import leaves, listed
from ordinal_blast.settings import STAGES, ObjectiveSettings, Settings, SplitSettings, StageSettings, differences
from ordinal_blast.study import identity, shared
from ordinal_blast.study.session import Session
from ordinal_blast.training.course import Course
from ordinal_blast.types import INPUTS

Values = dict[str, Any]
"""New examples of one file, by name: "names" `[N]`, "notes", what was read of them, and what stages made of that."""


class About(NamedTuple):
    """What is said of a new example beside its grades: facts by name, JSON-able, and warnings in words."""

    facts: Mapping[str, Any] = {}
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is trained for: all of a study's settings that a stage may depend on beside its own section."""

    objective: ObjectiveSettings
    class_weights: str
    seed: int
    divide_by: str = "weights"
    learns_from: str = "labels"


@dataclasses.dataclass(frozen=True)
class Work:
    """What stages work with. bound: the objective of each task."""

    material: Material
    goal: Goal
    bound: Mapping[str, Objective]
    session: Session


@dataclasses.dataclass(frozen=True)
class Graded:
    """What a stage that grades says: raw outputs `[N, num_outputs]` per split and task.

    training: how it went, JSON-able. inputs: the shape of one example, and dtype its type.
    """

    examples: Mapping[str, Examples]
    outputs: Mapping[str, Mapping[str, np.ndarray]]
    training: Mapping[str, Any]
    inputs: tuple[int, ...]
    dtype: str


class Traced(NamedTuple):
    """A restored stage as a pure function (variables, values) -> values of whole batches, for `exporting`.

    inputs: of what nobody makes that it reads, the shape as `jax.export.symbolic_shape` has it, b the batch, and dtype.
    """

    variables: Mapping[str, Any]
    apply: Callable[[Mapping[str, Any], Values], Values]
    inputs: Mapping[str, tuple[str, str]]


Section = TypeVar("Section", bound=StageSettings)


class Stage(abc.ABC, Generic[Section]):
    """One step of the chain, under its name and with its section of the settings.

    Subclasses set `Settings`, the dataclass of their section, and are named by the setting `stage`.
    """

    Settings: ClassVar[type[StageSettings]]
    suffixes: ClassVar[tuple[str, ...]] = ()  # of the files of new examples that `read` takes

    def __init__(self, name: str, settings: Section) -> None:
        self.name, self.settings = name, settings

    @property
    @abc.abstractmethod
    def reads(self) -> tuple[str, ...]:
        """Columns of the data set, and what earlier stages make."""

    @property
    @abc.abstractmethod
    def makes(self) -> tuple[str, ...]:
        """What later stages may read."""

    def depends(self, work: Work) -> Mapping[str, Any]:
        """What else it depends on, JSON-able: beside its section, what it reads, the splits and the code."""
        del work
        return {}

    def validate(self) -> None:
        """Raise UsageError for settings that cannot be, before any data is opened."""
        return

    def check(self, work: Work) -> None:
        """Raise UsageError for settings that this data does not allow, before any work."""
        del work

    def side_by_side(self, work: Work, asked: bool) -> bool:
        """Whether its `course` is advanced beside those of other seeds, as one program; asked: even if that is slow."""
        del work, asked
        return False

    def course(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Course:
        """The training that `build` goes through, to be advanced before; asked of stages that go `side_by_side`."""
        raise NotImplementedError

    @abc.abstractmethod
    def build(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """Do the work in `folder`, going on where an earlier sitting stopped; returns facts to keep, JSON-able.

        inputs: what it reads, by name: Views for inputs of networks, other columns as the data set has them.
        """

    def open(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """What it `makes`, by name, from the folder where it was built."""
        del inputs, folder, work
        return {}

    def show(self, images: np.ndarray) -> np.ndarray:
        """The "images" that it makes as a page shows them, uint8 `[N, H, W, 1 or 3]`."""
        return images

    def grade(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Graded | None:
        """What it says of every split, from the folder where it was built; None for a stage that does not grade."""
        del inputs, folder, work
        return None

    def region(self, values: Values) -> np.ndarray | None:
        """Where in the "images" that it makes of new examples what is graded lies, bool `[N, H, W]`, if known."""
        del values
        return None

    def regions(self, rows: np.ndarray, inputs: Mapping[str, Any], folder: Path, work: Work) -> np.ndarray | None:
        """The same of rows of the data set; inputs, folder and work as `open` has them."""
        del rows, inputs, folder, work
        return None

    def sample(self, record: Record) -> Values:
        """An example made up, of the size of those of the run, as `read` gives one: its name says what it is.

        To time grading by. record: as for `restore`.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def restore(self, folder: Path, record: Record) -> Callable[[Values], Values]:
        """The stage as it was built, for new examples: a function that adds what it makes to their values.

        Where what it needs is not among the values, they are returned as they are. record: of the cell, whose
        `stages[name]` are the facts that `build` returned.
        """

    def about(self, values: Values, folder: Path, record: Record) -> Sequence[About]:
        """What it says of new examples that the chain graded, beside their grades, one an example or none at all.

        values: what the chain made of them; its "grader" is the stage whose grades count.
        """
        del values, folder, record
        return ()

    def traced(self, folder: Path, record: Record) -> Traced:
        """The stage as it was built, as a pure function, to be exported; UsageError for a stage that cannot be."""
        raise UsageError(f"the stage {self.name}, {self.settings.stage}, cannot be exported: it has no traced()")

    def read(self, path: Path, record: Record) -> Values:
        """A file of new examples; raises UserError for one that cannot be read. Asked only for its `suffixes`."""
        raise NotImplementedError


def goal(settings: Settings) -> Goal:
    """The part of a study's settings that stages may depend on."""
    return Goal(settings.objective, settings.class_weights, settings.seed, settings.divide_by, settings.learns_from)


@contextlib.contextmanager
def blamed(name: str, section: StageSettings) -> Iterator[None]:
    """In this block, or function, whatever a stage of one's own raises is said of it."""
    own = parts.is_outside(section.stage)
    with parts.blamed(f"the stage {name}, {section.stage}") if own else contextlib.nullcontext():
        yield


def stages(settings: Settings) -> tuple[Stage[StageSettings], ...]:
    """The stages of the chain, in order; raises UsageError for a part that is none."""
    return tuple(_stage(name, settings.stages[name]) for name in settings.chain)


def _stage(name: str, section: StageSettings) -> Stage[StageSettings]:
    part = parts.find("stage", section.stage, STAGES)
    with blamed(name, section):
        stage = part(name, section)
        if not isinstance(stage, Stage):
            raise TypeError(f"it is a {type(stage).__name__}, and no Stage")
        for word in ("reads", "makes") if parts.is_outside(section.stage) else ():
            if not isinstance(getattr(stage, word), tuple):
                raise TypeError(f"{word} is {getattr(stage, word)!r}: it has to be a tuple of names")
    return stage


def check(chain: Sequence[Stage[StageSettings]], columns: Iterable[str]) -> None:
    """Raise UsageError unless every stage finds what it reads among the columns or what earlier ones make, and one
    grades.
    """
    names = tuple(stage.name for stage in chain)
    there = dict.fromkeys(columns, "the data")
    for stage in chain:
        for name in stage.reads:
            if name not in there:
                makers = [other.name for other in chain if name in other.makes]
                late = f"; {makers[0]} makes it, so put {stage.name} after that" if makers else ""
                raise UsageError(
                    f"chain is {names}, but {stage.name} reads {name}, and the data and the stages before it have "
                    f"{', '.join(there) or 'nothing'}{late}"
                )
        there |= dict.fromkeys(stage.makes, stage.name)
    if all(type(stage).grade is Stage.grade for stage in chain):
        raise UsageError(f"chain is {names}, and none of these grades: add a stage that does, such as grader")


@dataclasses.dataclass(frozen=True)
class Finished:
    """What a chain leaves: what its graders say, in order, facts about every stage, and images for a page, if any.

    places: where each stage was built.
    """

    graded: Mapping[str, Graded]
    facts: Mapping[str, Mapping[str, Any]]
    places: Mapping[str, Path]
    shown: np.ndarray | None


class Opened:
    """A chain whose last stage remains to be built, in `folder`; all others, which cells can share, are under
    `root`/stages.
    """

    def __init__(
        self, chain: Sequence[Stage[StageSettings]], work: Work, split: SplitSettings, folder: Path, root: Path
    ) -> None:
        material = work.material
        self._last, self._work, self._folder = chain[-1], work, folder
        self._values: dict[str, Any] = dict(material.dataset.columns)
        self._values |= {name: fixed(self._values[name]) for name in INPUTS if name in self._values}
        keys = dict.fromkeys(self._values, "")  # of the data, whose identity is in every key
        self._graded: dict[str, Graded] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}
        self._places: dict[str, Path] = {chain[-1].name: folder}
        self._looks: list[Callable[[np.ndarray], np.ndarray]] = []
        for stage in chain[:-1]:
            with blamed(stage.name, stage.settings):
                inputs = self._inputs(stage)
                key = {
                    "data": material.identity,
                    "split": differences(split),
                    "settings": differences(stage.settings),
                    "reads": {name: keys[name] for name in stage.reads},
                    "code": identity.of_stage(stage.settings),
                    **stage.depends(work),
                }
                counted = (leaf for leaf in leaves(stage.settings) if not leaf.is_a("place"))
                settings = {leaf.key: listed(leaf.value) for leaf in counted}
                place = shared.stage(root, stage.name, key, settings, functools.partial(_built, stage, inputs, work))
                self._places[stage.name] = place
                self._facts[stage.name] = {"folder": place.name, **shared.facts(place)}
                self._values |= opened(stage, inputs, place, work)
                keys |= dict.fromkeys(stage.makes, place.name)
                self._looks += [stage.show] * ("images" in stage.makes)
                self._grade(stage, inputs, place)

    def course(self) -> Course:
        """The training of the last stage; see `Stage.course`."""
        with blamed(self._last.name, self._last.settings):
            return self._last.course(self._inputs(self._last), self._folder, self._work)

    def finish(self, shown: int) -> Finished:
        """Build the last stage; shown: how many test images are kept."""
        stage, inputs, folder = self._last, self._inputs(self._last), self._folder
        with blamed(stage.name, stage.settings):
            self._facts[stage.name] = _built(stage, inputs, self._work, folder)
            self._grade(stage, inputs, folder)
        rows = self._work.material.splits["test"][:shown]
        images = np.asarray(self._values["images"](rows, None)) if "images" in self._values and len(rows) else None
        for look in self._looks:
            images = None if images is None else look(images)
        return Finished(self._graded, self._facts, self._places, images)

    def _inputs(self, stage: Stage[StageSettings]) -> dict[str, Any]:
        return {name: self._values[name] for name in stage.reads}

    def _grade(self, stage: Stage[StageSettings], inputs: Mapping[str, Any], place: Path) -> None:
        says = stage.grade(inputs, place, self._work)
        if not isinstance(says, Graded | None):
            raise TypeError(f"grade() gives a {type(says).__name__}: it has to give Graded, or None")
        self._graded |= {stage.name: says} if says else {}


def _built(stage: Stage[StageSettings], inputs: Mapping[str, Any], work: Work, folder: Path) -> Mapping[str, Any]:
    begun = time.perf_counter()
    facts = stage.build(inputs, folder, work)
    if not isinstance(facts, Mapping):
        raise TypeError(f"build() gives a {type(facts).__name__}: it has to give facts by name")
    return {**facts, record.BUILT: round(time.perf_counter() - begun, 3)}


def opened(stage: Stage[StageSettings], inputs: Mapping[str, Any], folder: Path, work: Work) -> dict[str, Any]:
    """What a stage makes; raises UsageError unless that is what it says."""
    values = stage.open(inputs, folder, work)
    if {*values} != {*stage.makes}:
        makes, gives = (", ".join(names) or "nothing" for names in (stage.makes, values))
        raise UsageError(f"the stage {stage.name} makes {makes}, and its open() gives {gives}")
    return {name: _seen(stage, name, value) if name in INPUTS else value for name, value in values.items()}


def _seen(stage: Stage[StageSettings], name: str, view: View) -> View:
    """The view, which has to show as many rows as it was asked for."""

    @blamed(stage.name, stage.settings)
    def look(rows: np.ndarray, rng: np.random.Generator | None) -> Any:
        inputs = view(rows, rng)
        if len(inputs) != len(rows):
            raise ValueError(f"its {name} are {len(inputs)} for {len(rows)} rows")
        return inputs

    return look
