"""What a run keeps under its directory: the checkpoint to go on from, and `metrics.jsonl`, one line an epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ordinal_blast.errors import UserError, reason
from ordinal_blast.storage import atomic, remove_leftovers
from ordinal_blast.training import checkpoints, packing
from ordinal_blast.training.selection import Line


class Journal:
    """The checkpoint and the metrics of one run in `directory`; without one, nothing is read or written.

    Raises UserError where what stands there is damaged, and when the disk refuses.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._checkpoints = checkpoints.of_run(directory) if directory else None

    @property
    def history(self) -> list[Line]:
        """The lines of the epochs that the checkpoint has behind it."""
        return self._checkpoints.history if self._checkpoints else []

    @property
    def kept(self) -> str:
        """What is left when a run stops here, for people."""
        epochs = len(self.history)
        return f"the checkpoint of epoch {epochs} in {self._directory} is kept" if epochs else "no epoch was finished"

    def restore(self, state: Any, best: Any) -> tuple[Any, Any]:
        """State and best variables of the checkpoint, with the shapes and types of these."""
        restored = self._checkpoints.restore({"state": packing.packed_like(state), "best": best})
        return packing.unpack(restored["state"], state), restored["best"]

    def begin(self) -> None:
        """Make the metrics those of the checkpoint, whatever stood there: other lines are of epochs to be repeated."""
        if self._directory is None:
            return
        log, text = self._log, "".join(json.dumps(line) + "\n" for line in self.history)
        remove_leftovers(self._directory, [log.name])
        if not log.exists() or log.read_bytes() != text.encode():
            with atomic(log) as stream:
                stream.write(text.encode())

    def keep(self, history: Sequence[Line], state: Any, best: Any, *, seal: bool) -> None:
        """Append the last line of the history; seal: make this the checkpoint. UserError where the disk refuses."""
        if self._directory is None:
            return
        try:
            with self._log.open("a") as stream:
                stream.write(json.dumps(history[-1]) + "\n")
        except OSError as error:
            advice = f"{reason(error)}; free space and run the same command again"
            raise UserError(f"cannot write {self._log}: {advice}") from error
        if seal:
            trees = {"state": packing.pack(state), "best": best}  # which anyone may read, by name
            self._checkpoints.save(len(history), trees, history)

    def close(self) -> None:
        """Release Orbax's threads."""
        if self._checkpoints:
            self._checkpoints.close()

    @property
    def _log(self) -> Path:
        return self._directory / "metrics.jsonl"
