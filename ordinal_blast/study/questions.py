"""Several questions of one configuration, each an ablation: one plan a question, and what is shared is done once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ordinal_blast import record
from ordinal_blast.errors import UsageError
from ordinal_blast.settings import Settings
from ordinal_blast.study import plan, runner
from ordinal_blast.study.plan import Plan
from ordinal_blast.study.session import Session

_TAKEN = ("cells", "checkpoints", "report", "stages")  # what a work directory has beside its questions


def plans(base: Settings, seeds: int) -> dict[str, Plan]:
    """The plan of every question of the settings, by its name, each with the same seeds.

    Raises UsageError where there is no question, one has a name that its folder cannot have, or two have one, in
    whatever letters, and as `plan.ablation` does.
    """
    if not base.questions:
        raise UsageError(
            "questions is empty, and a study asks some: --config.questions=\"('losses', 'optimizer')\", or ablate for "
            "one alone"
        )
    named: dict[str, Plan] = {}
    for path in base.questions:
        name = Path(path).stem
        if name.casefold() in _TAKEN or not record.may_be_folder(name):
            raise UsageError(
                f"questions has {path}, and no folder of a question may be called {name!r}: name the file by letters, "
                f"digits, dots, hyphens and underscores, and none of {', '.join(_TAKEN)}"
            )
        if name.casefold() in map(str.casefold, named):
            raise UsageError(f"questions has {name} twice: give one of the files another name")
        planned = plan.ablation(path, base, seeds)
        named[name] = dataclasses.replace(planned, experiment=f"{base.name}: {name}")
    return named


def run(
    planned: dict[str, Plan], root: Path, command: str, session: Session, *, allow_changed_code: bool = False
) -> list[str]:
    """Run every unfinished cell of all questions, `root/QUESTION/cells`; returns the names of those that failed.

    Stages and trainings that questions share are done once, `root/stages`. Raises UsageError as `runner.run` does.
    """
    if (root / record.PLAN).exists():
        raise UsageError(f"{root} holds one run (it has a {record.PLAN}): use another --workdir for a study")
    folders = {root / name: one for name, one in planned.items()}
    return runner.together(folders, root, command, session, allow_changed_code=allow_changed_code)
