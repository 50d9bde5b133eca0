"""What a cell leaves in its folder: one typed record, written and read here and nowhere else.

`config.json` says what was asked for and `identity.json` what the cell is made of, both before any work.
`predictions.npz` holds what the stages say of every example. `result.json`, written last, holds all that was measured,
one row per stage, task and split, and the digests of the three: one that was edited, swapped or cut short is refused.
`plan.json` of the work directory names its cells.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast import question
from ordinal_blast.errors import UsageError, UserError, reason
from ordinal_blast.storage import digest, file_digest, jsonable, read_json, read_npz, write_json, write_npz
from ordinal_blast.types import NO_ID, RATERS, Task

SCHEMA = 2
CONFIG, IDENTITY, PREDICTIONS, RESULT = "config.json", "identity.json", "predictions.npz", "result.json"
ELSEWHERE = "made elsewhere"  # the device, and a fact of the training, of predictions that were imported
TIMED, SECONDS = "timed", "seconds_of_one"  # facts of stages: which new example was graded, and how long each took
BUILT = "build_seconds"  # how long a stage took, in the sitting that ended it
ERROR, PLAN, QUESTIONS = "error.txt", "plan.json", "questions.json"
METRICS = "metrics.jsonl"  # of a cell or a stage that trains, by `training.journal`: one line an epoch
NO_RUN = f"holds no run (no {PLAN}): give the --workdir of train, ablate, study or demo"
WRITTEN = (CONFIG, IDENTITY, PREDICTIONS, RESULT, PLAN, QUESTIONS)  # atomically, so that a kill may leave a neighbour
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{,199}")  # of a cell
_ARRAYS = ("labels", "weights", "outputs", "probs", "grades", "scores")  # of a task, as `TaskResult` names them


@dataclasses.dataclass(frozen=True, eq=False)
class TaskResult:
    """What is said of the examples of one split in one task, and how well; N examples, K grades.

    labels: int `[N]`, -1 where missing; weights: `[N]`; outputs: raw `[N, num_outputs]`; probs: `[N, K]`; grades: int
    `[N]`, the decision; scores: `[N]`, what ranks. measures and loss are NaN where they are undefined.
    """

    task: Task
    labels: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray
    probs: np.ndarray
    grades: np.ndarray
    scores: np.ndarray
    measures: Mapping[str, float]
    loss: float

    @property
    def n(self) -> int:
        """How many examples have a label, on which measures rest."""
        return int((self.labels >= 0).sum())


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """One of train, val and test, or a set apart: ids `[N]`, what else travels along by its name, and the tasks.

    Columns are `[N]`; those of grades by several raters, whose names begin with `types.RATERS`, are `[N, R]`.
    """

    name: str
    ids: np.ndarray
    columns: Mapping[str, np.ndarray]
    tasks: Mapping[str, TaskResult]


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """What one trained stage leaves.

    training: epochs, best_epoch, parameters, seconds, history, and shared_with where another cell was trained, with
    shared_in where that is of another question: the folder of its cells, as seen from that of this one's.
    inputs: the shape of one example, dtype its type. fitted: per task, what its decision was given by training, and its
    "calibration" on the validation set, if any (see `study.decisions.calibrate`).
    """

    name: str
    splits: Mapping[str, Split]
    training: Mapping[str, Any]
    inputs: tuple[int, ...]
    dtype: str
    fitted: Mapping[str, Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Test images that are kept for the page, `[N, H, W, C]`, and their ids `[N]`."""

    frames: np.ndarray
    ids: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """A finished cell: one variant with one seed.

    settings: all of them, as `settings.tree` gives them. identity: its variant, its data, the text of its code.
    objective: name, options, rule, correct_weights, calibration (older records lack it: none), decides_by,
    undone_weights. measures: those of one's own, and whether higher is better. dataset: name, summary, licence,
    citation, identity, split, columns, sizes, and raters, their names, where these are known. stages: facts of each,
    its shared folder among them. provenance: versions, device, settings (their digest). models: the trained stages in
    order.
    """

    cell: str
    variant: str
    seed: int
    experiment: str
    settings: Mapping[str, Any]
    identity: Mapping[str, Any]
    objective: Mapping[str, Any]
    class_weights: str
    measures: Mapping[str, bool]
    dataset: Mapping[str, Any]
    warnings: tuple[str, ...]
    stages: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]
    published: Mapping[str, Any]
    models: Mapping[str, Model]
    examples: Examples | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What was graded, in order."""
        first = next(iter(self.models.values()))
        return tuple(result.task for result in next(iter(first.splits.values())).tasks.values())

    def results(self) -> Iterator[tuple[Model, Split, TaskResult]]:
        """Every stage, task and split, in order."""
        for model in self.models.values():
            for task in dict.fromkeys(name for split in model.splits.values() for name in split.tasks):
                for split in (split for split in model.splits.values() if task in split.tasks):
                    yield model, split, split.tasks[task]

    def by_id(self) -> Record:
        """The same record with the examples of every split in the order of their ids."""
        models = {
            name: dataclasses.replace(model, splits={key: _by_id(split) for key, split in model.splits.items()})
            for name, model in self.models.items()
        }
        return dataclasses.replace(self, models=models)


def _by_id(split: Split) -> Split:
    if bool((split.ids[:-1] <= split.ids[1:]).all()):
        return split
    order = np.argsort(split.ids, kind="stable")
    tasks = {
        name: dataclasses.replace(result, **{field: getattr(result, field)[order] for field in _ARRAYS})
        for name, result in split.tasks.items()
    }
    return Split(split.name, split.ids[order], {name: c[order] for name, c in split.columns.items()}, tasks)


_ELSEWHERE = ("settings", "models", "examples")  # fields of a record that do not stand in the head of its result
_HEAD = tuple(field.name for field in dataclasses.fields(Record) if field.name not in _ELSEWHERE)


def folder_of(root: Path, cell: str) -> Path:
    """The folder of a cell of a work directory."""
    return root / "cells" / cell


def begin(folder: Path, settings: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Write what the cell of `folder` is made of, before any work."""
    write_json(folder / CONFIG, settings)
    write_json(folder / IDENTITY, identity)


def began(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The settings and the identity of the cell that was begun in `folder`; None where none was.

    Raises UserError for files that are damaged, and of a finished cell for any that is not what it wrote.
    """
    if finished(folder):
        return read_json(folder / CONFIG), _checked(folder)["identity"]
    if not (folder / IDENTITY).exists():
        return None
    return asked(folder)


def asked(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings and the identity of the cell in `folder`, as they stand there: for a look while others write.

    Raises UserError where they cannot be read.
    """
    return read_json(folder / CONFIG, ("objective",)), read_json(folder / IDENTITY, ("variant", "data", "code"))


def finished(folder: Path) -> bool:
    """Whether the cell is done: its result is written last."""
    return (folder / RESULT).exists()


def finished_at(folder: Path) -> float:
    """When the finished cell was, in seconds of `time.time`."""
    return (folder / RESULT).stat().st_mtime


def epochs(folder: Path) -> int:
    """How many epochs are behind what trains, or has trained, in the folder of a cell or a stage."""
    try:
        return (folder / METRICS).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def failure(folder: Path) -> str | None:
    """The error of a cell that failed; None where there is none."""
    try:
        return (folder / ERROR).read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{ERROR} cannot be read: {reason(error)}"


def write(folder: Path, record: Record) -> None:
    """Finish the cell in `folder`: settings and predictions, then the result with the digests.

    Floats of predictions are stored as float32.
    """
    write_json(folder / CONFIG, record.settings)
    write_npz(folder / PREDICTIONS, _arrays(record))
    content = {"schema": SCHEMA, **jsonable(_result(record))}
    digests = {
        "config": file_digest(folder / CONFIG),
        "predictions": file_digest(folder / PREDICTIONS),
        "result": digest(content),  # of everything but these digests
    }
    write_json(folder / RESULT, {**content, "digests": digests})


def read(folder: Path) -> Record:
    """The record of the finished cell in `folder`.

    Raises UserError where a file is missing, damaged, of another schema or not what the cell wrote, and where arrays do
    not fit each other.
    """
    result = _checked(folder)
    arrays = read_npz(folder / PREDICTIONS)
    if lacking := [key for key in (*_HEAD, "models", "rows") if key not in result]:
        raise UserError(f"{folder / RESULT} lacks {lacking[0]}: it is of another version; {_again(folder)}")
    try:
        models = {
            name: Model(
                name,
                _splits(folder / PREDICTIONS, name, result["rows"], arrays),
                model["training"],
                tuple(model["inputs"]),
                model["dtype"],
                model["fitted"],
            )
            for name, model in result["models"].items()
        }
        examples = Examples(arrays["examples/frames"], arrays["examples/ids"]) if "examples/ids" in arrays else None
        head = {key: result[key] for key in _HEAD} | {"warnings": tuple(result["warnings"])}
        return Record(**head, settings=read_json(folder / CONFIG, ("objective",)), models=models, examples=examples)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{folder} holds no record that this version can read: {reason(error)}; {_again(folder)}"
        ) from error


def tests(folder: Path) -> dict[str, float]:
    """Every defined measure on the test set, "stage/task/measure", from the result alone."""
    values = {
        f"{row['model']}/{row['task']}/{name}": _number(value)
        for row in _checked(folder, predictions=False)["rows"]
        if row["split"] == "test"
        for name, value in row["metrics"].items()
    }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def headline(folder: Path) -> dict[str, float]:
    """QWK on the test set of the last stage, by task, from the result alone; NaN where it is undefined."""
    rows = [row for row in _checked(folder, predictions=False)["rows"] if row["split"] == "test"]
    return {row["task"]: _number(row["metrics"]["qwk"]) for row in rows if row["model"] == rows[-1]["model"]}


def may_be_folder(name: str) -> bool:
    """Whether a cell or a question of this name can have a folder of it in a work directory."""
    return _FOLDER.fullmatch(name) is not None


def write_questions(root: Path, names: Sequence[str]) -> None:
    """Write `questions.json` of a work directory: the folders in it that have a plan each, in order."""
    write_json(root / QUESTIONS, {"schema": SCHEMA, "questions": [*names]})


def read_questions(root: Path) -> list[str]:
    """The folders that `write_questions` named, none where it was not called.

    Raises UserError for a file that is damaged, or of another schema.
    """
    path = root / QUESTIONS
    if not path.exists():
        return []
    kept = read_json(path, ("schema", "questions"))
    names = kept["questions"]
    if kept["schema"] != SCHEMA:
        raise UserError(f"{path} has schema {kept['schema']}, this version reads {SCHEMA}: use another --workdir")
    if not (isinstance(names, list) and all(isinstance(name, str) and may_be_folder(name) for name in names)):
        raise UserError(f"{path} is damaged: delete it and run the command that wrote it again")
    return names


def plans(root: Path) -> dict[str, dict[str, Any]]:
    """The plan of every question of a work directory, by the name of its folder; under "" that of the directory itself.

    Without those that are not written yet. Raises UsageError where there is none, UserError as `read_plan` does.
    """
    folders = [name for name in read_questions(root) or [""] if (root / name / PLAN).exists()]
    if not folders:
        raise UsageError(f"{root} {NO_RUN}")
    return {name: read_plan(root / name) for name in folders}


def write_plan(root: Path, plan: Mapping[str, Any]) -> None:
    """Write `plan.json` of a work directory; the keys are those that `read_plan` asks for."""
    write_json(root / PLAN, {**plan, "schema": SCHEMA})


def read_plan(root: Path) -> dict[str, Any]:
    """`plan.json` of a work directory: what its cells are, and what they are to answer.

    Raises UserError where it is missing, damaged, or of another schema.
    """
    path = root / PLAN
    plan = read_json(path, ("schema", "experiment", "question", "reference", "variants", "seeds", "cells", "command"))
    if plan["schema"] != SCHEMA:
        raise UserError(f"{path} has schema {plan['schema']}, this version reads {SCHEMA}: use another --workdir")
    texts = [plan[key] for key in ("experiment", "question", "command")]
    lists = [plan[key] for key in ("variants", "seeds", "cells")]
    sound = (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(items, list) and items for items in lists)
        and all(isinstance(name, str) for name in (*plan["variants"], *plan["cells"]))
        and all(isinstance(seed, int) for seed in plan["seeds"])
        and all(may_be_folder(name) for name in plan["cells"])
        and all(len(set(items)) == len(items) for items in lists)
        and plan["reference"] in plan["variants"]
    )
    try:
        if sound:
            return plan | question.of_plan(plan).tree()
    except ValueError:
        pass
    raise UserError(f"{path} is damaged; delete it and run the command that wrote it again")


def _result(record: Record) -> dict[str, Any]:
    """What `result.json` says, for people too."""
    return {
        **{key: getattr(record, key) for key in _HEAD},
        "rows": [
            {
                "model": model.name,
                "split": split.name,
                "task": result.task.name,
                "n": result.n,
                "num_classes": result.task.num_classes,
                "grades": result.task.grades,
                "metrics": result.measures,
                "loss": result.loss,
            }
            for model, split, result in record.results()
        ],
        "models": {
            model.name: {key: getattr(model, key) for key in ("inputs", "dtype", "fitted", "training")}
            for model in record.models.values()
        },
    }


def _arrays(record: Record) -> dict[str, np.ndarray]:
    """What `predictions.npz` holds: FIELD/STAGE/SPLIT/TASK, and the columns that the tasks of a split share."""
    arrays: dict[str, np.ndarray] = {}
    for model, split, result in record.results():
        place = f"{model.name}/{split.name}"
        arrays[f"ids/{place}"] = split.ids
        arrays |= {f"columns/{place}/{name}": column for name, column in split.columns.items()}
        for field in _ARRAYS:
            array = np.asarray(getattr(result, field))
            narrow = array.astype(np.float32) if array.dtype == np.float64 else array
            arrays[f"{field}/{place}/{result.task.name}"] = narrow
    if record.examples is not None:
        arrays |= {"examples/frames": record.examples.frames, "examples/ids": record.examples.ids}
    return arrays


def _splits(path: Path, model: str, rows: list[dict[str, Any]], arrays: Mapping[str, np.ndarray]) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    tasks: dict[str, dict[str, TaskResult]] = {}
    for row in (row for row in rows if row["model"] == model):
        name = row["split"]
        if name not in splits:
            start = f"columns/{model}/{name}/"
            columns = {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}
            splits[name] = Split(name, _array(path, arrays, f"ids/{model}/{name}"), columns, tasks.setdefault(name, {}))
            _check_columns(path, model, splits[name])
        task = Task(row["task"], tuple(row["grades"]))
        place = f"{model}/{name}/{task.name}"
        measures = {key: _number(value) for key, value in row["metrics"].items()}
        fields = {field: _array(path, arrays, f"{field}/{place}") for field in _ARRAYS}
        result = TaskResult(task, **fields, measures=measures, loss=_number(row["loss"]))
        _check_fit(path, place, splits[name], result)
        tasks[name][task.name] = result
    return splits


def _array(path: Path, arrays: Mapping[str, np.ndarray], key: str) -> np.ndarray:
    if key not in arrays:
        raise UserError(f"{path} lacks {key}, which {RESULT} measured; {_again(path.parent)}")
    return arrays[key]


def _check_columns(path: Path, model: str, split: Split) -> None:
    """Raise UserError unless the columns of a split have one value for every id, and the group of each is known.

    Grades by several raters are `[N, R]`.
    """
    shape = (split.ids.size,)
    for name, column in {"ids": split.ids, **split.columns}.items():
        if (column.shape[:1] if name.startswith(RATERS) and column.ndim == 2 else column.shape) != shape:
            raise UserError(
                f"{path}: {name} of {model}/{split.name} has shape {column.shape}, not {shape}; {_again(path.parent)}"
            )
    groups = split.columns.get("group", np.array([], str))
    unknown = np.flatnonzero(np.isin(np.strings.strip(groups.astype(str, copy=False)), NO_ID))
    if len(unknown):
        raise UserError(
            f"{path}: group of {model}/{split.name} has no id at {unknown[0]}; run the cell again with a group for each"
        )


def _check_fit(path: Path, place: str, split: Split, result: TaskResult) -> None:
    """Raise UserError unless the arrays of a task are of one length and hold grades that exist."""
    n, k = len(split.ids), result.task.num_classes
    wrong = {
        "labels": not _are_grades(result.labels, n, -1, k),
        "weights": result.weights.shape != (n,),
        "outputs": result.outputs.ndim != 2 or len(result.outputs) != n,
        "probs": result.probs.shape != (n, k),
        "grades": not _are_grades(result.grades, n, 0, k),
        "scores": result.scores.shape != (n,) or result.scores.dtype.kind != "f" or bool(np.isnan(result.scores).any()),
    }
    for field in (field for field, bad in wrong.items() if bad):
        raise UserError(f"{path}: {field}/{place} does not fit {n} examples of {k} grades; {_again(path.parent)}")
    if split.name == "test" and not result.n:
        raise UserError(f"{path}: no test example of {place} has a label, so that nothing is measured")


def _are_grades(array: np.ndarray, n: int, least: int, k: int) -> bool:
    return array.shape == (n,) and array.dtype.kind in "iu" and bool(((array >= least) & (array < k)).all())


def _number(value: float | None) -> float:
    """NaN for everything that is no number to compute with."""
    return float(value) if value is not None and math.isfinite(value) else math.nan


def _checked(folder: Path, predictions: bool = True) -> dict[str, Any]:
    """`result.json`, after the digests of the files of the cell were checked; raises UserError for the first wrong."""
    path = folder / RESULT
    result = read_json(path, ("schema",))
    if result["schema"] != SCHEMA or not isinstance(result.get("digests"), dict):
        raise UserError(
            f"{path} (schema {result['schema']}, {'with' if 'digests' in result else 'without'} digests) is damaged or "
            f"was written by another version; {_again(folder)}"
        )
    content = {key: value for key, value in result.items() if key != "digests"}
    _check_digest(folder, RESULT, digest(content), result["digests"].get("result"))
    for key, name in (("config", CONFIG), *([("predictions", PREDICTIONS)] if predictions else [])):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing although the cell is finished; {_again(folder)}")
        try:
            present = file_digest(folder / name)
        except OSError as error:
            raise UserError(f"cannot read {folder / name}: {reason(error)}; {_again(folder)}") from error
        _check_digest(folder, name, present, result["digests"].get(key))
    return result


def _check_digest(folder: Path, name: str, present: str, written: Any) -> None:
    if present != written:
        raise UserError(
            f"{folder / name} is not what its cell wrote (digest {present}, and {written} was written): it was edited, "
            f"swapped or damaged; {_again(folder)}"
        )


def _again(folder: Path) -> str:
    return f"delete {folder} and run the command that made it again"
