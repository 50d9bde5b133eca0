"""Datasets on disk: a source of records becomes a TFDS dataset in ArrayRecord, and is opened again from there."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast.errors import UsageError, UserError, is_full, one_line, reason
from ordinal_blast.locks import lock
from ordinal_blast.storage import digest, file_digest
from ordinal_blast.types import INPUTS, NO_ID, Task

_VERSION = "1.2.0"
_SEAL = "digests.json"  # of the other files of a built dataset, written last
LARGE = 1 << 16  # bytes of an example above which it is read when it is asked for
HELD = 1 << 30  # bytes of a column that may be in memory, unless another bound is set
_FACTS = 1 << 10  # bytes of what is said of an example, beside what networks read
_CHUNK = 128  # records decoded at a time
_SHARD = 2**30  # bytes of records in a file, before compression


class SourceMissingError(UserError):
    """The files of the dataset `name` are not where they were looked for; `known` is that of its Source."""

    def __init__(self, name: str, known: Mapping[str, Any], message: str) -> None:
        super().__init__(message)
        self.name, self.known = name, known


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a dataset comes from: what one file of `ordinal_blast/data/sources` returns.

    identity: JSON-able, equal if and only if the records are equal; it names the built copy. known: JSON-able, all that
    is said of the records without their files: a built copy serves for lost files where it agrees. features: TFDS
    features of one record, which holds `id`, `group`, one `label/TASK` a task (-1 where missing) and what networks
    read: `images`, `clips`, `sequences` or `numbers`. splits: per split, a function that yields the records. notes:
    every row or image that was dropped or is odd, in a sentence each; kept when the records are written, so that these
    functions may add to a list. Raises UsageError for names that are none.
    """

    name: str
    tasks: tuple[Task, ...]
    summary: str
    licence: str
    citation: str
    identity: Mapping[str, Any]
    features: Mapping[str, Any]
    splits: Mapping[str, Callable[[], Iterable[Mapping[str, Any]]]]
    known: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    extras: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        _check_name(self.name)
        tasks = [task.name for task in self.tasks]
        if twice := sorted({name for name in tasks if tasks.count(name) > 1}):
            raise UsageError(f"{self.name} has two tasks named {', '.join(twice)}: name each otherwise")
        for split in self.splits:
            if not re.fullmatch(r"\w+", split) or split == "all":  # which means all of them to TFDS
                raise UsageError(f"{self.name} has a split named {split!r}: use letters and digits, and not all")
        needed = ["id", "group", *(f"label/{name}" for name in tasks)]
        if missing := [name for name in needed if name not in self.features]:
            raise UsageError(f"{self.name} has records without {', '.join(missing)}: add it to its features")


def _check_name(name: str) -> None:
    """Raise UsageError for a name of a dataset that is none of a folder, or leads out of the cache."""
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise UsageError(f"a dataset is named {name!r}: use letters, digits, dots, hyphens and underscores")


def plain_name(text: str) -> str:
    """A name of a dataset from that of a file or folder: what a name cannot have becomes an underscore."""
    return re.sub(r"[^\w.-]+|^\W", "_", text)[:99] or "data"


def pixels(*shape: int) -> tfds.features.Tensor:
    """A uint8 tensor stored as plain bytes: fifty times faster to write than TFDS's default list of integers."""
    return tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding=tfds.features.Encoding.BYTES)


def build(source: Source, cache: Path) -> Path:
    """Write the source's records under `cache` unless they are there; returns the folder of the built dataset.

    Records are written as they come, so that a dataset of large records may be larger than memory. Raises UserError
    when the disk refuses, the source fails, or a split is empty. A failed or killed build leaves no half dataset under
    this name: the folder is renamed when it is whole, and the next build clears what a killed one left.
    """
    home = cache / source.name
    folder = home / digest(source.identity) / source.name / _VERSION
    if (folder / _SEAL).exists():
        return folder
    try:
        home.mkdir(parents=True, exist_ok=True)
        wait = partial(print, f"waiting for another build of {source.name}", file=sys.stderr)
        with lock(home / "lock", wait) as alone:
            for leftover in home.glob("*/unfinished*") if alone else ():  # nobody's: who builds holds the lock
                shutil.rmtree(leftover)
            if not (folder / _SEAL).exists():
                _make(source, folder)
    except (OSError, RuntimeError) as error:  # ArrayRecord's writer raises the latter
        full = not isinstance(error, OSError) or is_full(error)
        advice = "free space or set data.cache" if full else "set data.cache to a folder that can be written"
        raise UserError(f"cannot build {source.name} in {home}: {reason(error)}; {advice}") from error
    return folder


def _make(source: Source, folder: Path) -> None:
    """Build beside `folder`, seal, and rename to it."""
    shutil.rmtree(folder, ignore_errors=True)  # without a seal it is damaged
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.parents[1] / f"unfinished-{uuid.uuid4().hex[:8]}"
    unfinished.mkdir()
    try:
        _write(source, unfinished)
        digests = {path.name: file_digest(path) for path in sorted(unfinished.iterdir())}
        (unfinished / _SEAL).write_text(json.dumps(digests, indent=1) + "\n")
        if not (folder / _SEAL).exists():  # without locks, another process may have built it meanwhile
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(source: Source, folder: Path) -> None:
    """The records and the description of a dataset, as TFDS and ArrayRecord lay them out, in an empty folder.

    TFDS's writer of records in order; its builders gather a split in memory and need TensorFlow beyond 1 GB.
    """
    tasks = [{"name": task.name, "grades": list(task.grades)} for task in source.tasks]
    metadata = {
        "tasks": tasks,
        "licence": source.licence,
        "identity": dict(source.identity),
        "known": dict(source.known),
    }
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name=source.name, version=tfds.core.Version(_VERSION), data_dir=str(folder), module_name=__name__
        ),
        features=tfds.features.FeaturesDict(dict(source.features)),
        description=source.summary,
        citation=source.citation,
        metadata=tfds.core.MetadataDict(metadata | {"extras": dict(source.extras)}),
        disable_shuffling=True,
    )
    length = max(1, _SHARD // sum(_sizes(info.features).values()))
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=length, file_format="array_record")
    writer.initialize_splits(list(source.splits))
    for name, records in source.splits.items():
        try:
            writer.add_examples({name: _guarded(source.name, name, records)})
        except (UserError, OSError, RuntimeError):
            raise
        except Exception as error:
            raise UserError(
                f"a record of the split {name} does not fit the features of {source.name}: {reason(error)}"
            ) from error
    info.metadata["notes"] = list(source.notes)
    writer.close_all()
    for name, split in info.splits.items():
        if not split.num_examples:
            raise UserError(f"{source.name} has no records in its split {name}: leave the split out or fill it")


def _guarded(name: str, split: str, records: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """The records of a split; what a source raises is told as its own failure, and not as the disk's."""
    try:
        yield from records()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"the source of {name} failed in its split {split}: {one_line(error)}") from error


def built(name: str, cache: Path, known: Mapping[str, Any] | None = None) -> list[Path]:
    """The folders of the built copies of the dataset `name` under `cache`, or those made with this `known`."""
    _check_name(name)
    folders = [path.parent for path in sorted((cache / name).glob(f"*/{name}/{_VERSION}/{_SEAL}"))]
    if known is None:
        return folders
    return [folder for folder in folders if digest(_read(folder, "metadata.json").get("known")) == digest(known)]


def _read(folder: Path, name: str) -> dict[str, Any]:
    """One of the JSON files of a built dataset; raises UserError when it is missing or damaged."""
    try:
        content = json.loads((folder / name).read_text())
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{name}: {reason(error)}") from error
    if not isinstance(content, dict):
        raise _damaged(folder, f"{name} is no JSON object")
    return content


def _damaged(folder: Path, why: str) -> UserError:
    return UserError(f"the built dataset {folder} is damaged ({why}): delete that folder to build it again")


def _check_seal(folder: Path) -> None:
    """Raise UserError unless a built dataset has the files that were written, as they were written, and no others."""
    seal = _read(folder, _SEAL)
    there = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")} - {_SEAL}
    for name, written in seal.items():
        if name not in there:
            raise _damaged(folder, f"{name:.100} is missing")
        if file_digest(folder / name) != written:
            raise _damaged(folder, f"{name} is not what was written")
    if others := sorted(there - seal.keys()):
        raise _damaged(folder, f"{others[0]} is not among the files that were written")


@dataclasses.dataclass(frozen=True)
class Records:
    """One large field of a dataset, decoded when indexed: `records[indices]` is `[len(indices), ...]`."""

    sources: tuple[Any, ...]
    starts: tuple[int, ...]
    field: str
    folder: Path

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """The field of these records, stacked; raises UserError where the file was damaged since it was opened."""
        split = np.searchsorted(self.starts, indices, side="right") - 1
        rows: list[Any] = [None] * len(indices)
        for number in np.unique(split):
            places = np.flatnonzero(split == number)
            wanted = [int(indices[place]) - self.starts[number] for place in places]
            try:
                records = self.sources[number].__getitems__(wanted)
            except Exception as error:
                raise _damaged(self.folder, reason(error)) from error
            for place, record in zip(places, records, strict=True):
                rows[place] = record[self.field]
        return np.stack(rows)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A built dataset, open for reading.

    columns: per field, an array `[N, ...]`, or Records where one example takes more than `LARGE` bytes or all of them
    more than `held`; what is said of an example, `_FACTS` bytes at most, is an array. official: the splits as built, as
    indices. identity: of the source and of every id, group and label, 12 hex digits. notes: what was dropped or is odd,
    in a sentence each.
    """

    name: str
    tasks: tuple[Task, ...]
    summary: str
    licence: str
    citation: str
    identity: str
    extras: Mapping[str, Any]
    columns: Mapping[str, Any]
    official: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns["id"])


def open_dataset(folder: Path, large: int = LARGE, held: int = HELD) -> Dataset:
    """Open a built dataset; raises UserError when a byte of it is damaged or a label or group is none."""
    _check_seal(folder)
    try:
        builder = tfds.builder_from_directory(str(folder))
        names = list(builder.info.splits)
        sources = tuple(builder.as_data_source(name) for name in names)
        starts = tuple(np.cumsum([0, *(len(source) for source in sources)]).tolist())
        columns = _columns(builder.info.features, sources, starts, large, held, folder)
        metadata = builder.info.metadata
        tasks = tuple(Task(task["name"], tuple(task["grades"])) for task in metadata["tasks"])
        rows = [columns[name].tolist() for name in ("id", "group", *(f"label/{task.name}" for task in tasks))]
    except Exception as error:
        raise _damaged(folder, reason(error)) from error
    for task in tasks:
        check_labels(columns[f"label/{task.name}"], task, str(folder))
    for number, group in enumerate(rows[1]):
        if group in NO_ID:  # all such examples would be one patient
            raise UserError(f"example {number} of {folder} has the group {group!r}: name one, or one for each alone")
    return Dataset(
        name=builder.info.name,
        tasks=tasks,
        summary=builder.info.description,
        licence=metadata["licence"],
        citation=builder.info.citation,
        identity=digest([metadata["identity"], rows]),
        extras=metadata["extras"],
        columns=columns,
        official={name: np.arange(*starts[i : i + 2]) for i, name in enumerate(names)},
        notes=tuple(metadata["notes"]),
    )


def check_labels(labels: np.ndarray, task: Task, where: str) -> None:
    """Raise UserError for the first label outside 0 ... K-1 (and other than -1, which means missing)."""
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise UserError(
            f"labels of task {task.name} in {where} are {labels.dtype} {labels.shape}: give one integer each"
        )
    wrong = np.flatnonzero((labels < -1) | (labels >= task.num_classes))
    if len(wrong):
        raise UserError(
            f"label {labels[wrong[0]]} of example {wrong[0]} for task {task.name} in {where} is outside "
            f"0 ... {task.num_classes - 1}: correct it there, or use -1 for a missing label"
        )


def _columns(
    features: Any, sources: tuple[Any, ...], starts: tuple[int, ...], large: int, held: int, folder: Path
) -> dict[str, Any]:
    sizes = _sizes(features)
    # What is said of an example, labels and names and groups and times, is always at hand.
    facts = [name for name, feature in features.items() if not feature.shape]
    facts += [name for name, size in sizes.items() if name not in INPUTS and size <= min(large, _FACTS)]
    small = [name for name, size in sizes.items() if name in facts or size <= min(large, held // starts[-1])]
    values: dict[str, list[Any]] = {name: [] for name in small}
    for source in sources:
        for start in range(0, len(source), _CHUNK):
            for record in source.__getitems__(list(range(start, min(start + _CHUNK, len(source))))):
                for name in small:
                    value = record[name]
                    values[name].append(value.decode() if isinstance(value, bytes) else value)
    columns: dict[str, Any] = {name: np.asarray(value) for name, value in values.items()}
    return columns | {name: Records(sources, starts, name, folder) for name in sizes if name not in columns}


def _sizes(features: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of each field of a record; a text counts one."""
    return {name: int(np.prod(feature.shape)) * _itemsize(feature.np_dtype) for name, feature in features.items()}


def _itemsize(dtype: Any) -> int:
    try:
        return np.dtype(dtype).itemsize
    except TypeError:
        return 1
