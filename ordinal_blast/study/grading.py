"""Grades of new images, recordings and rows by the models of a finished cell, as the run graded its own examples."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ordinal_blast import parts, record, settings
from ordinal_blast.data import images, sheets
from ordinal_blast.data.sources import table
from ordinal_blast.errors import UsageError, UserError, one_line, reason
from ordinal_blast.evaluation import costs
from ordinal_blast.evaluation.conformal import GradeSets
from ordinal_blast.record import Record
from ordinal_blast.settings import SUMMARIES, Settings, StageSettings
from ordinal_blast.study import grade_sets, identity, recipe
from ordinal_blast.study.recipe import About, Stage, Values
from ordinal_blast.training import compilation
from ordinal_blast.types import Predictions

_Item = TypeVar("_Item")


def grade(
    cell: Path,
    inputs: Sequence[Path],
    *,
    level: float = 0.9,
    ensemble: bool = False,
    trust: Path | None = None,
    refuse: Callable[[UserError], None] | None = None,
) -> list[dict[str, Any]]:
    """What the run says of each input and task, as mappings ready for JSON.

    Keys: `input`, `model`, `task`, `grade` (its name), `set` (names of the grades of which one is the true one with a
    chance of `level`, by the run's validation examples; where these say nothing there is none), `decides_by` (the
    rule's name), `probs` per grade name, `score` (which ranks, see `Objective.score`), `seeds` that were asked, `about`
    (facts on the input beside its grades), `warnings`, and `notes`, what was done to the input that its reader should
    know.

    An input is a file that the run's chain reads, or a folder of such: an image (see `data.images`), a table with the
    columns of the run's, or what a stage of the chain takes, such as a recording. The last grader of the chain that it
    has everything for grades it. ensemble: all finished seeds of the cell's variant grade, and the mean of their
    probabilities counts. Parts of the run that are not of this package are code: they are run only with `trust`, from
    that folder or the installed packages. refuse: called with the error of an input that cannot be graded, and the
    others are; without it the UserError is raised. UsageError for a cell that is not done, UserError for a damaged one.
    """

    def attempt(action: Callable[[Path], list[_Item]], path: Path) -> list[_Item]:
        try:
            return action(path)
        except UserError as error:
            if refuse is None:
                raise
            refuse(error)
            return []

    grade_sets.check_level(level)
    compilation.keep(Settings().compiled)  # not where a run says, which may be a stranger's: programs are code
    with contextlib.ExitStack() as stack:
        cells = _seeds(cell) if ensemble else [cell]
        asked = Asked([stack.enter_context(restored_run(one, trust)) for one in cells], level)
        return [line for path in inputs for file in attempt(asked.within, path) for line in attempt(asked.grade, file)]


class _Reader(NamedTuple):
    """Which files new examples come in, and how one is read."""

    suffixes: tuple[str, ...]
    read: Callable[[Path], Values]


class _Restored(NamedTuple):
    """A stage of a chain, the folder of what it built, and what it does to new examples."""

    stage: Stage[StageSettings]
    folder: Path
    apply: Callable[[Values], Values]


class Run(NamedTuple):
    """An opened cell, each stage of its chain restored."""

    record: Record
    reader: _Reader
    stages: Sequence[_Restored]

    def until(self, name: str) -> Run:
        """The same without the stages after one."""
        last = next(n for n, one in enumerate(self.stages) if one.stage.name == name)
        return self._replace(stages=self.stages[: last + 1])

    def within(self, path: Path) -> list[Path]:
        """The input itself, or the files in a folder that may be graded, by name; raises UserError where none is."""
        if not path.is_dir():
            return [path]
        suffixes = self.reader.suffixes
        try:
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes)
        except OSError as error:
            raise UserError(f"cannot read the folder {path}: {reason(error)}") from error
        if not files:
            raise UserError(f"the folder {path} holds nothing to grade: no file ends in {', '.join(suffixes)}")
        return files

    def values(self, path: Path) -> Values:
        """What the chain makes of an input; raises UserError where nothing grades it."""
        values = self.reader.read(path)
        for one in self.stages:
            values = one.apply(values)
        if "graded" not in values:
            raise UserError(f"{path} has nothing that a model of the run reads")
        return values

    def about(self, values: Values) -> list[About]:
        """What its stages say of graded examples beside their grades, and what the grades say together."""
        grades = {task.name: task.grades for task in self.record.tasks}
        said = [About() for _ in values["names"]]
        for stage, folder, _ in self.stages:
            with recipe.blamed(stage.name, stage.settings):
                more = stage.about(values, folder, self.record)
            said = [_joined(*pair) for pair in zip(said, more, strict=True)] if more else said
        for name, place in SUMMARIES.items():
            summary = parts.find("summary", name, {name: place})
            facts = [
                summary({task: (int(one.grades[row]), len(grades[task])) for task, one in values["graded"].items()})
                for row in range(len(said))
            ]
            said = [_joined(About(own), one) for own, one in zip(facts, said, strict=True)]
        return said


class Asked:
    """The run that grades, or several seeds of it, of whose probabilities the mean counts."""

    def __init__(self, runs: Sequence[Run], level: float) -> None:
        self._runs, self._level = runs, level

    def within(self, path: Path) -> list[Path]:
        """See `Run.within`."""
        return self._runs[0].within(path)

    def grade(self, path: Path) -> list[dict[str, Any]]:
        """The lines of one input: every example, all its tasks one after another."""
        return self.lines([run.values(path) for run in self._runs])

    def lines(self, said: Sequence[Values]) -> list[dict[str, Any]]:
        """The lines of what each run makes of one input."""
        first = self._runs[0].record
        values, decides_by = said[0], first.objective["decides_by"]
        if len(said) > 1:
            graded = {task: _mean([one["graded"][task] for one in said], decides_by) for task in values["graded"]}
            values = {**values, "graded": {task: one for task, (one, _) in graded.items()}}
            decides_by = next(rule for _, rule in graded.values())
        grades = {task.name: task.grades for task in first.tasks}
        records = [run.record for run in self._runs]
        calibrated = grade_sets.calibrated(records, values["grader"], self._level)
        sets = {task: one.sets(values["graded"][task].probs) for task, one in calibrated.items()}
        about = self._runs[0].about(values)
        return [
            {
                "input": name,
                "model": values["grader"],
                "task": task,
                "grade": grades[task][int(said.grades[row])],
                **_among(sets.get(task), row, grades[task]),
                "decides_by": decides_by,
                "probs": dict(zip(grades[task], said.probs[row].tolist(), strict=True)),
                "score": float(said.scores[row]),
                "seeds": [record.seed for record in records],
                "about": dict(about[row].facts),
                "warnings": list(about[row].warnings),
                "notes": [note for note in _notes(values, row) if note not in about[row].warnings],
            }
            for row, name in enumerate(values["names"])
            for task, said in values["graded"].items()
        ]


def _notes(values: Values, row: int) -> list[str]:
    return [*values["notes"], *(values["row_notes"][row] if "row_notes" in values else ())]


def _among(sets: GradeSets | None, row: int, grades: Sequence[str]) -> dict[str, Any]:
    if sets is None:
        return {}
    return {"set": list(grades[sets.low[row] : sets.high[row] + 1]), "level": sets.level}


def _joined(one: About, other: About) -> About:
    return About({**one.facts, **other.facts}, (*one.warnings, *other.warnings))


def _mean(members: Sequence[Predictions], decides_by: str) -> tuple[Predictions, str]:
    """What the mean of probabilities says, by the same rule, and that rule; see `costs.decide_by`."""
    outputs, probs, scores = (
        np.mean([getattr(one, name) for one in members], axis=0) for name in ("outputs", "probs", "scores")
    )
    rule, grades = costs.decide_by(decides_by, probs, probs.shape[1])
    return Predictions(outputs, probs, grades, scores), rule


def _seeds(cell: Path) -> list[Path]:
    """The finished cells of the same folder and variant, by seed, this one among them; UsageError where it is alone."""
    _check_finished(cell)
    variant = record.asked(cell)[1]["variant"]
    beside = [one for one in cell.absolute().parent.iterdir() if one.is_dir() and record.finished(one)]
    same = [one for one in beside if record.asked(one)[1]["variant"] == variant]
    if len(same) < 2:
        raise UsageError(f"{cell} is the only finished seed of its variant {variant}: grade without an ensemble")
    return sorted(same, key=lambda one: record.read(one).seed)


class Opened(NamedTuple):
    """A finished cell: its record, its settings, and the stages of its chain, each with the folder of what it built."""

    record: Record
    settings: Settings
    chain: Sequence[tuple[Stage[StageSettings], Path]]


@contextlib.contextmanager
def opened(cell: Path, trust: Path | None) -> Iterator[Opened]:
    """A finished cell, whose parts of one's own can be imported in this block; raises as `grade` does."""
    _check_finished(cell)
    cell = cell.absolute()
    finished = record.read(cell)
    try:
        chosen = settings.resolve(finished.settings, f"the settings of {cell}")
    except UserError as error:
        raise UserError(f"{cell} holds no run that this version can read ({one_line(error)}); run it again") from error
    with _trusting(chosen, trust, finished.identity["code"]):
        chain = recipe.stages(chosen)
        yield Opened(finished, chosen, [(stage, _folder(stage, chain, cell, finished)) for stage in chain])


def _check_finished(cell: Path) -> None:
    if not record.finished(cell):
        raise UsageError(
            f"{cell} is no finished cell (no result.json): give a folder such as runs/demo/cells/NAME, of a study "
            "runs/study/QUESTION/cells/NAME"
        )


@contextlib.contextmanager
def restored_run(cell: Path, trust: Path | None) -> Iterator[Run]:
    """A finished cell whose stages are ready for new examples, in this block; raises as `grade` does."""
    with opened(cell, trust) as (finished, chosen, chain):
        reader = _reader([stage for stage, _ in chain], finished, chosen.data.source)
        restored = [_Restored(stage, folder, _restored(stage, folder, finished)) for stage, folder in chain]
        yield Run(finished, reader, restored)


def _folder(stage: Stage[StageSettings], chain: Sequence[Stage[StageSettings]], cell: Path, finished: Record) -> Path:
    """Where a stage of the chain was built: with the stages, or for the last in a cell, perhaps another one."""
    if stage is not chain[-1]:
        name = Path("stages", finished.stages[stage.name]["folder"])
        places = [root / name for root in cell.parents[1:3]]  # of a run, or of a study that has it as a question
        return next((place for place in places if place.is_dir()), places[0])
    while "shared_with" in (shared := _training(stage, finished)):
        cell = cell.parent / shared.get("shared_in", "") / shared["shared_with"]
        finished = record.read(cell)
    return cell


def _training(stage: Stage[StageSettings], finished: Record) -> Mapping[str, Any]:
    return finished.models[stage.name].training if stage.name in finished.models else {}


def _reader(chain: Sequence[Stage[StageSettings]], finished: Record, source: str) -> _Reader:
    """The first stage that reads files, or what reads the images or the rows that the first grader does."""
    for stage in chain:
        if stage.suffixes:
            read = functools.partial(stage.read, record=finished)
            return _Reader(stage.suffixes, recipe.blamed(stage.name, stage.settings)(read))
    first = next(iter(finished.models.values()))
    reads = next(stage.reads[0] for stage in chain if stage.name == first.name)
    makers = [stage.name for stage in chain if reads in stage.makes]
    if makers:  # the size of what it makes them of is its own affair
        raise UsageError(
            f"{finished.cell} was trained on {reads} that the stage {makers[0]} makes, which reads no files of new "
            "examples: set its suffixes, and read"
        )
    if reads == "images" and first.dtype == "uint8":
        return _Reader(images.SUFFIXES, lambda path: _image(path, first.inputs))
    if reads == "numbers" and "table" in finished.dataset["extras"]:
        return _Reader(sheets.SUFFIXES, lambda path: _table(path, finished))
    raise UsageError(
        f"{finished.cell} was trained on {reads} ({first.dtype}) of the source {source}, which come in no "
        "file that grade reads: 8-bit images and rows of tables do"
    )


def _restored(stage: Stage[StageSettings], folder: Path, finished: Record) -> Callable[[Values], Values]:
    """The stage for new examples; what it raises then is said of it too."""
    blamed = recipe.blamed(stage.name, stage.settings)
    return blamed(blamed(stage.restore)(folder, finished))


def _image(path: Path, shape: tuple[int, ...]) -> Values:
    pixels, notes = images.fit(images.read(path), shape)
    return {"names": [str(path)], "notes": notes, "images": pixels[None]}


def _table(path: Path, finished: Record) -> Values:
    rows = table.rows(path, finished.dataset["extras"])
    return {"names": rows.places, "notes": (), "row_notes": dict(enumerate(rows.notes)), "numbers": rows.numbers}


@contextlib.contextmanager
def _trusting(chosen: Settings, trust: Path | None, trained: Mapping[str, str]) -> Iterator[None]:
    """Where parts are from outside the package: find them as training did, from `trust`, or refuse them.

    trained: the digest of each source file that the run was trained with.
    """
    outside = identity.outside(chosen)
    if not outside:
        yield
        return
    listed = ", ".join(f"{key} {name}" for key, name in outside.items())
    if trust is None:
        raise UsageError(
            f"the run has {listed}: code from outside this package. To run it, give --trust FOLDER, the folder in "
            "which the run was made (any folder where its modules are installed)"
        )
    if not trust.is_dir():
        raise UsageError(f"--trust {trust}: there is no such folder")
    with parts.from_folder(trust), parts.held():
        now = identity.of_parts(outside.values())
        if changed := [file for file, text in now.items() if trained.get(file) != text]:
            raise UserError(f"the run was trained with another text of {', '.join(changed)}: restore it")
        yield
