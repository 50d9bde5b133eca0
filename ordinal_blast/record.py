"""What a finished cell leaves in its folder, and the check that its files belong together.

`config.json` says what was asked for, `predictions.npz` what the models say of every example, `result.json`, written
last, all that was measured, with the digests of the three: one that was edited, swapped or cut short is refused.
`plan.json` of the work directory names its cells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast.errors import UserError, reason
from ordinal_blast.storage import digest, file_digest, jsonable, read_json, read_npz, write_json, write_npz

SCHEMA = 1
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{,199}")  # of a cell
CONFIG, PREDICTIONS, RESULT, PLAN = "config.json", "predictions.npz", "result.json", "plan.json"


def finished(folder: Path) -> bool:
    """Whether the cell is done: its result is written last."""
    return (folder / RESULT).exists()


def write(folder: Path, result: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Finish the cell in `folder`, which holds its `config.json`: predictions, then the result with the digests."""
    write_npz(folder / PREDICTIONS, arrays)
    content = {"schema": SCHEMA, **jsonable(result)}
    digests = {
        "config": file_digest(folder / CONFIG),
        "predictions": file_digest(folder / PREDICTIONS),
        "result": digest(content),  # of everything but these digests
    }
    write_json(folder / RESULT, {**content, "digests": digests})


def read_result(folder: Path) -> dict[str, Any]:
    """`result.json` of a finished cell.

    Raises UserError where it or `config.json` is missing, damaged, of another schema, or not what the cell wrote.
    """
    path = folder / RESULT
    result = read_json(path, ("schema",))
    if result["schema"] != SCHEMA or not isinstance(result.get("digests"), dict):
        raise UserError(
            f"{path} (schema {result['schema']}, {'with' if 'digests' in result else 'without'} digests) is damaged or "
            f"was written by another version; {_again(folder)}"
        )
    content = {key: value for key, value in result.items() if key != "digests"}
    _check(folder, RESULT, digest(content), result["digests"].get("result"))
    _check_file(folder, CONFIG, result["digests"].get("config"))
    return result


def read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """`result.json`, and the arrays of `predictions.npz` under `MODEL/SPLIT/TASK/FIELD`.

    Raises UserError where they, or `config.json`, are not what the cell wrote.
    """
    return check(folder), read_npz(folder / PREDICTIONS)


def check(folder: Path) -> dict[str, Any]:
    """`result.json`, after all three files of the cell were checked; raises UserError for the first that is wrong."""
    result = read_result(folder)
    _check_file(folder, PREDICTIONS, result["digests"].get("predictions"))
    return result


def read_plan(root: Path) -> dict[str, Any]:
    """`plan.json` of a work directory: what its cells are, and what they are to answer.

    Raises UserError where it is missing, damaged, or of another schema.
    """
    path = root / PLAN
    plan = read_json(path, ("schema", "experiment", "question", "reference", "variants", "seeds", "cells", "command"))
    if plan["schema"] != SCHEMA:
        raise UserError(f"{path} has schema {plan['schema']}, this version reads {SCHEMA}: use another --workdir")
    texts = [plan[key] for key in ("experiment", "question", "command")]
    lists = [plan[key] for key in ("variants", "seeds", "cells")]
    sound = (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(items, list) and items for items in lists)
        and all(isinstance(name, str) for name in (*plan["variants"], *plan["cells"]))
        and all(isinstance(seed, int) for seed in plan["seeds"])
        and all(_FOLDER.fullmatch(name) for name in plan["cells"])
        and all(len(set(items)) == len(items) for items in lists)
        and plan["reference"] in plan["variants"]
    )
    if not sound:
        raise UserError(f"{path} is damaged; delete it and run the command that wrote it again")
    return plan


def _check_file(folder: Path, name: str, told: Any) -> None:
    if not (folder / name).is_file():
        raise UserError(f"{folder / name} is missing although the cell is finished; {_again(folder)}")
    try:
        found = file_digest(folder / name)
    except OSError as error:
        raise UserError(f"cannot read {folder / name}: {reason(error)}; {_again(folder)}") from error
    _check(folder, name, found, told)


def _check(folder: Path, name: str, found: str, told: Any) -> None:
    if found != told:
        raise UserError(
            f"{folder / name} is not what its cell wrote (digest {found}, and {told} was written): it was edited, "
            f"swapped or damaged; {_again(folder)}"
        )


def _again(folder: Path) -> str:
    return f"delete {folder} and run the command that made it again"
