"""The shared stages of a time-lapse study: cropper, crops, and features of every frame, each done once by content."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.data.batches import Examples, fixed
from ordinal_blast.data.store import Dataset
from ordinal_blast.embryo import timelapse
from ordinal_blast.embryo.segmentation import Cropper, cropper_input
from ordinal_blast.models.grader import Grader
from ordinal_blast.storage import read_npy
from ordinal_blast.study import identity, problems
from ordinal_blast.study.configuration import plain
from ordinal_blast.study.session import Session
from ordinal_blast.study.stages import stage
from ordinal_blast.training import loop, parallel
from ordinal_blast.training.problem import Problem

_CHUNK = 16  # embryos whose frames are in memory at once
_BATCH = 128  # images in one call of a network that only looks


@dataclasses.dataclass(frozen=True)
class Crops:
    """Crops of every embryo, on disk.

    images: uint8 `[N, S, size, size, F]`; the first `len(hours)` slots are the hourly frames, the others the frames at
    the CNN's time with each time shift. planes: indices of the three base planes. tmeb: hourly index `[N]` of tMEB.
    """

    images: np.ndarray
    hours: np.ndarray
    tmeb: np.ndarray
    planes: tuple[int, ...]
    recorded: tuple[float, ...]
    folder: Path


def cropper_stage(
    config: Any, dataset: Dataset, splits: Mapping[str, np.ndarray], root: Path, session: Session
) -> Path:
    """The folder of the cropper trained on the embryo masks of the training set."""
    section = config.cropper
    key = {
        "dataset": identity.of_data(dataset),
        "code": identity.of_code(config, objective=False),
        "split": plain(config.data.split),
        "planes": list(config.frames.planes),
        "cropper": plain(section),
    }

    def build(folder: Path) -> Mapping[str, Any]:
        examples = {name: _mask_examples(config, dataset, splits[name]) for name in ("train", "val")}
        problem = problems.segmentation(section)
        fitted = loop.fit(
            problem,
            examples["train"],
            examples["val"],
            problems.schedule("cropper", section.training),
            seed=section.seed,
            directory=folder,
            devices=session.devices,
            name="cropper",
            report=session.progress.epoch("cropper"),
        )
        masks = parallel.predict(
            problem,
            fitted.variables,
            examples["val"].inputs,
            len(examples["val"]),
            _BATCH,
            session.devices,
        )["mask"]
        dice = _dice(masks > 0, examples["val"].labels["mask"] > 0)
        return {"dice_val": dice, "seconds": fitted.seconds, "best_epoch": fitted.best_epoch}

    return stage(root, "cropper", key, build)


def crops_stage(config: Any, dataset: Dataset, cropper: Path, root: Path, session: Session) -> Crops:
    """Crops of the hourly frames and of the frames at the CNN's time, by the trained cropper."""
    frames = config.frames
    recorded = tuple(dataset.extras["planes"])
    hours = timelapse.hours(frames.start_hpi, frames.stop_hpi, frames.step_h)
    key = {"cropper": cropper.name, "frames": plain(frames)}
    planes = timelapse.plane_indices(recorded, frames.planes)

    def build(folder: Path) -> Mapping[str, Any]:
        slots = _slots(config, dataset, hours)
        problem, variables = cropping(config, recorded, cropper)
        shape = (len(dataset), slots.shape[1], frames.size, frames.size, len(recorded))
        images = np.lib.format.open_memmap(folder / "crops.npy", "w+", np.uint8, shape)
        areas = np.zeros(slots.shape, np.float32)
        for start in range(0, len(dataset), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(dataset)))
            # The grid of slots is flattened, so that every call has the same shape.
            whole = dataset.columns["frames"][rows]
            flat = whole[np.arange(len(rows))[:, None], slots[rows]].reshape(-1, *whole.shape[2:])
            result = parallel.predict(problem, variables, flat.__getitem__, len(flat), _BATCH, session.devices)
            images[rows] = result["crops"].reshape(len(rows), -1, *shape[2:])
            areas[rows] = result["area"].reshape(len(rows), -1)
            session.progress.note("crops", rows[-1] + 1, len(dataset))
        images.flush()
        np.save(folder / "areas.npy", areas)
        return {"frames": int(areas.size), "without_embryo": float(np.mean(areas == 0))}

    folder = stage(root, "crops", key, build)
    areas = read_npy(folder / "areas.npy")
    return Crops(
        images=read_npy(folder / "crops.npy"),
        hours=hours,
        tmeb=timelapse.maximum_expansion(areas[:, : len(hours)], hours, frames.start_hpi),
        planes=planes,
        recorded=recorded,
        folder=folder,
    )


def cropping(config: Any, recorded: Sequence[float], cropper: Path) -> tuple[Problem, Any]:
    """The problem and the variables that turn frames of these focal planes (µm) into crops."""
    trained = problems.segmentation(config.cropper)
    size, planes = config.cropper.size, timelapse.plane_indices(recorded, config.frames.planes)
    variables = loop.restore(trained, jnp.zeros((1, size, size, len(planes)), jnp.uint8), cropper)
    model = Cropper(trained.model, planes, size, config.frames.crop_share, config.frames.size)
    return Problem(model), _under("segmenter", variables)


def extract(trained: Problem, variables: Any, inputs: Any, count: int, devices: tuple[jax.Device, ...]) -> np.ndarray:
    """Features float32 `[count, D]` that the heads of a trained grader read; inputs(indices) gives its inputs."""
    problem = Problem(_Features(trained.model))
    made = parallel.predict(problem, _under("grader", variables), inputs, count, _BATCH, devices)
    return np.asarray(made["features"], np.float32)


def cnn_view(config: Any, crops: Crops, rows: np.ndarray) -> Any:
    """The CNN's inputs uint8 `[B, size, size, 3]` of these embryos, at its time; random focus and time in training."""
    frames, shifts = config.frames, config.cnn.views
    steps = np.arange(-shifts.focal_planes, shifts.focal_planes + 1)
    planes = np.asarray(
        [timelapse.plane_indices(crops.recorded, [p + s * shifts.plane_um for p in frames.planes]) for s in steps]
    )
    still = len(steps) // 2
    if frames.cnn_time == "tMEB":
        slots = crops.tmeb[rows][:, None]
    else:
        slots = np.broadcast_to(
            np.arange(len(crops.hours), crops.images.shape[1]), (len(rows), len(frames.time_shifts_h))
        )
    middle = 0 if frames.cnn_time == "tMEB" else list(frames.time_shifts_h).index(0.0)

    def view(indices: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        count = len(indices)
        focus = np.full(count, still) if rng is None else rng.integers(0, len(steps), count)
        when = np.full(count, middle) if rng is None else rng.integers(0, slots.shape[1], count)
        chosen = [
            crops.images[rows[i], slots[i, w]][..., planes[f]] for i, w, f in zip(indices, when, focus, strict=True)
        ]
        return np.stack(chosen)

    return view


class _Features(nn.Module):
    """What a trained grader's heads read, under "features"."""

    grader: Grader

    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        return {"features": self.grader.features(x)}


def sequences_stage(
    config: Any, crops: Crops, problem: Problem, variables: Any, key: Any, root: Path, session: Session
) -> np.ndarray:
    """CNN features of the up to `max_frames` hourly frames that end at tMEB, `[N, max_frames, D]`, on disk."""

    def build(folder: Path) -> Mapping[str, Any]:
        count, hours = len(crops.images), len(crops.hours)

        def inputs(indices: np.ndarray) -> np.ndarray:
            return np.stack([crops.images[i // hours, i % hours][..., list(crops.planes)] for i in indices])

        features = extract(problem, variables, inputs, count * hours, session.devices)
        features = features.reshape(count, hours, -1)
        np.save(folder / "sequences.npy", timelapse.sequences(features, crops.tmeb, config.frames.max_frames))
        return {"frames": count * hours}

    folder = stage(root, "features", {"cnn": key, "crops": crops.folder.name}, build)
    return read_npy(folder / "sequences.npy")


def _under(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a model as those of one that holds it as `name`."""
    return {collection: {name: values} for collection, values in variables.items()}


def _slots(config: Any, dataset: Dataset, hours: np.ndarray) -> np.ndarray:
    """Which recorded frame fills each slot, int `[N, S]`: the hourly grid, then the CNN's time with each shift."""
    hpi, frames = dataset.columns["hpi"], config.frames
    times = np.broadcast_to(hours, (len(dataset), len(hours)))
    if frames.cnn_time != "tMEB":
        at = dataset.columns["tA"] if frames.cnn_time == "tA" else np.full(len(dataset), float(frames.cnn_time))
        times = np.concatenate([times, at[:, None] + np.asarray(frames.time_shifts_h)], axis=1)
    return np.stack([timelapse.nearest(row, wanted) for row, wanted in zip(hpi, times, strict=True)])


def _mask_examples(config: Any, dataset: Dataset, rows: np.ndarray) -> Examples:
    """A few frames of each embryo, chosen by the cropper's seed, with their masks, at the cropper's size."""
    section = config.cropper
    planes = list(timelapse.plane_indices(dataset.extras["planes"], config.frames.planes))
    total = dataset.columns["hpi"].shape[1]
    images, masks = [], []
    shrink = jax.jit(lambda x: cropper_input(x, section.size))
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        picks = [
            np.random.default_rng((section.seed, int(row))).choice(total, section.frames_per_embryo, replace=False)
            for row in part
        ]
        at = (np.arange(len(part))[:, None], np.stack(picks))
        frames = dataset.columns["frames"][part][at][..., planes]
        images.append(np.asarray(shrink(frames.reshape(-1, *frames.shape[2:]))))
        whole = dataset.columns["masks"][part][at].astype(np.uint8) * 255
        masks.append(np.asarray(shrink(whole.reshape(-1, *whole.shape[2:], 1)))[..., 0] > 127)
    pixels, inside = np.concatenate(images), np.concatenate(masks)
    return Examples(
        ids=np.arange(len(pixels)),
        view=fixed(pixels),
        labels={"mask": inside.astype(np.float32)},
        weights={"mask": np.ones(len(pixels), np.float32)},
    )


def _dice(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean over images of 2 |A ∩ B| / (|A| + |B|); 1 where both are empty."""
    axes = (1, 2)
    sizes = predicted.sum(axes) + true.sum(axes)
    both = 2 * (predicted & true).sum(axes)
    return float(np.mean(np.where(sizes > 0, both / np.maximum(sizes, 1), 1.0)))
