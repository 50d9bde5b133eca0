"""The latest state, for an exact resume, and the best variables, for the test: kept apart, with Orbax."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from ordinal_blast.errors import UserError

logging.getLogger("absl").setLevel(logging.ERROR)


class Checkpoints:
    """Checkpoints of one run under `directory`/latest and `directory`/best, one of each.

    Saving is synchronous and atomic: killed at any moment, the previous checkpoint still stands.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()  # Orbax loses saves to relative paths without a word
        self._managers = {name: self._manager(name) for name in ("latest", "best")}

    def _manager(self, name: str) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False, create=True)
        return ocp.CheckpointManager(self._directory / name, options=options)

    def epoch(self, name: str) -> int | None:
        """The epoch of the checkpoint "latest" or "best", or None."""
        return self._managers[name].latest_step()

    def save(self, name: str, epoch: int, tree: Any) -> None:
        """Save `tree` as the only checkpoint `name`, of this epoch.

        Raises UserError when the disk refuses; what was saved before is kept.
        """
        manager = self._managers[name]
        stale = [step for step in manager.all_steps() if step >= epoch]
        try:
            for step in stale:  # left by a run that was killed between its two saves; it is made again, equal
                manager.delete(step)
            manager.save(epoch, args=ocp.args.StandardSave(tree))
            manager.wait_until_finished()
        except Exception as error:  # Orbax wraps a full disk in several types
            raise UserError(
                f"cannot write the checkpoint of epoch {epoch} in {self._directory / name}: {_reason(error)}; "
                "free space and run the same command again, it resumes from the last checkpoint"
            ) from error

    def restore(self, name: str, like: Any) -> Any:
        """The tree of checkpoint `name`, with the shapes and types of `like`; raises UserError when it does not fit."""
        manager = self._managers[name]
        try:
            template = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
            return manager.restore(manager.latest_step(), args=ocp.args.StandardRestore(template))
        except Exception as error:
            raise UserError(
                f"cannot read the checkpoint in {self._directory / name}: {_reason(error)}; "
                f"delete {self._directory} to train again"
            ) from error

    def close(self) -> None:
        """Release Orbax's threads."""
        for manager in self._managers.values():
            manager.close()

    def clear(self) -> None:
        """Delete both checkpoints."""
        self.close()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._managers = {name: self._manager(name) for name in ("latest", "best")}


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
