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


def source(
    root: Path, *, name: str, grades: tuple[str, ...], task: str = "grade", licence: str = "", citation: str = ""
) -> Source:
    """The file `root/NAME.npz`: uint8 images `[N, H, W]` or `[N, H, W, C]` and labels `[N]` or `[N, 1]` in 0 ... K-1.

    C is 1 (grey) or 3 (colours); all images have one size. Raises SourceMissingError for no file, UserError where it is
    damaged, holds pickled objects or volumes, lacks an array or has an empty one, or a label that is not one of the K
    grades. MedMNIST names no patients, so every image is a group of its own.
    """
    path = root / f"{name}.npz"
    options = {"format": "medmnist", "grades": list(grades), "task": task}
    if not path.exists():
        raise SourceMissingError(
            name,
            options,
            f"{path.absolute()} does not exist: download {name}.npz and name its folder with --config.data.root=FOLDER",
        )
    arrays = read_npz(path, [f"{split}_{kind}" for split in _SPLITS for kind in ("images", "labels")])
    graded = Task(task, grades)
    for split in _SPLITS:
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if images.dtype != np.uint8 or images.ndim < 3 or not images.size:
            raise UserError(
                f"{path}: {split}_images must be uint8 [N, H, W] or [N, H, W, 3], one or more, not {images.dtype} "
                f"{images.shape}"
            )
        if images.ndim > 4 or images.shape[3:] not in ((), (1,), (3,)):
            raise UserError(
                f"{path}: {split}_images are {images.shape}, which is no image of 1 or 3 channels: volumes are not "
                "graded, give slices of them as images"
            )
        if images.shape[1:] != arrays["train_images"].shape[1:]:
            raise UserError(
                f"{path}: {split}_images are {images.shape} and train_images {arrays['train_images'].shape}: give "
                "images of one size and one number of channels"
            )
        if not np.issubdtype(labels.dtype, np.integer) or labels.shape not in ((len(images),), (len(images), 1)):
            raise UserError(
                f"{path}: {split}_labels must be one integer for each of {len(images)} images, not {labels.dtype} "
                f"{labels.shape}"
            )
        check_labels(labels.astype(np.int64).reshape(-1), graded, f"{split}_labels of {path}")
    shape = arrays["train_images"].shape[1:]
    return Source(
        name=name,
        tasks=(graded,),
        summary=f"{name}: {' x '.join(map(str, shape[:2]))} images in {len(grades)} ordered grades, MedMNIST format",
        licence=licence,
        citation=citation,
        identity=options | {"file": file_digest(path)},
        known=options,
        features={
            "id": tfds.features.Text(),
            "group": tfds.features.Text(),
            "images": pixels(*shape[:2], 1 if len(shape) == 2 else shape[2]),
            f"label/{task}": np.int32,
        },
        splits={split: partial(_records, arrays, split, task) for split in _SPLITS},
    )


def _records(arrays: Mapping[str, np.ndarray], split: str, task: str) -> Iterator[Mapping[str, Any]]:
    images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"].reshape(-1)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        name = f"{split}-{number:05d}"
        image = image if image.ndim == 3 else image[..., None]
        yield {"id": name, "group": name, "images": image, f"label/{task}": int(label)}
