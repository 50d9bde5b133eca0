"""Images in the MedMNIST npz format: `train_images`, `train_labels`, and so on for val and test (Yang et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast.data.store import Source, SourceMissingError, check_labels, pixels
from ordinal_blast.errors import UserError
from ordinal_blast.storage import file_digest, read_npz
from ordinal_blast.types import Task

_SPLITS = ("train", "val", "test")


def source(root: Path, *, name: str, task: str, grades: tuple[str, ...], licence: str, citation: str) -> Source:
    """The file `root/NAME.npz`: uint8 images `[N, H, W]` or `[N, H, W, 3]` and labels `[N]` or `[N, 1]` in 0 ... K-1.

    Raises UserError when the file is missing, damaged, holds pickled objects, lacks an array, or has a label that is
    not one of the K grades. MedMNIST names no patients, so every image is a group of its own.
    """
    path = root / f"{name}.npz"
    if not path.exists():
        raise SourceMissingError(
            name,
            f"{path.absolute()} does not exist: download {name}.npz and name its folder with --config.data.root=FOLDER",
        )
    arrays = read_npz(path, [f"{split}_{kind}" for split in _SPLITS for kind in ("images", "labels")])
    graded = Task(task, tuple(grades))
    for split in _SPLITS:
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) != len(labels):
            raise UserError(
                f"{path}: {split}_images must be uint8 [N, H, W(, 3)] with one label each, not {images.shape}"
            )
        if not np.issubdtype(labels.dtype, np.integer) or labels.size != len(labels):
            raise UserError(f"{path}: {split}_labels must be one integer per image, not {labels.dtype} {labels.shape}")
        check_labels(labels.astype(np.int64).reshape(-1), graded, f"{split}_labels of {path}")
    shape = arrays["train_images"].shape[1:]
    return Source(
        name=name,
        tasks=(graded,),
        summary=f"{name}: {' x '.join(map(str, shape[:2]))} images in {len(grades)} ordered grades, MedMNIST format",
        licence=licence,
        citation=citation,
        identity={"format": "medmnist", "file": file_digest(path), "grades": list(grades), "task": task},
        features={
            "id": tfds.features.Text(),
            "group": tfds.features.Text(),
            "image": pixels(*shape[:2], 1 if len(shape) == 2 else shape[2]),
            f"label/{task}": np.int32,
        },
        splits={split: partial(_records, arrays, split, task) for split in _SPLITS},
    )


def _records(arrays: Mapping[str, np.ndarray], split: str, task: str) -> Iterator[Mapping[str, Any]]:
    images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"].reshape(-1)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        name = f"{split}-{number:05d}"
        image = image if image.ndim == 3 else image[..., None]
        yield {"id": name, "group": name, "image": image, f"label/{task}": int(label)}
