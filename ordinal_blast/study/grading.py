"""Grades of new images, recordings and rows by the models of a finished cell, as the run graded its own examples."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ordinal_blast import parts, record, settings
from ordinal_blast.data import images, sheets
from ordinal_blast.data.sources import table
from ordinal_blast.errors import UsageError, UserError, one_line, reason
from ordinal_blast.record import Record
from ordinal_blast.settings import Settings, StageSettings
from ordinal_blast.study import identity, recipe
from ordinal_blast.study.recipe import Stage, Values
from ordinal_blast.training import compilation

_Item = TypeVar("_Item")


def grade(
    cell: Path,
    inputs: Sequence[Path],
    *,
    trust: Path | None = None,
    refuse: Callable[[UserError], None] | None = None,
) -> list[dict[str, Any]]:
    """What the run says of each input and task, as mappings ready for JSON.

    Keys: `input`, `model`, `task`, `grade` (its name), `decides_by` (the rule's name), `probs` per grade name, `score`
    (which ranks, see `Objective.score`), and `notes`, what was done to the input that its reader should know.

    An input is a file that the run's chain reads, or a folder of such: an image (see `data.images`), a table with the
    columns of the run's, or what a stage of the chain takes, such as a recording. The last grader of the chain that it
    has everything for grades it. Parts of the run that are not of this package are code: they are run only with
    `trust`, from that folder or the installed packages. refuse: called with the error of an input that cannot be
    graded, and the others are; without it the UserError is raised. UsageError for a cell that is not done, UserError
    for a damaged one.
    """

    def attempt(action: Callable[[Path], list[_Item]], path: Path) -> list[_Item]:
        try:
            return action(path)
        except UserError as error:
            if refuse is None:
                raise
            refuse(error)
            return []

    compilation.keep(Settings().compiled)  # not where a run says, which may be a stranger's: programs are code
    with _restored_run(cell, trust) as run:
        return [line for path in inputs for file in attempt(run.within, path) for line in attempt(run.grade, file)]


def text(graded: Sequence[Mapping[str, Any]]) -> str:
    """The grades as aligned lines, the notes of an input below its first."""
    width = max((len(line["input"]) for line in graded), default=0)
    shown: list[str] = []
    noted: set[str] = set()
    for line in graded:
        probs = "  ".join(f"{name} {share:.3f}" for name, share in line["probs"].items())
        by = f"({line['model']}, {line['decides_by']})"
        shown.append(f"{line['input']:{width}}  {line['task']} {line['grade']}  {probs}  {by}")
        if line["input"] not in noted:
            shown += [f"{'':{width}}  note: {note}" for note in line["notes"]]
            noted.add(line["input"])
    return "\n".join(shown)


class _Reader(NamedTuple):
    """Which files new examples come in, and how one is read."""

    suffixes: tuple[str, ...]
    read: Callable[[Path], Values]


class _Run(NamedTuple):
    """An opened cell, each stage of its chain restored."""

    record: Record
    reader: _Reader
    stages: Sequence[Callable[[Values], Values]]

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

    def grade(self, path: Path) -> list[dict[str, Any]]:
        """The lines of one input: every example, all its tasks one after another."""
        values = self.reader.read(path)
        for stage in self.stages:
            values = stage(values)
        if "graded" not in values:
            raise UserError(f"{path} has nothing that a model of the run reads")
        grades = {task.name: task.grades for task in self.record.tasks}
        return [
            {
                "input": name,
                "model": values["grader"],
                "task": task,
                "grade": grades[task][int(said.grades[row])],
                "decides_by": self.record.objective["decides_by"],
                "probs": dict(zip(grades[task], said.probs[row].tolist(), strict=True)),
                "score": float(said.scores[row]),
                "notes": [*values["notes"], *(values["row_notes"][row] if "row_notes" in values else ())],
            }
            for row, name in enumerate(values["names"])
            for task, said in values["graded"].items()
        ]


class Opened(NamedTuple):
    """A finished cell: its record, its settings, and the stages of its chain, each with the folder of what it built."""

    record: Record
    settings: Settings
    chain: Sequence[tuple[Stage[StageSettings], Path]]


@contextlib.contextmanager
def opened(cell: Path, trust: Path | None) -> Iterator[Opened]:
    """A finished cell, whose parts of one's own can be imported in this block; raises as `grade` does."""
    if not record.finished(cell):
        raise UsageError(
            f"{cell} is no finished cell (no result.json): give a folder such as runs/demo/cells/NAME, of a study "
            "runs/study/QUESTION/cells/NAME"
        )
    cell = cell.absolute()
    finished = record.read(cell)
    try:
        chosen = settings.resolve(finished.settings, f"the settings of {cell}")
    except UserError as error:
        raise UserError(f"{cell} holds no run that this version can read ({one_line(error)}); run it again") from error
    with _trusting(chosen, trust, finished.identity["code"]):
        chain = recipe.stages(chosen)
        yield Opened(finished, chosen, [(stage, _folder(stage, chain, cell, finished)) for stage in chain])


@contextlib.contextmanager
def _restored_run(cell: Path, trust: Path | None) -> Iterator[_Run]:
    with opened(cell, trust) as (finished, chosen, chain):
        reader = _reader([stage for stage, _ in chain], finished, chosen.data.source)
        yield _Run(finished, reader, [_restored(stage, folder, finished) for stage, folder in chain])


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
