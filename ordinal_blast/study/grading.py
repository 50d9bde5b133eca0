"""Grades of new images, recordings and rows by the models of a finished cell, as the run graded its own examples."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from ordinal_blast import objectives, record
from ordinal_blast.data import images
from ordinal_blast.data.sources import table
from ordinal_blast.embryo import recordings, timelapse
from ordinal_blast.embryo.crops import cropping, extract
from ordinal_blast.embryo.recordings import Recording
from ordinal_blast.errors import UsageError, UserError, reason, told
from ordinal_blast.storage import read_json
from ordinal_blast.study import chain, identity, problems
from ordinal_blast.study.cell import decide
from ordinal_blast.training import loop, parallel
from ordinal_blast.training.problem import Problem
from ordinal_blast.types import Task

_CHUNK = 128
_FRAMES = ("planes", "start_hpi", "stop_hpi", "step_h", "max_frames", "cnn_time")  # settings that a recording needs
_NEAR = 1.0  # µm: focal planes nearer than that are the same


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

    An input is an image (see `data.images`), where the run grades time-lapse an `.npz` recording too (see
    `data.recordings`), where it grades tables a CSV file with its columns, or a folder of such files. A recording is
    graded by the last model of the run's chain, a single image by its CNN, every row of a table by itself.
    A loss that is not of this package runs the code that the run's configuration names: it is imported only with
    `trust`, from that folder or the installed packages. refuse: told of an input that cannot be graded, and the others
    are; without it the UserError is raised. UsageError for a cell that is not done, UserError for a damaged one.
    """

    def attempt(action: Callable[[Path], list[Any]], path: Path) -> list[Any]:
        try:
            return action(path)
        except UserError as error:
            if refuse is None:
                raise
            refuse(error)
            return []

    run = _open(cell, trust)
    return [line for path in inputs for each in attempt(run.within, path) for line in attempt(run.grade, each)]


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


class _Model(NamedTuple):
    """A trained model of the run, with each task and the objective that decides it."""

    name: str
    problem: Problem
    variables: Any
    decisions: Sequence[tuple[Task, objectives.Objective]]


class _Run(NamedTuple):
    """An opened cell. cropper: the folder of its trained cropper, or None where it grades single images."""

    cell: Path
    config: Any
    rule: str
    result: Mapping[str, Any]
    models: Mapping[str, _Model]
    cropper: Path | None

    def within(self, path: Path) -> list[Path]:
        """The input itself, or the files in a folder that may be graded, by name; raises UserError where none is."""
        if not path.is_dir():
            return [path]
        suffixes = (".csv",) if "mlp" in self.models else (*images.SUFFIXES, *((".npz",) if self.cropper else ()))
        try:
            found = sorted(each for each in path.iterdir() if each.suffix.lower() in suffixes)
        except OSError as error:
            raise UserError(f"cannot read the folder {path}: {reason(error)}") from error
        if not found:
            raise UserError(f"the folder {path} holds nothing to grade: no file ends in {', '.join(suffixes)}")
        return found

    def grade(self, path: Path) -> list[dict[str, Any]]:
        """The lines of one input."""
        if "mlp" in self.models:
            return self._table(path)
        if path.suffix.lower() != ".npz":
            return self._image(path)
        if self.cropper is None:
            raise UserError(f"{path} is a recording, but {self.cell} grades single images: give image files")
        return self._recording(path)

    def _table(self, path: Path) -> list[dict[str, Any]]:
        columns, headed = self.result["dataset"]["columns"], bool(self.config.data.options.label)
        places, features = table.rows(path, columns, headed)
        return self._lines(places, "mlp", chain.standardize(features, self.result["stages"]), ())

    def _image(self, path: Path) -> list[dict[str, Any]]:
        photograph = images.read(path)
        if self.cropper is None:
            pixels, notes = images.fit(photograph, tuple(self.result["inputs"]["cnn"]))
            return self._lines([str(path)], "cnn", pixels[None], notes)
        side = min(photograph.pixels.shape[:2])
        square, notes = images.fit(photograph, (side, side, 1))  # one frame, the same in every focal plane
        planes = tuple(self.config.frames.planes)
        if len(planes) > 1:
            notes += (f"one focal plane, which stands in for all {len(planes)} of the run",)
        area, crops = self._crops(np.repeat(square[None], len(planes), axis=-1), planes)
        return self._lines([str(path)], "cnn", crops, (*notes, *_unseen(area)))

    def _recording(self, path: Path) -> list[dict[str, Any]]:
        """As `study.timelapse` does it: frames by the hour and at the CNN's time, crops, tMEB, then the models."""
        read, asked = recordings.read(path), self.config.frames
        hours = timelapse.hours(asked.start_hpi, asked.stop_hpi, asked.step_h)
        if read.hpi[-1] < hours[0] or read.hpi[0] > hours[-1]:
            raise UserError(f"{path} has no frame between {hours[0]:g} and {hours[-1]:g} hpi: nothing to grade")
        notes = _stand_ins(read, hours, asked)
        at = timelapse.nearest(read.hpi, hours)
        area, crops = self._crops(*_of(read, at))
        last = timelapse.maximum_expansion(area[None], hours, asked.start_hpi)
        if "rnn" in self.models:
            cnn = self.models["cnn"]
            features = extract(cnn.problem, cnn.variables, crops.__getitem__, len(crops), _device())
            x = timelapse.sequences(features[None], last, asked.max_frames)
            return self._lines([str(path)], "rnn", x, (*notes, *_unseen(area)))
        if asked.cnn_time == "tA" and read.assessed is None:
            notes = (*notes, "it has no tA, the time that the run grades at: graded at its maximum expansion")
        if asked.cnn_time == "tMEB" or (asked.cnn_time == "tA" and read.assessed is None):
            chosen = last
        else:
            time = read.assessed if asked.cnn_time == "tA" else float(asked.cnn_time)
            area, crops = self._crops(*_of(read, timelapse.nearest(read.hpi, np.asarray([time]))))
            chosen = np.zeros(1, int)
        return self._lines([str(path)], "cnn", crops[chosen], (*notes, *_unseen(area[chosen])))

    def _crops(self, frames: np.ndarray, planes: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Area `[T]` of the embryo in each frame, and crops `[T, size, size, 3]` in the planes that the CNN reads."""
        problem, variables = cropping(self.config, planes, self.cropper)
        made = parallel.predict(problem, variables, frames.__getitem__, len(frames), _CHUNK, _device())
        chosen = list(timelapse.plane_indices(planes, self.config.frames.planes))
        return made["area"], made["crops"][..., chosen]

    def _lines(self, names: Sequence[str], by: str, x: np.ndarray, notes: Sequence[str]) -> list[dict[str, Any]]:
        """What the model `by` says of the examples `x` `[N, ...]`, all its tasks of one after another."""
        model = self.models[by]
        outputs = parallel.predict(model.problem, model.variables, x.__getitem__, len(x), _CHUNK, _device())
        made = [
            (task, decide(objective, self.rule, names, [-1] * len(names), outputs[task.name]))
            for task, objective in model.decisions
        ]
        return [
            {
                "input": name,
                "model": by,
                "task": task.name,
                "grade": task.grades[int(said.grades[row])],
                "decides_by": self.result["objective"]["decides_by"],
                "probs": dict(zip(task.grades, said.probs[row].tolist(), strict=True)),
                "score": float(said.scores[row]),
                "notes": list(notes),
            }
            for row, name in enumerate(names)
            for task, said in made
        ]


def _open(cell: Path, trust: Path | None) -> _Run:
    if not record.finished(cell):
        raise UsageError(f"{cell} is no finished cell (no result.json): give a folder such as runs/demo/cells/NAME")
    cell = cell.absolute()
    result = record.read_result(cell)
    try:
        config = ConfigDict(read_json(cell / record.CONFIG))
        links = tuple(config.chain)
        if "mlp" in links and config.data.source != "table":
            raise UsageError(f"{cell} grades rows of its own source {config.data.source}, which grade cannot read")
        if (read := result["input_types"].get("cnn", "uint8")) != "uint8":
            raise UsageError(f"{cell} was trained on {read} images of its own source: grade gives models uint8 pixels")
        stages = {
            name: cell.parents[1] / "stages" / facts["folder"]
            for name, facts in result["stages"].items()
            if "folder" in facts
        }
        folders = {**stages, links[-1]: _trained(cell, result)}
        with _importing(config.objective.name, trust, result["identity"]["code"]):
            models = {name: _model(config, result, name, folders[name]) for name in links if name != "cropper"}
        cropper = folders.get("cropper")
        if cropper:  # what is missing is told here once, not for every input
            planes, *_ = (config.frames[name] for name in _FRAMES)
            cropping(config, planes, _with_checkpoint(cropper))
        return _Run(cell, config, config.objective.rule, result, models, cropper)
    except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{cell} holds no run that this version can read ({told(error)}); run the "
            "command that made it again in a new --workdir"
        ) from error


def _model(config: Any, result: Mapping[str, Any], name: str, folder: Path) -> _Model:
    tasks = {row["task"]: Task(row["task"], tuple(row["grades"])) for row in result["rows"]}
    given, options = result["objective"], dict(config.objective.options)
    bound = {
        task.name: objectives.get(
            config.objective.name,
            num_classes=task.num_classes,
            fitted=given["fitted"][f"{name}/{task.name}"],
            **options,
        )
        for task in tasks.values()
    }
    problem = problems.grading(name, config[name], bound)
    like = np.zeros((1, *result["inputs"][name]), result["input_types"][name])
    decisions = chain.decisions(bound, given["undone_weights"])
    variables = loop.restore(problem, like, _with_checkpoint(folder))
    return _Model(name, problem, variables, [(task, decisions[task.name]) for task in tasks.values()])


def _trained(cell: Path, result: Mapping[str, Any]) -> Path:
    """The cell whose training this one uses: another, where only the decision differs."""
    while name := result["training"][-1].get("shared_with"):
        cell = cell.parent / name
        result = record.read_result(cell)
    return cell


def _with_checkpoint(folder: Path) -> Path:
    """The folder, if a model was trained there: looking for one with Orbax would make the folders of one."""
    if not (folder / "checkpoints").is_dir():
        raise UserError(f"{folder} holds no trained model: give a cell where it lies in its --workdir, with the stages")
    return folder


@contextlib.contextmanager
def _importing(name: str, trust: Path | None, trained: Mapping[str, str]) -> Iterator[None]:
    """Where the objective is from outside the package: imports it as training did, from `trust`, or refuses it.

    trained: the digest of each source file that the run was trained with.
    """
    if ":" not in name:
        yield
        return
    module = name.partition(":")[0]
    if trust is None:
        raise UsageError(
            f"the run's loss is {name}, code from outside this package: to import and run it, give --trust FOLDER, the "
            f"folder of {module}.py (any folder where {module} is installed)"
        )
    if not trust.is_dir():
        raise UsageError(f"--trust {trust}: there is no such folder")
    folder = str(trust.absolute())
    sys.path.append(folder)
    try:
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as error:  # whatever the code of that file raises
            raise UsageError(
                f"cannot import the run's loss {name} from {folder} or the installed packages: {told(error)}"
            ) from error
        changed = [file for file, text in identity.of_module(module).items() if trained.get(file) != text]
        if changed:
            raise UserError(f"the run's loss {name} was trained with another text of {', '.join(changed)}: restore it")
        yield
    finally:
        sys.path.remove(folder)


def _of(read: Recording, at: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]]:
    return read.frames[at], read.planes


def _stand_ins(read: Recording, hours: np.ndarray, asked: Any) -> tuple[str, ...]:
    """What a recording lacks of the hours and focal planes that the run looks at, and what is taken instead."""
    notes = []
    if read.hpi[0] - hours[0] >= asked.step_h or hours[-1] - read.hpi[-1] >= asked.step_h:
        notes.append(
            f"it runs from {read.hpi[0]:g} to {read.hpi[-1]:g} hpi, and the run looks from {hours[0]:g} to "
            f"{hours[-1]:g}: its first and last frames stand in"
        )
    nearest = [read.planes[i] for i in timelapse.plane_indices(read.planes, asked.planes)]
    if np.abs(np.subtract(nearest, asked.planes)).max() > _NEAR:
        planes = (", ".join(f"{plane:g}" for plane in each) for each in (nearest, asked.planes))
        notes.append("its focal planes {} µm stand in for {} µm".format(*planes))
    return tuple(notes)


def _unseen(area: np.ndarray) -> tuple[str, ...]:
    return () if (area > 0).any() else ("the cropper finds no embryo: the middle of the frame is graded",)


def _device() -> tuple[jax.Device, ...]:
    return tuple(jax.local_devices()[:1])
