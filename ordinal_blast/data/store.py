"""Datasets on disk: a source of records becomes a TFDS dataset in ArrayRecord, and is opened again from there."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast.errors import UserError
from ordinal_blast.storage import digest
from ordinal_blast.types import Task

_VERSION = "1.0.0"
_CHUNK = 128  # records decoded at a time
_SHARD = 2**30  # bytes of records in a file, before compression


class SourceMissingError(UserError):
    """The files of the dataset `name` are not where they were looked for."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a dataset comes from: what one file of `ordinal_blast/data/sources` returns.

    identity: JSON-able, equal if and only if the records are equal; it names the built copy.
    features: TFDS features of one record, which holds `id`, `group`, one `label/TASK` a task (-1 where missing) and
    what the model reads. splits: per split, a function that yields the records.
    """

    name: str
    tasks: tuple[Task, ...]
    summary: str
    licence: str
    citation: str
    identity: Mapping[str, Any]
    features: Mapping[str, Any]
    splits: Mapping[str, Callable[[], Iterable[Mapping[str, Any]]]]
    extras: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def pixels(*shape: int) -> tfds.features.Tensor:
    """A uint8 tensor stored as plain bytes: fifty times faster to write than TFDS's default list of integers."""
    return tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding=tfds.features.Encoding.BYTES)


def build(source: Source, cache: Path) -> Path:
    """Write the source's records under `cache` unless they are there; returns the folder of the built dataset.

    Records are written as they come, so that a dataset of large records may be larger than memory. Raises UserError
    when the disk refuses or a split is empty. A failed or killed build leaves no half dataset under this name: the
    folder is renamed when it is whole.
    """
    parent = cache / source.name / digest(source.identity)
    folder = parent / source.name / _VERSION
    if not (folder / "dataset_info.json").exists():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            unfinished = parent / f"unfinished-{uuid.uuid4().hex[:8]}"
            unfinished.mkdir()
            try:
                _write(source, unfinished)
                if not folder.exists():  # another process may have built it meanwhile
                    unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        except (OSError, RuntimeError) as error:  # ArrayRecord's writer raises the latter
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"cannot build {source.name} in {parent}: {reason}; free space or set data.cache"
            ) from error
    return folder


def _write(source: Source, folder: Path) -> None:
    """The records and the description of a dataset, as TFDS and ArrayRecord lay them out, in an empty folder.

    TFDS's writer of records in order; its builders gather a split in memory and need TensorFlow beyond 1 GB.
    """
    tasks = [{"name": task.name, "grades": list(task.grades)} for task in source.tasks]
    metadata = {"tasks": tasks, "licence": source.licence, "identity": dict(source.identity)}
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
    writer.add_examples({name: records() for name, records in source.splits.items()})
    writer.close_all()
    for name, split in info.splits.items():
        if not split.num_examples:
            raise UserError(f"{source.name} has no records in its split {name}: leave the split out or fill it")


def built(name: str, cache: Path) -> list[Path]:
    """The folders of all built copies of the dataset `name` under `cache`."""
    return sorted(path.parent for path in (cache / name).glob(f"*/{name}/{_VERSION}/dataset_info.json"))


@dataclasses.dataclass(frozen=True)
class Records:
    """One large field of a dataset, decoded when indexed: `records[indices]` is `[len(indices), ...]`."""

    sources: tuple[Any, ...]
    starts: tuple[int, ...]
    field: str

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """The field of these records, stacked."""
        split = np.searchsorted(self.starts, indices, side="right") - 1
        rows: list[Any] = [None] * len(indices)
        for number in np.unique(split):
            places = np.flatnonzero(split == number)
            wanted = [int(indices[place]) - self.starts[number] for place in places]
            for place, record in zip(places, self.sources[number].__getitems__(wanted), strict=True):
                rows[place] = record[self.field]
        return np.stack(rows)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A built dataset, open for reading.

    columns: per field, an array `[N, ...]`, or Records where one example is larger than `large` bytes. official: the
    splits as built, as indices. identity: content of the dataset, 12 hex digits.
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

    def __len__(self) -> int:
        return len(self.columns["id"])


def open_dataset(folder: Path, large: int = 65536) -> Dataset:
    """Open a built dataset; raises UserError when it cannot be read or a label lies outside 0 ... K-1."""
    try:
        builder = tfds.builder_from_directory(str(folder))
        names = list(builder.info.splits)
        sources = tuple(builder.as_data_source(name) for name in names)
        starts = tuple(np.cumsum([0, *(len(source) for source in sources)]).tolist())
        columns = _columns(builder.info.features, sources, starts, large)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"cannot read the built dataset {folder}: {error}; delete that folder to build it again"
        ) from error
    metadata = builder.info.metadata
    tasks = tuple(Task(task["name"], tuple(task["grades"])) for task in metadata["tasks"])
    for task in tasks:
        check_labels(columns[f"label/{task.name}"], task, str(folder))
    return Dataset(
        name=builder.info.name,
        tasks=tasks,
        summary=builder.info.description,
        licence=metadata["licence"],
        citation=builder.info.citation,
        identity=digest(metadata["identity"]),
        extras=metadata["extras"],
        columns=columns,
        official={name: np.arange(*starts[i : i + 2]) for i, name in enumerate(names)},
    )


def check_labels(labels: np.ndarray, task: Task, where: str) -> None:
    """Raise UserError for the first label outside 0 ... K-1 (and other than -1, which means missing)."""
    wrong = np.flatnonzero((labels < -1) | (labels >= task.num_classes))
    if len(wrong):
        raise UserError(
            f"label {labels[wrong[0]]} of example {wrong[0]} for task {task.name} in {where} is outside "
            f"0 ... {task.num_classes - 1}: correct it there, or use -1 for a missing label"
        )


def _columns(features: Any, sources: tuple[Any, ...], starts: tuple[int, ...], large: int) -> dict[str, Any]:
    sizes = _sizes(features)
    small = [name for name, size in sizes.items() if size <= large]
    values: dict[str, list[Any]] = {name: [] for name in small}
    for source in sources:
        for start in range(0, len(source), _CHUNK):
            for record in source.__getitems__(list(range(start, min(start + _CHUNK, len(source))))):
                for name in small:
                    value = record[name]
                    values[name].append(value.decode() if isinstance(value, bytes) else value)
    columns: dict[str, Any] = {name: np.asarray(value) for name, value in values.items()}
    return columns | {name: Records(sources, starts, name) for name in sizes if name not in columns}


def _sizes(features: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of each field of a record; a text counts one."""
    return {name: int(np.prod(feature.shape)) * _itemsize(feature.np_dtype) for name, feature in features.items()}


def _itemsize(dtype: Any) -> int:
    try:
        return np.dtype(dtype).itemsize
    except TypeError:
        return 1
