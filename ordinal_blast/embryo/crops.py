"""The stage that crops: hourly frames of every embryo, and its frames at the time that the CNN looks at."""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np

from ordinal_blast.data import images
from ordinal_blast.data.batches import View
from ordinal_blast.embryo import recordings, shelf, timelapse
from ordinal_blast.embryo.cropping import EmbryoFinder
from ordinal_blast.embryo.footage import PLANES, SIDE, Footage, Recorded
from ordinal_blast.embryo.looked import Looked
from ordinal_blast.embryo.recordings import Recording
from ordinal_blast.embryo.windows import area_and_centre
from ordinal_blast.errors import UserError, one_line
from ordinal_blast.ranges import Range, check, list_of, number, one_of, whole
from ordinal_blast.record import Record
from ordinal_blast.schema import setting
from ordinal_blast.settings import StageSettings
from ordinal_blast.storage import read_npz, write_npz
from ordinal_blast.study.recipe import About, Stage, Traced, Values, Work

_PER_FILE = 128  # embryos whose crops are in one file
_AHEAD = 4  # embryos whose crops are held at once, for each that is looked at at the same time
_NO_EMBRYO = "the cropper finds no embryo: the middle of the frame is graded"
_NEAR = 1.0  # µm: focal planes nearer than that are the same


_MOST_FRAMES = 1000  # of an embryo that are looked at
_HOUR = number(least=0, most=1000)
_SHIFT = list_of(number(least=-1000, most=1000))


def _is_time(value: Any) -> bool:
    try:
        return value in ("tA", "tMEB") or (isinstance(value, str) and _HOUR.holds(float(value)))
    except ValueError:
        return False


_TIME = Range("'tA', 'tMEB', or an hour as text, such as '110'", _is_time)
_SHIFTS = Range("hours of which one is 0, the CNN's time itself", lambda v: _SHIFT.holds(v) and 0 in v)


@dataclasses.dataclass(frozen=True)
class CropSettings(StageSettings):
    """Which frames are cropped, and what the CNN sees of the crops."""

    start_hpi: float = setting(90.0, "first hour that is looked at, after insemination", _HOUR)
    stop_hpi: float = setting(128.0, "last hour that is looked at", _HOUR)
    step_h: float = setting(1.0, "hours from frame to frame", number(above=0))
    around: str = setting(
        "embryo",
        "where the window lies: around the embryo that the cropper finds, around that of the true mask, at the centre "
        "of the frame, or nowhere, for the whole frame",
        one_of("embryo", "mask", "centre", "frame"),
    )
    crop_share: float = setting(0.8, "side of the window over that of the frame", number(above=0, most=1))
    size: int = setting(224, "pixels of a side of the crops", SIDE)
    planes: tuple[float, ...] = setting((-45.0, 0.0, 45.0), "focal planes of the CNN's images, in µm", PLANES)
    cnn_time: str = setting("tA", "when the CNN looks: tA, tMEB, or an hour such as 110", _TIME)
    time_shifts_h: tuple[float, ...] = setting(
        (-0.5, 0.0, 0.5), "hours of which one is drawn in training to move the CNN's time", _SHIFTS
    )
    focal_planes: int = setting(1, "steps by which the CNN's focus may move in training, up or down", whole(0, 100))
    plane_um: float = setting(15.0, "µm of such a step", number(above=0, most=1000))

    @property
    def hours(self) -> np.ndarray:
        """The hours that are looked at, hpi float32 `[T]`."""
        return timelapse.hours(self.start_hpi, self.stop_hpi, self.step_h)

    def foci(self) -> list[tuple[float, ...]]:
        """The focal planes of the CNN's images at each focus that may be drawn, in µm; the middle one is still."""
        steps = range(-self.focal_planes, self.focal_planes + 1)
        return [tuple(plane + step * self.plane_um for plane in self.planes) for step in steps]


Pixels = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Crops uint8 `[B, size, size, P]` by the rows of their embryos and their slots `[B]`, and focal planes `[B, P]`."""


@dataclasses.dataclass(frozen=True)
class Crops:
    """Crops of every embryo.

    areas: `[N, S]`, the embryo's share of the frame. The first T = `len(hours)` slots are the hourly frames, in the
    base planes alone, the others those at the CNN's time with each shift. planes: the focal planes `[F]` that
    `pixels` knows, and base `[P]` those of the CNN's images, in µm. notes: on the hourly frames of new examples.
    """

    pixels: Pixels
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
        rows, slots = np.divmod(indices, len(self.hours))
        chosen = np.asarray(timelapse.plane_indices(self.planes, self.base))
        return self.pixels(rows, slots, np.broadcast_to(chosen, (len(rows), len(chosen))))


class Crop(Stage[CropSettings]):
    """Crops frames around the embryo that a cropper finds; makes "images" of the CNN's time, and hourly "crops"."""

    Settings: ClassVar[type[StageSettings]] = CropSettings
    makes = ("images", "crops")
    suffixes = (".npz", *images.SUFFIXES)

    @property
    def reads(self) -> tuple[str, ...]:
        """Frames, their hours, the cropper, tA where the CNN looks then, and masks where the window follows them."""
        masks = ("masks",) if self.settings.around == "mask" else ()
        return ("frames", "hpi", *masks, *self._assessed, "cropper")

    @property
    def _assessed(self) -> tuple[str, ...]:
        return ("tA",) if self.settings.cnn_time == "tA" else ()

    def footage(self, inputs: Mapping[str, Any], work: Work) -> Footage:
        """What is cropped."""
        planes = timelapse.recorded_planes(work.material.dataset)
        return Recorded(inputs["frames"], inputs["hpi"], planes, inputs.get("masks"))

    def validate(self) -> None:
        """Raise UsageError for hours that end before they start, or more frames than anybody looks at."""
        section = self.settings
        check(f"{self.name}.stop_hpi", section.stop_hpi, number(least=section.start_hpi))
        least = (section.stop_hpi - section.start_hpi) / _MOST_FRAMES
        check(f"{self.name}.step_h", section.step_h, number(least=least))

    def check(self, work: Work) -> None:
        """Raise UsageError for frames whose focal planes are not known."""
        timelapse.recorded_planes(work.material.dataset)

    def build(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """Crop what is looked at of every embryo; goes on after the last whole file."""
        section, footage = self.settings, self.footage(inputs, work)
        count, times = len(work.material.dataset), _times(section, inputs.get("tA"))

        def look(row: int) -> _Looked:
            return _look(section, footage, inputs["cropper"], row, times(row))

        def embryos(rows: range) -> Iterator[_Looked]:
            for row, looked in zip(rows, _in_turn(look, rows), strict=True):
                yield looked
                work.session.progress.note(self.name, row + 1, count)

        for part, path in enumerate(_files(folder, count)):
            if not path.with_suffix(".npz").exists():
                _write(path, embryos(range(count)[part * _PER_FILE :][:_PER_FILE]))
        areas = self._kept(folder, count)[0]
        written = sum(path.stat().st_size for path in _files(folder, count))
        side, planes = footage.recording()
        said = {"frames": int(areas.size), "without_embryo": float(np.mean(areas == 0)), "bytes": written}
        return said | {"pixels": list(side), "planes": list(planes)}

    def open(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """The crops, left on disk, and the view of the CNN's images."""
        section, footage, count = self.settings, self.footage(inputs, work), len(work.material.dataset)
        areas, hpi = self._kept(folder, count)

        def finish(image: np.ndarray, row: int, slot: int, plane: int) -> np.ndarray:
            return footage.finish(image, row, hpi[row, slot], plane)

        place = _place(section, footage.planes)
        stored = shelf.Shelf(tuple(_files(folder, count)), _PER_FILE, place, section.size, finish)
        seen = shelf.held(stored, count, work.material.held)
        crops = Crops(seen, areas, section.hours, footage.planes, section.planes)
        return {"images": cnn_view(section, crops), "crops": crops}

    def _kept(self, folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Areas and hours float32 `[N, S]` of all crops; raises UserError where they are damaged."""
        try:
            kept = [read_npz(path.with_suffix(".npz"), ("areas", "hpi")) for path in _files(folder, count)]
        except UserError as error:
            raise UserError(f"{one_line(error)}, or {shelf.again(folder)}") from error
        return tuple(np.concatenate([one[name] for one in kept]) for name in ("areas", "hpi"))

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
                looked = self._looked(values["frame"][0], self.settings.planes, values["corner"], values["cropper"])
                return {
                    **values,
                    **self._of_frame(values["frame"], values["cropper"], values["notes"]),
                    "looked": looked,
                }
            return values

        return apply

    def about(self, values: Values, folder: Path, record: Record) -> list[About]:
        """The time of maximum expansion of a recording, and where the window of the CNN's image lies.

        tMEB_hpi: in hours. box: left, top, right and bottom in pixels of the file. area: the embryo's share of the
        frame. track: of every hour that is looked at, the same area and the centre of the embryo, row and column in
        shares of the frame. It warns where no embryo is seen.
        """
        del folder, record
        looked: Looked = values["looked"]
        facts: dict[str, Any] = {"box": looked.box, "area": float(looked.mask.mean())}
        if "crops" in values:
            facts["tMEB_hpi"] = float(values["crops"].hours[values["crops"].tmeb()[0]])
            facts["track"] = _track(values["recording"], values["crops"].hours, values["cropper"])
        return [About(facts, tuple(note for note in values["notes"] if note == _NO_EMBRYO))]

    def region(self, values: Values) -> np.ndarray | None:
        """Where in the CNN's image the cropper sees the embryo, bool `[1, size, size]`."""
        return values["looked"].within()[None] if "looked" in values else None

    def regions(self, rows: np.ndarray, inputs: Mapping[str, Any], folder: Path, work: Work) -> np.ndarray:
        """The same of embryos of the data set, bool `[N, size, size]`."""
        section, footage, cropper = self.settings, self.footage(inputs, work), inputs["cropper"]
        _, hpi = self._kept(folder, len(work.material.dataset))
        slot, planes = len(section.hours) + section.time_shifts_h.index(0), footage.planes
        masks = []
        for row in rows:
            (frame,) = footage.frames(row, hpi[row, slot : slot + 1], range(len(planes)))
            masks.append(self._looked(frame, planes, (0, 0), cropper).within())
        return np.stack(masks)

    def traced(self, folder: Path, record: Record) -> Traced:
        """Crops recordings: adds "images" `[B, size, size, P]`, hourly "crops" `[B, T, size, size, P]`, and "tmeb".

        A tA that is not known is NaN: the image is then that of maximum expansion.
        """
        del folder
        section, facts = _without_masks(self.settings), record.stages[self.name]
        if not {"pixels", "planes"} <= facts.keys():
            raise UserError(f"the stage {self.name} does not say of which size its frames were: run it again")
        (height, width), planes = facts["pixels"], tuple(facts["planes"])
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
            top, left = ((length - side) // 2 for length in photograph.pixels.shape[:2])
            if planes > 1:
                notes += (f"one focal plane, which stands in for all {planes} of the run",)
            frame = np.repeat(square[None], planes, axis=-1)
            return {"names": names, "notes": notes, "frame": frame, "corner": (top, left)}
        recording, hours = recordings.read(path), section.hours
        if recording.hpi[-1] < hours[0] or recording.hpi[0] > hours[-1]:
            raise UserError(f"{path} has no frame between {hours[0]:g} and {hours[-1]:g} hpi: nothing to grade")
        return {"names": names, "notes": _stand_ins(recording, section), "recording": recording}

    def sample(self, record: Record) -> Values:
        """A recording of black frames, one at each hour that is looked at."""
        section, facts = self.settings, record.stages[self.name]
        (height, width), planes, hours = facts["pixels"], tuple(facts["planes"]), section.hours
        frames = np.zeros((len(hours), height, width, len(planes)), np.uint8)
        name = f"{len(hours)} frames of {height} × {width} pixels in {len(planes)} focal planes"
        recording = Recording(frames, hours, planes, float(hours[len(hours) // 2]))
        return {"names": (name,), "notes": (), "recording": recording}

    def _of_recording(self, recording: Recording, cropper: EmbryoFinder, notes: tuple[str, ...]) -> Values:
        """What it makes of a recording; its "notes" are on the image, and the crops have those on hourly frames."""
        section = dataclasses.replace(self.settings, time_shifts_h=(0.0,))
        notes += _maskless(section)
        section = _without_masks(section)
        still_notes = notes
        if section.cnn_time == "tA" and recording.assessed is None:
            section = dataclasses.replace(section, cnn_time="tMEB")
            still_notes += ("it has no tA, the time that the run grades at: graded at its maximum expansion",)
        footage = Recorded(recording.frames[None], recording.hpi[None], recording.planes)
        looked = _look(section, footage, cropper, 0, _times(section, np.asarray([recording.assessed]))(0))
        place = _place(section, recording.planes)

        def pixels(rows: np.ndarray, slots: np.ndarray, planes: np.ndarray) -> np.ndarray:
            return np.moveaxis(np.stack(looked.images)[place[slots[:, None], planes]], 1, -1)

        crops = Crops(pixels, looked.areas[None], section.hours, recording.planes, section.planes)
        still_notes += _unseen(crops.areas[0, len(section.hours) :])
        crops = dataclasses.replace(crops, notes=notes + _unseen(crops.areas[0, : len(section.hours)]))
        at = int(timelapse.nearest(recording.hpi, looked.hpi[len(section.hours) :])[0])
        return {
            "images": cnn_view(section, crops)(np.arange(1), None),
            "crops": crops,
            "notes": still_notes,
            "looked": self._looked(recording.frames[at], recording.planes, (0, 0), cropper),
        }

    def _looked(
        self, frame: np.ndarray, planes: Sequence[float], start: tuple[int, int], cropper: EmbryoFinder
    ) -> Looked:
        section = _without_masks(self.settings)
        return Looked(frame, planes, start, cropper, section.crop_share, section.size, section.around)

    def _of_frame(self, frame: np.ndarray, cropper: EmbryoFinder, notes: tuple[str, ...]) -> Values:
        notes, section = notes + _maskless(self.settings), _without_masks(self.settings)
        pixels, areas = cropper.crops(
            frame, section.planes, share=section.crop_share, size=section.size, around=section.around
        )
        return {"images": pixels, "notes": notes + _unseen(areas)}


def of_recordings(name: str, of: Callable[[Crops, Values], np.ndarray]) -> Callable[[Values], Values]:
    """Adds what is made of the crops of a recording under a name; its notes are then those on its hourly frames."""

    def apply(values: Values) -> Values:
        if "crops" not in values:
            return values
        crops = values["crops"]
        return {**values, name: of(crops, values), "notes": crops.notes}

    return apply


def cnn_view(section: CropSettings, crops: Crops) -> View:
    """Each embryo at the CNN's time, uint8 `[B, size, size, P]`; in training another focus and time are drawn."""
    planes = np.asarray([timelapse.plane_indices(crops.planes, wanted) for wanted in section.foci()])
    first, shifts = len(crops.hours), len(section.time_shifts_h)

    def view(rows: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        count = len(rows)
        focus = np.full(count, section.focal_planes) if rng is None else rng.integers(0, len(planes), count)
        when = np.full(count, section.time_shifts_h.index(0)) if rng is None else rng.integers(0, shifts, count)
        return crops.pixels(rows, first + when, planes[focus])

    return view


class _Looked(NamedTuple):
    """What is looked at of one embryo: images uint8 `[size, size]` as `_place` counts them, areas and hpi `[S]`."""

    images: list[np.ndarray]
    areas: np.ndarray
    hpi: np.ndarray


def _look(section: CropSettings, footage: Footage, cropper: EmbryoFinder, row: int, time: float | None) -> _Looked:
    """Crop the hourly frames of an embryo, then those at the CNN's time: None for its maximum expansion."""
    hpi = footage.recorded(row, section.hours)
    base, focused = _planes(section, footage.planes)

    def at(hours: np.ndarray, planes: list[int]) -> tuple[np.ndarray, np.ndarray]:
        frames = footage.frames(row, hours, planes)
        if section.around == "mask":  # travels as one plane more
            frames = np.concatenate([frames, footage.masks(row, hours).astype(np.uint8)[..., None]], axis=-1)
        seen = [footage.planes[plane] for plane in planes]
        return cropper.crops(frames, seen, share=section.crop_share, size=section.size, around=section.around)

    pixels, areas = at(hpi, base)
    if time is None:
        time = hpi[timelapse.maximum_expansion(areas, section.hours, section.start_hpi)]
    still = footage.recorded(row, np.float32(time) + np.asarray(section.time_shifts_h, np.float32))
    more, more_areas = at(still, focused)
    images = [image for frames in (pixels, more) for frame in frames for image in np.moveaxis(frame, -1, 0)]
    return _Looked(images, np.concatenate([areas, more_areas]), np.concatenate([hpi, still]))


def _in_turn(look: Callable[[int], _Looked], rows: Sequence[int]) -> Iterator[_Looked]:
    """What `look` gives of these rows, in order: on every core one is drawn or read, while another is written."""
    together = max(2, os.cpu_count() or 1)
    coming: deque[Future[_Looked]] = deque()
    with ThreadPoolExecutor(together) as pool:
        try:
            for row in rows:
                coming.append(pool.submit(look, row))
                if len(coming) == _AHEAD * together:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # where somebody stops the run, none begins


def _write(path: Path, embryos: Iterator[_Looked]) -> None:
    """The images of embryos as one file, then their areas and hours beside it, which make it whole."""
    areas, hpi = [], []

    def images() -> Iterator[np.ndarray]:
        for looked in embryos:
            areas.append(looked.areas)
            hpi.append(looked.hpi)
            yield from looked.images

    shelf.write(path, images())
    write_npz(path.with_suffix(".npz"), {"areas": np.stack(areas), "hpi": np.stack(hpi)})


def _times(section: CropSettings, assessed: np.ndarray | None) -> Callable[[int], float | None]:
    """When the CNN looks at the embryo of a row, by its setting and tA `[N]`; None for its maximum expansion, which
    stands in where tA is not known, NaN.
    """
    if section.cnn_time == "tA":
        hours = [None if hour is None or np.isnan(hour) else float(hour) for hour in assessed.tolist()]  # type: ignore
        return lambda row: hours[row]
    return lambda row: None if section.cnn_time == "tMEB" else float(section.cnn_time)


def _planes(section: CropSettings, planes: Sequence[float]) -> tuple[list[int], list[int]]:
    """The focal planes that are kept, as indices, each once: of the hourly frames, and of those at the CNN's time."""
    base = timelapse.plane_indices(planes, section.planes)
    moved = {plane for wanted in section.foci() for plane in timelapse.plane_indices(planes, wanted)}
    return sorted(set(base)), sorted(moved | set(base))


def _place(section: CropSettings, planes: Sequence[float]) -> np.ndarray:
    """Which image of an embryo shows a slot and focal plane, int `[S, F]`; -1 where none does."""
    base, focused = _planes(section, planes)
    place, count = np.full((len(section.hours) + len(section.time_shifts_h), len(planes)), -1), 0
    for slot in range(len(place)):
        kept = base if slot < len(section.hours) else focused
        place[slot, kept] = np.arange(count, count + len(kept))
        count += len(kept)
    return place


def _files(folder: Path, count: int) -> list[Path]:
    return [folder / f"{number:05d}.array_record" for number in range(-(-count // _PER_FILE))]


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


def _track(recording: Recording, hours: np.ndarray, cropper: EmbryoFinder) -> list[dict[str, Any]]:
    """Area and centre of the embryo in the frames nearest to these hours, without centre where none is seen."""
    at = np.unique(timelapse.nearest(recording.hpi, hours))
    masks = cropper.masks(recording.frames[at], recording.planes)
    areas, centres = map(np.asarray, area_and_centre(jnp.asarray(masks.astype(np.float32))))
    return [
        {"hpi": float(hour), "area": float(area), "centre": centre.tolist() if area else None}
        for hour, area, centre in zip(recording.hpi[at], areas, centres, strict=True)
    ]


def _unseen(areas: np.ndarray) -> tuple[str, ...]:
    return () if (areas > 0).any() else (_NO_EMBRYO,)
