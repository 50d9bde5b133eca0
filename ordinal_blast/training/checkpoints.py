"""The latest state, for an exact resume, the best variables, for the test, and the history: one checkpoint, with Orbax.

A checkpoint counts once its seal is written: `seal.json` names its epoch, holds the history of the run so far, and has
the digest of every file, because Orbax reads an array with a flipped bit without a word.
"""

from __future__ import annotations

import functools
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ordinal_blast.errors import UserError, one_line, reason
from ordinal_blast.storage import digest, file_digest, remove_leftovers, write_json

logging.getLogger("absl").setLevel(logging.CRITICAL)  # what Orbax raises is told here, without its traceback

FOLDER, _SEAL = "checkpoints", "seal.json"  # of a run's directory, and in it


def has_begun(directory: Path) -> bool:
    """Whether training has begun in the directory of a run."""
    return (directory / FOLDER).exists()


def is_sealed(directory: Path) -> bool:
    """Whether a run in `directory` has a checkpoint that counts."""
    return (directory / FOLDER / _SEAL).is_file()


def of_run(directory: Path) -> Checkpoints:
    """The checkpoint of the run in `directory`; raises UserError as `Checkpoints` does."""
    return Checkpoints(directory / FOLDER)


class Checkpoints:
    """The checkpoint of one run under `directory`, one at a time.

    Saving is synchronous and atomic: killed at any moment, the previous checkpoint still stands.
    """

    def __init__(self, directory: Path) -> None:
        """Raises UserError where `directory` is a file, or the seal is damaged."""
        self._directory = directory.absolute()  # Orbax loses saves to relative paths without a word
        self._seal = self._read_seal()

    @property
    def epoch(self) -> int:
        """The epoch of the checkpoint, 0 before any."""
        return self._seal["epoch"]

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines that were saved with the checkpoint, of epochs 1 to `epoch`."""
        return list(self._seal["history"])

    def save(self, epoch: int, trees: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> None:
        """Save the named trees and the history as the checkpoint of this epoch, instead of the one before.

        Their leaves are written as numpy has them, a third of Orbax's work on a small network; keys are for `packing`.
        Raises UserError when the disk refuses; what was saved before is kept.
        """
        try:
            self._forget_all_but(self.epoch)  # what a run that was killed before it sealed has left
            remove_leftovers(self._directory, [_SEAL])
            for name, tree in trees.items():
                place = self._directory / str(epoch) / name
                place.mkdir(parents=True)
                self._handler.save(place, args=ocp.args.StandardSave(jax.tree.map(np.asarray, tree)))
                self._handler.finalize(place)
            self._seal = _seal(epoch, _digests(self._directory / str(epoch)), history)
            write_json(self._directory / _SEAL, self._seal)
            self._forget_all_but(epoch)
        except UserError:
            raise
        except Exception as error:  # Orbax wraps a full disk in several types
            raise UserError(
                f"cannot write the checkpoint of epoch {epoch} in {self._directory}: {one_line(error)}; "
                "free space and run the same command again, it resumes from the last checkpoint"
            ) from error

    def restore(self, like: Mapping[str, Any]) -> dict[str, Any]:
        """The trees of these names, with the shapes and types of `like`.

        Raises UserError where a file is not what was written, or a tree does not fit.
        """
        for name in like:
            self._check_files(name)
        try:
            return {
                name: self._handler.restore(
                    self._directory / str(self.epoch) / name,
                    args=ocp.args.StandardRestore(jax.tree.map(ocp.utils.to_shape_dtype_struct, tree)),
                )
                for name, tree in like.items()
            }
        except Exception as error:
            raise self._unreadable(one_line(error)) from error

    def shapes(self, name: str) -> Any:
        """The shapes and types of a tree, as it was saved; raises UserError as `restore` does."""
        self._check_files(name)
        try:
            metadata = self._handler.metadata(self._directory / str(self.epoch) / name)
            return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), metadata.tree)
        except Exception as error:
            raise self._unreadable(one_line(error)) from error

    def digest(self, name: str) -> str:
        """12 hex digits of the content of a tree."""
        return digest({file: text for file, text in self._seal["files"].items() if file.startswith(f"{name}/")})

    def close(self) -> None:
        """Release Orbax's threads."""
        if "_handler" in vars(self):
            self._handler.close()

    @functools.cached_property
    def _handler(self) -> ocp.StandardCheckpointHandler:
        return ocp.StandardCheckpointHandler()  # the seal does what a manager would, which takes longer than small runs

    def _forget_all_but(self, epoch: int) -> None:
        for folder in self._directory.glob("[0-9]*"):
            if folder.name != str(epoch):
                shutil.rmtree(folder)

    def _read_seal(self) -> dict[str, Any]:
        path = self._directory / _SEAL
        if self._directory.exists() and not self._directory.is_dir():
            raise self._unreadable("it is a file")
        if not path.exists():
            return _seal(0, {}, [])
        try:
            seal = json.loads(path.read_bytes())
            whole = _seal(seal["epoch"], seal["files"], seal["history"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._unreadable(f"seal.json is damaged ({one_line(error)})") from error
        if seal != whole:
            raise self._unreadable("seal.json is not what was written")
        return seal

    def _check_files(self, part: str) -> None:
        folder = self._directory / str(self.epoch)
        for name, written in self._seal["files"].items():
            if name.startswith(f"{part}/"):
                try:
                    current = file_digest(folder / name)
                except OSError as error:
                    raise self._unreadable(f"{name} cannot be read ({reason(error)})") from error
                if current != written:
                    raise self._unreadable(f"{name} is not what was written")

    def _unreadable(self, why: str) -> UserError:
        return UserError(f"cannot read the checkpoint in {self._directory}: {why}; delete it to train again")


def _seal(epoch: int, files: Mapping[str, str], history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    content = {"epoch": epoch, "files": dict(files), "history": [dict(line) for line in history]}
    return {**content, "digest": digest(content)}


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}
