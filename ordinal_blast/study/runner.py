"""Runs a plan: skips what is finished, shares what can be shared, survives a cell that fails."""

from __future__ import annotations

import contextlib
import math
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ordinal_blast import errors, kinds, parts, question, record
from ordinal_blast.data import material
from ordinal_blast.data.material import Material
from ordinal_blast.settings import Settings, differences, leaves
from ordinal_blast.storage import digest, remove_leftovers
from ordinal_blast.study import cell, decisions, identity, recipe, standing, tracking
from ordinal_blast.study.lock import alone
from ordinal_blast.study.plan import Cell, Plan
from ordinal_blast.study.recipe import Work
from ordinal_blast.study.session import Session


def run(plan: Plan, root: Path, command: str, session: Session, *, allow_changed_code: bool = False) -> list[str]:
    """Run every unfinished cell under `root`; returns the names of the cells that failed.

    A cell's error is written to its `error.txt` and printed; the others go on. Raises UsageError before any work where
    a cell's settings are wrong, `root` holds other cells under these names, the code that makes their numbers has
    changed (unless that is allowed), or another process is at work there.
    """
    with parts.held():
        return _Run(plan, root, session).whole(command, allow_changed_code)


class _Run:
    """One sitting on a plan; each dataset is opened once, and what its splits lack is said once."""

    def __init__(self, plan: Plan, root: Path, session: Session) -> None:
        self.plan, self.root, self.session = plan, root, session
        self._materials: dict[str, Material] = {}

    def whole(self, command: str, allow_changed_code: bool) -> list[str]:
        """The cells, after every check that can be made before any work."""
        progress, cells = self.session.progress, self.plan.cells
        for one in {one.variant: one for one in reversed(cells)}.values():
            validate(one.settings)
        for one in cells:
            self._check(one.settings)
            question.check_tasks(self.plan.question, [task.name for task in self._material(one.settings).tasks])
        with alone(self.root, progress.say):
            plan = standing.joined(self.plan, command, self.root)
            for folder in (self.root, *self.root.glob("cells/*/"), *self.root.glob("stages/*/")):
                remove_leftovers(folder, record.WRITTEN)
            identified = {
                one.name: {
                    "variant": one.variant,
                    "data": self._material(one.settings).identity,
                    "code": identity.of_code(one.settings),
                }
                for one in cells
            }
            changed: list[str] = []
            for one in cells:
                folder = record.folder_of(self.root, one.name)
                changed += cell.claim(folder, one.settings, identified[one.name], allow_changed_code)
            if changed:
                names = ", ".join(dict.fromkeys(changed))
                progress.say(f"Warning: begun with another text of {names}: this folder mixes numbers of both")
            record.write_plan(self.root, plan)
            tracked = cells[0].settings.track
            progress.tracker = tracking.begin(tracked, self.root, self.plan.experiment, progress.say)
            progress.start(len(cells))
            try:
                return self._cells(identified)
            finally:
                progress.close()

    def _cells(self, identified: Mapping[str, Mapping[str, Any]]) -> list[str]:
        trained: dict[str, Path] = {}  # finished cells, by all that their training depends on
        failed: list[str] = []
        for number, one in enumerate(self.plan.cells, start=1):
            folder, outcome = record.folder_of(self.root, one.name), "finished before"
            error = folder / record.ERROR
            training = cell.training_digest(one.settings, identified[one.name]["data"])
            if not record.finished(folder):
                self.session.progress.cell(one.name)
                error.unlink(missing_ok=True)
                try:
                    self.session.progress.tracker.begin(one.name, differences(one.settings))
                    self._cell(one, identified[one.name], folder, trained.get(training))
                    self.session.progress.tracker.finish(one.name, record.tests(folder))
                    outcome = _headline(folder)
                except (Exception, SystemExit) as problem:  # one bad cell must not cost the others
                    failed.append(one.name)
                    outcome = f"FAILED: {errors.one_line(problem)}"
                    with contextlib.suppress(OSError):  # the disk may be what failed; it is printed all the same
                        error.write_text(f"{errors.one_line(problem)}\n\n{traceback.format_exc()}", encoding="utf-8")
            if record.finished(folder):
                trained.setdefault(training, folder)
            self.session.progress.finish(number, f"{one.name}: {outcome}")
        return failed

    def _cell(self, one: Cell, identified: Mapping[str, Any], folder: Path, trained: Path | None) -> None:
        work = self._work(one.settings)
        if trained is None:
            cell.train(one, self.plan.experiment, identified, work, folder, self.root)
        else:
            cell.redecide(one, self.plan.experiment, identified, work, folder, trained)

    def _check(self, settings: Settings) -> None:
        work, chain = self._work(settings), recipe.stages(settings)
        recipe.check(chain, work.material.dataset.columns)
        for stage in chain:
            with recipe.blamed(stage.name, stage.settings):
                stage.check(work)
        undone = decisions.undone(settings.objective, settings.class_weights, work.material)
        decisions.corrected(work.bound, undone)
        cell.check(settings, work.material)

    def _work(self, settings: Settings) -> Work:
        opened = self._material(settings)
        bound = decisions.bind(settings.objective, opened.tasks)
        return Work(opened, recipe.goal(settings), bound, self.session)

    def _material(self, settings: Settings) -> Material:
        key = digest([differences(settings.data), settings.data.root, settings.data.cache, settings.tasks])
        if key not in self._materials:
            opened = self._materials[key] = material.open(settings.data, settings.tasks)
            for warning in opened.warnings:
                self.session.progress.say(f"Warning, {opened.dataset.name}: {warning}")
        return self._materials[key]


def validate(settings: Settings) -> None:
    """Raise UsageError for what can be refused before any data is opened."""
    for key, kind, name in kinds.named(leaves(settings)):
        if parts.is_outside(name) or kind == "measure":  # there is none here
            parts.find(key, name, {})
    for stage in recipe.stages(settings):
        with recipe.blamed(stage.name, stage.settings):
            stage.validate()
    decisions.validate(settings.objective)


def _headline(folder: Path) -> str:
    """QWK on the test set of the last stage that grades, by task."""
    values = record.headline(folder).items()
    return ", ".join(f"{task} QWK {'undefined' if math.isnan(value) else f'{value:.3f}'}" for task, value in values)
