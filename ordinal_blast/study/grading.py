"""Grades of new images and recordings by the model of a finished cell."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from ordinal_blast import objectives
from ordinal_blast.data import timelapse
from ordinal_blast.data.crop import resize
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.storage import read_json
from ordinal_blast.study import problems
from ordinal_blast.study.cell import decide
from ordinal_blast.study.timelapse import cropping, extract
from ordinal_blast.training import loop, parallel
from ordinal_blast.training.problem import Problem
from ordinal_blast.types import Task

_CHUNK = 128


def grade(cell: Path, inputs: Sequence[Path]) -> list[dict[str, Any]]:
    """One mapping a task and input: `input`, `model`, `task`, `grade` (its name), `probs` per grade name, `score`.

    An input is an image (PNG, JPEG), or where the run grades time-lapse an `.npz` recording with `frames` uint8
    `[T, H, W, F]`, `hpi` `[T]` and `planes` `[F]` (µm). A recording is graded by the last model of the run's chain, a
    single image by its CNN. Raises UserError for an input that cannot be read, UsageError for a cell that is not done.
    """
    if not (cell / "result.json").exists():
        raise UsageError(f"{cell} is no finished cell (no result.json): give a folder such as runs/demo/cells/NAME")
    result = read_json(cell / "result.json")
    config = ConfigDict(read_json(cell / "config.json"))
    if "mlp" in config.chain:
        raise UsageError(f"{cell} grades rows of a table, and grade takes images and recordings: give another --run")
    return [line for path in inputs for line in _grade_one(cell, config, result, path)]


def text(graded: Sequence[Mapping[str, Any]]) -> str:
    """The grades as aligned lines."""
    width = max(len(line["input"]) for line in graded)
    return "\n".join(
        f"{line['input']:{width}}  {line['task']} {line['grade']}  "
        + "  ".join(f"{name} {share:.3f}" for name, share in line["probs"].items())
        + f"  ({line['model']})"
        for line in graded
    )


def _grade_one(cell: Path, config: Any, result: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    recording = path.suffix == ".npz"
    if recording and "cropper" not in config.chain:
        raise UserError(f"{path} is a recording, but {cell} grades single images: give PNG or JPEG files")
    if "cropper" in config.chain:
        frames, hpi, planes = _recording(path) if recording else _still(_image(path), config.frames.planes)
        area, middle = _crop(cell, config, result, frames, planes)
        if recording and config.chain[-1] == "rnn":
            hours = timelapse.hours(config.frames.start_hpi, config.frames.stop_hpi, config.frames.step_h)
            slots = timelapse.nearest(hpi, hours[(hours >= hpi[0]) & (hours <= hpi[-1])])
            if not len(slots):
                raise UserError(f"{path} has no frame between {hours[0]:g} and {hours[-1]:g} hpi: nothing to grade")
            features = extract(
                _problem(config, result, "cnn"),
                _restore(cell, config, result, "cnn"),
                middle[slots].__getitem__,
                len(slots),
                _device(),
            )
            last = timelapse.maximum_expansion(area[slots][None], hpi[slots], config.frames.start_hpi)
            model, x = "rnn", timelapse.sequences(features[None], last, config.frames.max_frames)
        else:
            at = int(timelapse.maximum_expansion(area[None], hpi, hpi[0])[0])
            model, x = "cnn", middle[at : at + 1]
    else:
        shape = result["inputs"]["cnn"]
        image = np.asarray(resize(_channels(_image(path), shape[-1])[None], shape[0]).round(), np.uint8)
        model, x = config.chain[-1], image
    problem = _problem(config, result, model)
    outputs = parallel.predict(problem, _restore(cell, config, result, model), x.__getitem__, len(x), 1, _device())
    return [_line(path, model, task, objective, config, outputs) for task, objective in _bound(config, result, model)]


def _line(
    path: Path, model: str, task: Task, objective: objectives.Objective, config: Any, outputs: Any
) -> dict[str, Any]:
    made = decide(objective, config.objective.rule, [path.name], [-1], outputs[task.name])
    return {
        "input": str(path),
        "model": model,
        "task": task.name,
        "grade": task.grades[int(made.grades[0])],
        "probs": dict(zip(task.grades, made.probs[0].tolist(), strict=True)),
        "score": float(made.scores[0]),
    }


def _bound(config: Any, result: Mapping[str, Any], model: str) -> list[tuple[Task, objectives.Objective]]:
    """Each task of the run with its objective, the fitted decision bound again."""
    tasks = {row["task"]: Task(row["task"], tuple(row["grades"])) for row in result["rows"]}
    fitted = result["objective"]["fitted"]
    options = dict(config.objective.options)
    return [
        (
            task,
            objectives.get(
                config.objective.name, num_classes=task.num_classes, fitted=fitted[f"{model}/{task.name}"], **options
            ),
        )
        for task in tasks.values()
    ]


def _problem(config: Any, result: Mapping[str, Any], model: str) -> Problem:
    return problems.grading(model, config[model], {task.name: bound for task, bound in _bound(config, result, model)})


def _restore(cell: Path, config: Any, result: Mapping[str, Any], model: str) -> Any:
    last = model == config.chain[-1]
    folder = cell if last else cell.parents[1] / "stages" / result["stages"][model]["folder"]
    like = np.zeros((1, *result["inputs"][model]), np.float32 if model in ("rnn", "mlp") else np.uint8)
    return loop.restore(_problem(config, result, model), like, folder)


def _crop(
    cell: Path, config: Any, result: Mapping[str, Any], frames: np.ndarray, planes: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Area `[T]` of the embryo in each frame, and crops `[T, size, size, 3]` in the planes that the CNN reads."""
    folder = cell.parents[1] / "stages" / result["stages"]["cropper"]["folder"]
    problem, variables = cropping(config, planes, folder)
    made = parallel.predict(problem, variables, frames.__getitem__, len(frames), _CHUNK, _device())
    chosen = list(timelapse.plane_indices(planes, config.frames.planes))
    return made["area"], made["crops"][..., chosen]


def _recording(path: Path) -> tuple[np.ndarray, np.ndarray, Sequence[float]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            frames, hpi, planes = (archive[name] for name in ("frames", "hpi", "planes"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path}: {error}; a recording is an npz with frames, hpi and planes") from error
    if frames.ndim != 4 or frames.dtype != np.uint8 or len(frames) != len(hpi) or frames.shape[-1] != len(planes):
        raise UserError(f"{path}: frames must be uint8 [T, H, W, F] with T hpi and F planes, not {frames.shape}")
    return frames, hpi.astype(np.float32), planes.tolist()


def _still(image: np.ndarray, planes: Sequence[float]) -> tuple[np.ndarray, np.ndarray, Sequence[float]]:
    """One photograph as a recording of one frame, the same in every focal plane."""
    grey = np.asarray(Image.fromarray(image).convert("L"))
    side = min(grey.shape)
    top, left = ((length - side) // 2 for length in grey.shape)
    square = grey[top : top + side, left : left + side]
    return np.repeat(square[None, ..., None], len(planes), axis=-1), np.zeros(1, np.float32), planes


def _image(path: Path) -> np.ndarray:
    """An image file as uint8 `[H, W, 3]`; raises UserError where it is no image or a truncated one."""
    try:
        with Image.open(path) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"cannot read the image {path}: {error}; get a whole PNG or JPEG file") from error


def _channels(image: np.ndarray, count: int) -> np.ndarray:
    return image if count == 3 else np.asarray(Image.fromarray(image).convert("L"))[..., None]


def _device() -> tuple[jax.Device, ...]:
    return tuple(jax.local_devices()[:1])
