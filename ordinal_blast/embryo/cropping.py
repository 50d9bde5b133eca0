"""The stage that learns where the embryo is: a U-Net trained on masks, which later stages crop with."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast import parts
from ordinal_blast.data import augment
from ordinal_blast.data.batches import Examples, fixed
from ordinal_blast.embryo import timelapse
from ordinal_blast.embryo.footage import PLANES, SIDE
from ordinal_blast.embryo.segmentation import LOSSES, CropFrames, OnInputsAndMask, Segmenter, shrink
from ordinal_blast.errors import UsageError
from ordinal_blast.models import networks
from ordinal_blast.models.heads import count_parameters
from ordinal_blast.ranges import SEED, one_of, whole
from ordinal_blast.record import Record
from ordinal_blast.schema import setting
from ordinal_blast.settings import (
    AugmentSettings,
    NetworkSettings,
    OptimizerSettings,
    ScheduleSettings,
    StageSettings,
    TrainingSettings,
)
from ordinal_blast.study.recipe import Stage, Traced, Values, Work
from ordinal_blast.training import initial, loop, optimizer, parallel
from ordinal_blast.training.problem import Problem
from ordinal_blast.training.selection import check_selection

_CHUNK = 16  # embryos whose frames are in memory at once
_BATCH = 128  # frames in one call of the network


@dataclasses.dataclass(frozen=True)
class EmbryoFinder:
    """A trained cropper: problem and variables of a `Segmenter` that reads frames shrunk to `size` pixels in `planes`.

    planes: in µm; where a recording lacks one, the nearest that it has is taken.
    """

    problem: Problem
    variables: Any
    planes: tuple[float, ...]
    size: int
    devices: tuple[jax.Device, ...]

    def crops(
        self, frames: np.ndarray, planes: Sequence[float], *, share: float, size: int, around: str = "embryo"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Crops uint8 `[N, size, size, F]` of frames uint8 `[N, H, W, F]` in these planes, and the embryo's area `[N]`.

        share: the side of the window over that of the frame; around: see `CropFrames`, whose mask follows the planes.
        An area is a share of the frame, 0 where none is seen.
        """
        model = self._model(planes, share, size, around)
        variables = _of_segmenter(self.variables)
        outputs = parallel.predict(Problem(model), variables, frames.__getitem__, len(frames), _BATCH, self.devices)
        return outputs["crops"], outputs["area"]

    def masks(self, frames: np.ndarray, planes: Sequence[float]) -> np.ndarray:
        """Where it sees the embryo in frames uint8 `[N, H, W, F]` in these planes, bool `[N, size, size]`."""
        seen = frames[..., list(timelapse.plane_indices(planes, self.planes))]
        small = np.asarray(shrink(jnp.asarray(seen), self.size))
        said = parallel.predict(self.problem, self.variables, small.__getitem__, len(small), _BATCH, self.devices)
        return said["mask"] > 0

    def traced(
        self,
        variables: Mapping[str, Any],
        frames: jax.Array,
        planes: Sequence[float],
        *,
        share: float,
        size: int,
        around: str,
    ) -> tuple[jax.Array, jax.Array]:
        """The same as a pure function of its variables and the frames."""
        outputs = self._model(planes, share, size, around).apply(_of_segmenter(variables), frames, train=False)
        return outputs["crops"], outputs["area"]

    def _model(self, planes: Sequence[float], share: float, size: int, around: str) -> CropFrames:
        seen = timelapse.plane_indices(planes, self.planes)
        return CropFrames(self.problem.model, seen, self.size, share, size, around)


def _of_segmenter(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {collection: {"segmenter": values} for collection, values in variables.items()}


@dataclasses.dataclass(frozen=True)
class MaskSettings(StageSettings):
    """The cropper of Kragh et al. (2019): what it reads and how it learns masks."""

    seed: int = setting(0, "of its training, and of the frames that it learns from", SEED)
    size: int = setting(64, "pixels of a side of the frames that it reads", SIDE)
    planes: tuple[float, ...] = setting((-45.0, 0.0, 45.0), "focal planes that it reads, in µm", PLANES)
    loss: str = setting("dice", "of masks: dice, or the cross_entropy of every pixel", one_of(*LOSSES))
    network: NetworkSettings = setting(NetworkSettings(name="unet"), "from frames to masks")
    augment: AugmentSettings = setting(AugmentSettings, "random views, the same of a frame and its mask")
    optimizer: OptimizerSettings = setting(OptimizerSettings, "how parameters move")
    schedule: ScheduleSettings = setting(ScheduleSettings, "how the learning rate changes")
    training: TrainingSettings = setting(TrainingSettings, "how long and how")


@dataclasses.dataclass(frozen=True)
class CropperSettings(MaskSettings):
    """A cropper that learns from frames of the training set."""

    frames_per_embryo: int = setting(1, "frames of a recording that it learns from", whole(1))


Section = TypeVar("Section", bound=MaskSettings)


class MaskStage(Stage[Section]):
    """Trains a segmentation network on pictures with the masks of embryos; makes an `EmbryoFinder`."""

    makes = ("cropper",)

    @abc.abstractmethod
    def pictures(self, inputs: Mapping[str, Any], work: Work, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Frames uint8 `[B, H, W, P]` of a set and masks bool `[B, H, W]`, some at a time."""

    def depends(self, work: Work) -> Mapping[str, Any]:
        """The weights that it starts from."""
        del work
        start = self.settings.network.init_from
        return {"init_from": initial.digest(start)} if start else {}

    def validate(self) -> None:
        """Raise UsageError for a network, an optimiser, a view or a balance that cannot be."""
        section, model = self.settings, self._problem().model
        check_selection(section.training.select, {})
        if balance := section.training.balance:
            raise UsageError(f"{self.name}.training.balance is {balance}, and masks have no grades: leave it empty")
        with parts.blamed(f"{self.name}.size is {section.size}"):
            _trace(model, (section.size, section.size, len(section.planes)))

    def build(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """Train in `folder`; the facts say how well the masks of both sets that teach nothing were met (Dice).

        Of the test set, which chooses nothing either, also the standard error of that mean, and what its images are.
        """
        section, problem = self.settings, self._problem()
        start = section.network
        train, val, test = (self._examples(inputs, work, split) for split in ("train", "val", "test"))
        fitted = loop.fit(
            problem,
            train,
            val,
            section.training,
            seed=section.seed,
            directory=folder,
            devices=work.session.devices,
            name=self.name,
            report=work.session.progress.epoch(self.name),
            initial=functools.partial(initial.variables, start) if start.init_from else None,
        )

        def met(part: Examples) -> np.ndarray:
            masks = parallel.predict(problem, fitted.variables, part.inputs, len(part), _BATCH, work.session.devices)
            return dice(masks["mask"] > 0, part.labels["mask"] > 0)

        tested, seen = met(test), test.labels["mask"].any(axis=(1, 2))
        return {
            "dice_val": float(met(val).mean()),
            "dice_test": float(tested.mean()),
            "dice_test_error": float(tested.std() / np.sqrt(max(len(tested) - 1, 1))),
            "dice_test_seen": float(tested[seen].mean()) if seen.any() else None,
            "images_test": len(tested),
            "empty_test": int((~seen).sum()),
            "parameters": count_parameters(fitted.variables)[0],
            "seconds": fitted.seconds,
            "best_epoch": fitted.best_epoch,
        }

    def open(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """The trained cropper."""
        del inputs
        return {"cropper": self._trained(folder, work.session.devices)}

    def restore(self, folder: Path, record: Record) -> Callable[[Values], Values]:
        """Adds "cropper" to new examples."""
        del record
        finder = self._trained(folder, tuple(jax.local_devices()[:1]))
        return lambda values: {**values, "cropper": finder}

    def traced(self, folder: Path, record: Record) -> Traced:
        """Adds "cropper", a function of traced frames."""
        del record
        finder = self._trained(folder, tuple(jax.local_devices()[:1]))
        return Traced(
            finder.variables,
            lambda variables, values: {**values, "cropper": functools.partial(finder.traced, variables)},
            {},
        )

    def _trained(self, folder: Path, devices: tuple[jax.Device, ...]) -> EmbryoFinder:
        section, problem = self.settings, self._problem()
        like = jnp.zeros((1, section.size, section.size, len(section.planes)), jnp.uint8)
        return EmbryoFinder(problem, loop.restore(problem, like, folder), section.planes, section.size, devices)

    def _problem(self) -> Problem:
        section = self.settings
        view = augment.make(section.augment, f"{self.name}.augment")
        return Problem(
            Segmenter(networks.make(section.network, f"{self.name}.network")),
            LOSSES[section.loss],
            optimizer.make(section.optimizer, section.schedule, section.training, self.name),
            OnInputsAndMask(view) if view else None,
        )

    def _examples(self, inputs: Mapping[str, Any], work: Work, split: str) -> Examples:
        """Frames and masks of a set at the size of the network."""
        to_size = jax.jit(lambda x: shrink(x, self.settings.size))
        images, inside = [], []
        for frames, masks in self.pictures(inputs, work, split):
            images.append(np.asarray(to_size(frames)))
            inside.append(np.asarray(to_size(masks[..., None].astype(np.uint8) * 255))[..., 0] > 127)
        pixels, labels = np.concatenate(images), np.concatenate(inside)
        return Examples(
            ids=np.arange(len(pixels)),
            view=fixed(pixels),
            labels={"mask": labels.astype(np.float32)},
            weights={"mask": np.ones(len(pixels), np.float32)},
        )


class Cropper(MaskStage[CropperSettings]):
    """Learns from frames of the training set and their masks."""

    Settings: ClassVar[type[StageSettings]] = CropperSettings
    reads = ("frames", "masks", "hpi")

    def check(self, work: Work) -> None:
        """Raise UsageError for more frames of a recording, or in a batch, than there are."""
        section, material = self.settings, work.material
        check_batch(self.name, section, len(material.everything["train"]) * section.frames_per_embryo)
        wanted, recorded = section.frames_per_embryo, material.dataset.columns["hpi"].shape[1]
        if wanted > recorded:
            raise UsageError(f"{self.name}.frames_per_embryo is {wanted}, and a recording has {recorded} frames")

    def pictures(self, inputs: Mapping[str, Any], work: Work, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Frames uint8 `[B, H, W, P]` of a set and masks bool `[B, H, W]`, some at a time: a few of each recording."""
        section, rows = self.settings, work.material.everything[split]
        planes = list(timelapse.plane_indices(timelapse.recorded_planes(work.material.dataset), section.planes))
        total = inputs["hpi"].shape[1]
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            picks = [
                np.random.default_rng((section.seed, int(row))).choice(total, section.frames_per_embryo, replace=False)
                for row in part
            ]
            at = (np.arange(len(part))[:, None], np.stack(picks))
            frames, masks = inputs["frames"][part][at][..., planes], inputs["masks"][part][at]
            yield frames.reshape(-1, *frames.shape[2:]), masks.reshape(-1, *masks.shape[2:]).astype(bool)


def check_batch(name: str, section: MaskSettings, count: int) -> None:
    """Raise UsageError where a batch has more than the `count` training frames that there are."""
    if (size := section.training.batch_size) > count:
        raise UsageError(f"{name}.training.batch_size is {size}, and there are {count} training frames: take fewer")


def dice(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Of each image 2 |A ∩ B| / (|A| + |B|), float64 `[N]`, of masks bool `[N, H, W]`; 1 where both are empty."""
    axes = (1, 2)
    sizes = predicted.sum(axes) + true.sum(axes)
    both = 2 * (predicted & true).sum(axes)
    return np.where(sizes > 0, both / np.maximum(sizes, 1), 1.0)


@functools.lru_cache(maxsize=32)
def _trace(model: Segmenter, shape: tuple[int, ...]) -> None:
    """The shapes of a model's variables for one image uint8 of this shape; raises what the model raises."""
    jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, *shape), jnp.uint8), train=False))
