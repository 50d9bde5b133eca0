"""The stage that crops: hourly frames of every embryo, and its frames at the time that the CNN looks at."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from ordinal_blast.data import images
from ordinal_blast.data.batches import View
from ordinal_blast.embryo import recordings, timelapse
from ordinal_blast.embryo.cropping import EmbryoFinder
from ordinal_blast.embryo.recordings import Recording
from ordinal_blast.errors import UserError
from ordinal_blast.ranges import Range, check, list_of, number, one_of, whole
from ordinal_blast.record import Record
from ordinal_blast.schema import setting
from ordinal_blast.settings import StageSettings
from ordinal_blast.storage import read_npy
from ordinal_blast.study.recipe import Stage, Traced, Values, Work

_CHUNK = 16  # embryos whose frames are in memory at once
_NEAR = 1.0  # µm: focal planes nearer than that are the same


def _is_time(value: Any) -> bool:
    try:
        return value in ("tA", "tMEB") or math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


_NUMBERS = list_of(number())
_TIME = Range("'tA', 'tMEB', or an hour as text, such as '110'", _is_time)
_SHIFTS = Range("numbers of which one is 0, the CNN's time itself", lambda v: _NUMBERS.holds(v) and 0 in v)


@dataclasses.dataclass(frozen=True)
class CropSettings(StageSettings):
    """Which frames are cropped, and what the CNN sees of the crops."""

    start_hpi: float = setting(90.0, "first hour that is looked at, after insemination", number())
    stop_hpi: float = setting(128.0, "last hour that is looked at", number())
    step_h: float = setting(1.0, "hours from frame to frame", number(above=0))
    around: str = setting(
        "embryo",
        "where the window lies: around the embryo that the cropper finds, around that of the true mask, at the centre "
        "of the frame, or nowhere, for the whole frame",
        one_of("embryo", "mask", "centre", "frame"),
    )
    crop_share: float = setting(0.8, "side of the window over that of the frame", number(above=0, most=1))
    size: int = setting(224, "pixels of a side of the crops", whole(1))
    planes: tuple[float, ...] = setting((-45.0, 0.0, 45.0), "focal planes of the CNN's images, in µm", _NUMBERS)
    cnn_time: str = setting("tA", "when the CNN looks: tA, tMEB, or an hour such as 110", _TIME)
    time_shifts_h: tuple[float, ...] = setting(
        (-0.5, 0.0, 0.5), "hours of which one is drawn in training to move the CNN's time", _SHIFTS
    )
    focal_planes: int = setting(1, "steps by which the CNN's focus may move in training, up or down", whole(0))
    plane_um: float = setting(15.0, "µm of such a step", number(above=0))

    @property
    def hours(self) -> np.ndarray:
        """The hours that are looked at, hpi float32 `[T]`."""
        return timelapse.hours(self.start_hpi, self.stop_hpi, self.step_h)


@dataclasses.dataclass(frozen=True)
class Crops:
    """Crops of every embryo.

    pixels: uint8 `[N, S, size, size, F]`. areas: `[N, S]`, the embryo's share of the frame. The first T = `len(hours)`
    slots are the hourly frames, the others those at the CNN's time with every shift. planes: the focal planes `[F]`
    that were recorded, and base `[P]` those of the CNN's images, in µm. notes: on the hourly frames of new examples.
    """

    pixels: np.ndarray
    areas: np.ndarray
    hours: np.ndarray
    planes: tuple[float, ...]
    base: tuple[float, ...]
    notes: tuple[str, ...] = ()

    def tmeb(self) -> np.ndarray:
        """The time of maximum expansion as an index `[N]` of the hourly frames."""
        return timelapse.maximum_expansion(self.areas[:, : len(self.hours)], self.hours, self.hours[0])

    def hourly(self, indices: np.ndarray) -> np.ndarray:
        """Images uint8 `[B, size, size, P]` of hourly frames: the T of the first embryo, of the second, and so on."""
        chosen = list(timelapse.plane_indices(self.planes, self.base))
        return np.stack([self.pixels[divmod(i, len(self.hours))][..., chosen] for i in indices])


class Crop(Stage[CropSettings]):
    """Crops frames around the embryo that a cropper finds; makes "images" of the CNN's time, and hourly "crops"."""

    Settings: ClassVar[type[StageSettings]] = CropSettings
    makes = ("images", "crops")
    suffixes = (".npz", *images.SUFFIXES)

    @property
    def reads(self) -> tuple[str, ...]:
        """Frames, their hours, the cropper, tA where the CNN looks then, and masks where the window follows them."""
        also = {"tA": self.settings.cnn_time == "tA", "masks": self.settings.around == "mask"}
        return ("frames", "hpi", *(name for name, needed in also.items() if needed), "cropper")

    def validate(self) -> None:
        """Raise UsageError for hours that end before they start."""
        section = self.settings
        check(f"{self.name}.stop_hpi", section.stop_hpi, number(least=section.start_hpi))

    def check(self, work: Work) -> None:
        """Raise UsageError for frames whose focal planes are not known."""
        timelapse.recorded_planes(work.material.dataset)

    def build(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """Crop the frames of all embryos, a few embryos at a time."""
        section, planes = self.settings, timelapse.recorded_planes(work.material.dataset)
        hpi, count = inputs["hpi"], len(inputs["hpi"])
        slots = len(section.hours) + len(section.time_shifts_h)
        sides = inputs["frames"][np.arange(1)].shape[2:4]
        shape = (count, slots, section.size, section.size, len(planes))
        pixels = np.lib.format.open_memmap(folder / "crops.npy", "w+", np.uint8, shape)
        areas = np.zeros((count, slots), np.float32)
        for start in range(0, count, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, count))
            frames = inputs["frames"][rows]
            if "masks" in inputs:  # travel as one plane more
                masks = inputs["masks"][rows].astype(np.uint8)
                frames = np.concatenate([frames, masks[..., None]], axis=-1)
            assessed = inputs["tA"][rows] if "tA" in inputs else None
            few = _cropped(section, inputs["cropper"], frames, hpi[rows], assessed, planes)
            pixels[rows], areas[rows] = few.pixels, few.areas
            work.session.progress.note(self.name, rows[-1] + 1, count)
        pixels.flush()
        np.save(folder / "areas.npy", areas)
        return {"pixels": list(sides), "frames": int(areas.size), "without_embryo": float(np.mean(areas == 0))}

    def open(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """The crops, left on disk, and the view of the CNN's images."""
        del inputs
        section, planes = self.settings, timelapse.recorded_planes(work.material.dataset)
        pixels, areas = (read_npy(folder / name) for name in ("crops.npy", "areas.npy"))
        crops = Crops(pixels, areas, section.hours, planes, section.planes)
        return {"images": cnn_view(section, crops), "crops": crops}

    def show(self, images: np.ndarray) -> np.ndarray:
        """Images `[N, H, W, P]` by their middle focal plane alone, `[N, H, W, 1]`: planes are no colours."""
        return images[..., images.shape[-1] // 2][..., None]

    def restore(self, folder: Path, record: Record) -> Callable[[Values], Values]:
        """Crops a recording or a single frame: adds "images" `[1, size, size, P]`, and "crops" of a recording."""
        del folder, record

        def apply(values: Values) -> Values:
            if "recording" in values:
                return {**values, **self._of_recording(values["recording"], values["cropper"], values["notes"])}
            if "frame" in values:
                return {**values, **self._of_frame(values["frame"], values["cropper"], values["notes"])}
            return values

        return apply

    def traced(self, folder: Path, record: Record) -> Traced:
        """Crops recordings: adds "images" `[B, size, size, P]`, hourly "crops" `[B, T, size, size, P]`, and "tmeb".

        A tA that is not known is NaN: the image is then that of maximum expansion.
        """
        del folder
        section, planes = _without_masks(self.settings), tuple(record.dataset["extras"]["planes"])
        hours, chosen = section.hours, np.asarray(timelapse.plane_indices(planes, section.planes))
        at = [] if section.cnn_time in ("tA", "tMEB") else [float(section.cnn_time)]

        def apply(variables: Mapping[str, Any], values: Values) -> Values:
            del variables
            frames, hpi = values["frames"], values["hpi"]
            batch = frames.shape[0]
            grid = np.asarray([*hours, *at], np.float32)
            times = jnp.broadcast_to(grid[None], (batch, len(grid)))
            if section.cnn_time == "tA":
                times = jnp.concatenate([times, values["tA"][:, None]], axis=1)
            slots = timelapse.nearest_traced(hpi, times)
            seen = jnp.take_along_axis(frames, slots[:, :, None, None, None], axis=1)
            window = {"share": section.crop_share, "size": section.size, "around": section.around}
            pixels, areas = values["cropper"](seen.reshape(-1, *seen.shape[2:]), planes, **window)
            pixels = pixels.reshape(batch, times.shape[1], *pixels.shape[1:])[..., chosen]
            crops, last = pixels[:, : len(hours)], len(hours)
            tmeb = jnp.argmax(areas.reshape(batch, -1)[:, :last], axis=1)
            still = tmeb if section.cnn_time == "tMEB" else jnp.full_like(tmeb, last)
            still = jnp.where(jnp.isnan(values["tA"]), tmeb, still) if section.cnn_time == "tA" else still
            images = jnp.take_along_axis(pixels, still[:, None, None, None, None], axis=1)[:, 0]
            return {**values, "images": images, "crops": crops, "tmeb": tmeb}

        height, width = record.stages[self.name].get("pixels", (0, 0))
        if not height:
            raise UserError(f"the stage {self.name} does not say of which size its frames were: run it again")
        inputs = {"frames": (f"b, t, {height}, {width}, {len(planes)}", "uint8"), "hpi": ("b, t", "float32")}
        return Traced({}, apply, inputs | ({"tA": ("b", "float32")} if section.cnn_time == "tA" else {}))

    def read(self, path: Path, record: Record) -> Values:
        """A "recording" (.npz), or an image as a "frame" `[1, H, H, P]`; raises UserError for what cannot be graded."""
        del record
        section, names = self.settings, (str(path),)
        if path.suffix.lower() != ".npz":
            photograph = images.read(path)
            side, planes = min(photograph.pixels.shape[:2]), len(section.planes)
            square, notes = images.fit(photograph, (side, side, 1))
            if planes > 1:
                notes += (f"one focal plane, which stands in for all {planes} of the run",)
            return {"names": names, "notes": notes, "frame": np.repeat(square[None], planes, axis=-1)}
        recording, hours = recordings.read(path), section.hours
        if recording.hpi[-1] < hours[0] or recording.hpi[0] > hours[-1]:
            raise UserError(f"{path} has no frame between {hours[0]:g} and {hours[-1]:g} hpi: nothing to grade")
        return {"names": names, "notes": _stand_ins(recording, section), "recording": recording}

    def _of_recording(self, recording: Recording, cropper: EmbryoFinder, notes: tuple[str, ...]) -> Values:
        """What it makes of a recording; its "notes" are on the image, and the crops have those on hourly frames."""
        section = dataclasses.replace(self.settings, time_shifts_h=(0.0,))
        notes += _maskless(section)
        section = _without_masks(section)
        still_notes = notes
        if section.cnn_time == "tA" and recording.assessed is None:
            section = dataclasses.replace(section, cnn_time="tMEB")
            still_notes += ("it has no tA, the time that the run grades at: graded at its maximum expansion",)
        frames, hpi, assessed = (np.asarray(x)[None] for x in (recording.frames, recording.hpi, recording.assessed))
        crops = _cropped(section, cropper, frames, hpi, assessed, recording.planes)
        still_notes += _unseen(crops.areas[0, _cnn_slots(section, crops)])
        crops = dataclasses.replace(crops, notes=notes + _unseen(crops.areas[0, : len(section.hours)]))
        return {"images": cnn_view(section, crops)(np.arange(1), None), "crops": crops, "notes": still_notes}

    def _of_frame(self, frame: np.ndarray, cropper: EmbryoFinder, notes: tuple[str, ...]) -> Values:
        notes, section = notes + _maskless(self.settings), _without_masks(self.settings)
        pixels, areas = cropper.crops(
            frame, section.planes, share=section.crop_share, size=section.size, around=section.around
        )
        return {"images": pixels, "notes": notes + _unseen(areas)}


def cnn_view(section: CropSettings, crops: Crops) -> View:
    """Each embryo at the CNN's time, uint8 `[B, size, size, P]`; in training another focus and time are drawn."""
    steps = np.arange(-section.focal_planes, section.focal_planes + 1)
    moved = ([plane + step * section.plane_um for plane in crops.base] for step in steps)
    planes = np.asarray([timelapse.plane_indices(crops.planes, wanted) for wanted in moved])
    slots = _cnn_slots(section, crops)
    sharp, still = section.focal_planes, section.time_shifts_h.index(0)

    def view(rows: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        count = len(rows)
        focus = np.full(count, sharp) if rng is None else rng.integers(0, len(steps), count)
        when = np.full(count, still) if rng is None else rng.integers(0, len(slots), count)
        return np.stack(
            [crops.pixels[row, slots[w]][..., planes[f]] for row, w, f in zip(rows, when, focus, strict=True)]
        )

    return view


def _cnn_slots(section: CropSettings, crops: Crops) -> np.ndarray:
    """The slots int `[W]` of the frames that the CNN may see, at its time with every shift."""
    return len(crops.hours) + np.arange(len(section.time_shifts_h))


def _cropped(
    section: CropSettings,
    cropper: EmbryoFinder,
    frames: np.ndarray,
    hpi: np.ndarray,
    assessed: np.ndarray | None,
    planes: tuple[float, ...],
) -> Crops:
    """The crops of a few embryos: those nearest to the hourly grid, which tell tMEB, then those at the CNN's time.

    frames: uint8 `[N, T, H, W, F]` at the hours hpi `[N, T]`, with a mask as one plane more where the window follows
    it; assessed: tA `[N]`, where the CNN looks then.
    """

    def at(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slots = np.stack([timelapse.nearest(row, wanted) for row, wanted in zip(hpi, times, strict=True)])
        # The grid of slots is flattened, so that every call of the network has the same shape.
        flat = frames[np.arange(len(slots))[:, None], slots].reshape(-1, *frames.shape[2:])
        flat_pixels, flat_areas = cropper.crops(
            flat, planes, share=section.crop_share, size=section.size, around=section.around
        )
        return flat_pixels.reshape(*slots.shape, *flat_pixels.shape[1:]), flat_areas.reshape(slots.shape)

    hours = section.hours
    pixels, areas = at(np.broadcast_to(hours, (len(hpi), len(hours))))
    if section.cnn_time == "tMEB":
        looked = hours[timelapse.maximum_expansion(areas, hours, hours[0])]
    else:
        looked = assessed if section.cnn_time == "tA" else np.full(len(hpi), float(section.cnn_time))
    more_pixels, more_areas = at(np.asarray(looked)[:, None] + np.asarray(section.time_shifts_h))
    pixels, areas = np.concatenate([pixels, more_pixels], axis=1), np.concatenate([areas, more_areas], axis=1)
    return Crops(pixels, areas, hours, planes, section.planes)


def _maskless(section: CropSettings) -> tuple[str, ...]:
    said = "it has no mask, which the run crops by: cropped around the embryo that the cropper finds"
    return (said,) if section.around == "mask" else ()


def _without_masks(section: CropSettings) -> CropSettings:
    return dataclasses.replace(section, around="embryo") if section.around == "mask" else section


def _stand_ins(recording: Recording, section: CropSettings) -> tuple[str, ...]:
    """What a recording lacks of the hours and focal planes that the run looks at, and what is taken instead."""
    notes: list[str] = []
    hpi, hours = recording.hpi, section.hours
    if hpi[0] - hours[0] >= section.step_h or hours[-1] - hpi[-1] >= section.step_h:
        notes.append(
            f"it runs from {hpi[0]:g} to {hpi[-1]:g} hpi, and the run looks from {hours[0]:g} to {hours[-1]:g}: its "
            "first and last frames stand in"
        )
    nearest = [recording.planes[i] for i in timelapse.plane_indices(recording.planes, section.planes)]
    if np.abs(np.subtract(nearest, section.planes)).max() > _NEAR:
        stand_ins, wanted = (", ".join(f"{plane:g}" for plane in planes) for planes in (nearest, section.planes))
        notes.append(f"its focal planes {stand_ins} µm stand in for {wanted} µm")
    return tuple(notes)


def _unseen(areas: np.ndarray) -> tuple[str, ...]:
    return () if (areas > 0).any() else ("the cropper finds no embryo: the middle of the frame is graded",)
