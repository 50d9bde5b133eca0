"""Runs a plan: skips what is finished, shares what can be shared, survives a cell that fails."""

from __future__ import annotations

import collections
import contextlib
import math
import traceback
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ordinal_blast import errors, kinds, parts, question, record
from ordinal_blast.data import material
from ordinal_blast.data.material import Material
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import Settings, differences, leaves
from ordinal_blast.storage import digest, remove_leftovers
from ordinal_blast.study import cell, decisions, identity, recipe, standing, tracking
from ordinal_blast.study.lock import alone
from ordinal_blast.study.plan import Cell, Plan
from ordinal_blast.study.recipe import Opened, Work
from ordinal_blast.study.session import Session
from ordinal_blast.training import compilation, stacked
from ordinal_blast.training.course import Course

_STACK = 16  # cells of one program, where the settings leave it open
_AT_ONCE = 2  # programs that one device is given at a time
_PROGRAMS = 32  # variants whose compiled programs a process keeps


def run(plan: Plan, root: Path, command: str, session: Session, *, allow_changed_code: bool = False) -> list[str]:
    """Run every unfinished cell under `root`; returns the names of the cells that failed.

    A cell's error is written to its `error.txt` and printed; the others go on. Raises UsageError before any work where
    a cell's settings are wrong, `root` holds other cells under these names or a study of several questions, the code
    that makes their numbers has changed (unless that is allowed), or another process is at work there.
    """
    if record.read_questions(root):
        raise UsageError(f"{root} holds a study (it has a {record.QUESTIONS}): use another --workdir for one run")
    return together({root: plan}, root, command, session, allow_changed_code=allow_changed_code)


def together(
    plans: Mapping[Path, Plan], root: Path, command: str, session: Session, *, allow_changed_code: bool = False
) -> list[str]:
    """Run several plans as `run` does, each in a folder of its own; what they share is done once, under `root`.

    A cell that another plan has trained is decided from what that trained.
    """
    with parts.held(), contextlib.ExitStack() as locks:
        sitting = _Sitting(root, session)
        runs = [_Run(plan, folder, sitting) for folder, plan in plans.items()]
        for one in runs:
            one.check()
        for folder in dict.fromkeys((root, *plans)):
            locks.enter_context(alone(folder, session.progress.say))
        remove_leftovers(root, [record.QUESTIONS])
        before = record.read_questions(root)
        for one in runs:
            one.claim(command, allow_changed_code)
        if root not in plans:
            record.write_questions(root, [*dict.fromkeys([*before, *(folder.name for folder in plans)])])
        trainings = {training for one in runs for training in one.recall()} - sitting.trained.keys()
        session.progress.start(sum(len(plan.cells) for plan in plans.values()), len(trainings))
        try:
            return [name for one in runs for name in one.cells()]
        finally:
            session.progress.close()


class _Flying(NamedTuple):
    """Cells whose courses another thread brings to their end."""

    cells: Sequence[tuple[Cell, Opened]]
    courses: Sequence[Course]
    landing: Future[list[Exception]]

    def landed(self, say: Callable[[str], None]) -> Sequence[tuple[Cell, Opened]]:
        """The cells, once that is done; what could not be trained side by side is said, and goes one by one."""
        for error in self.landing.result():
            say(f"{self.cells[0][0].variant}: its seeds go one by one, for side by side: {errors.one_line(error)}")
        return self.cells


class _Sitting:
    """What plans that run together share: their stages, what was trained, and each dataset, opened once."""

    def __init__(self, root: Path, session: Session) -> None:
        self.root, self.session = root, session
        self.trained: dict[str, Path] = {}  # finished cells, by all that their training depends on
        self._materials: dict[str, Material] = {}

    def material(self, settings: Settings) -> Material:
        """The data of these settings; what its splits lack is said once."""
        key = digest([differences(settings.data), settings.data.root, settings.data.cache, settings.tasks])
        if key not in self._materials:
            opened = self._materials[key] = material.open(settings.data, settings.tasks)
            for warning in opened.warnings:
                self.session.progress.say(f"Warning, {opened.dataset.name}: {warning}")
        return self._materials[key]


class _Run:
    """One plan of a sitting."""

    def __init__(self, plan: Plan, root: Path, sitting: _Sitting) -> None:
        self.plan, self.root, self.sitting, self.session = plan, root, sitting, sitting.session
        self._works: dict[str, Work] = {}
        self._identified: Mapping[str, Mapping[str, Any]] = {}
        self._trainings: dict[str, str] = {}  # of cells by name, all that their training depends on
        self._training: set[str] = set()  # cells that are trained, for nothing else has been trained alike
        self._failed: list[str] = []

    def check(self) -> None:
        """Every check that can be made before any work."""
        for one in {one.variant: one for one in reversed(self.plan.cells)}.values():
            validate(one.settings)
        for one in self.plan.cells:
            self._check(one)
            question.check_tasks(self.plan.question, [task.name for task in self._work(one).material.tasks])

    def claim(self, command: str, allow_changed_code: bool) -> None:
        """See that the folders are theirs, and write the plan."""
        progress, cells = self.session.progress, self.plan.cells
        plan = standing.joined(self.plan, command, self.root)
        for folder in (self.root, *self.root.glob("cells/*/"), *self.sitting.root.glob("stages/*/")):
            remove_leftovers(folder, record.WRITTEN)
        code = {one.variant: identity.of_code(one.settings) for one in cells[: len(self.plan.variants)]}
        self._identified = identified = {
            one.name: {
                "variant": one.variant,
                "data": self._work(one).material.identity,
                "code": code[one.variant],
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

    def recall(self) -> Collection[str]:
        """The trainings of the cells, of which the sitting knows what was finished before."""
        for one in self.plan.cells:
            training = cell.training_digest(one.settings, self._identified[one.name]["data"])
            self._trainings[one.name] = training
            if record.finished(self._folder(one)):
                self.sitting.trained.setdefault(training, self._folder(one))
        return self._trainings.values()

    def cells(self) -> list[str]:
        """Run every cell that is not finished; returns the names of those that failed."""
        progress = self.session.progress
        tracked = self.plan.cells[0].settings.track
        progress.tracker = tracking.begin(tracked, self.root, self.plan.experiment, progress.say)
        digests, trained = self._trainings, self.sitting.trained
        first: list[Cell] = []
        others: list[Cell] = []
        begun: set[str] = set()
        for one in self.plan.cells:
            if record.finished(self._folder(one)):
                self._tell(one, "finished before")
            elif source := trained.get(digests[one.name]):  # by another plan, or before: nothing to wait for
                self._decide(one, source)
            else:
                (others if digests[one.name] in begun else first).append(one)
                begun.add(digests[one.name])
        self._training = {one.name for one in first}
        with contextlib.closing(self._side_by_side(self._groups(first))) as cells:
            for one, opened in cells:
                if self._conclude(one, opened):
                    trained[digests[one.name]] = self._folder(one)
        for one in others:  # unless what they share failed
            source = trained.get(digests[one.name])
            if self._decide(one, source) if source else self._conclude(one, self._open(one)):
                trained.setdefault(digests[one.name], self._folder(one))
        return self._failed

    def _groups(self, cells: Sequence[Cell]) -> list[list[Cell]]:
        """The cells in order, those of a variant together where their last stage can be trained side by side.

        Not beside services that are told of one run at a time. Groups of a variant are of one size, which is compiled
        once, and stand apart, so that the second finds what was compiled for the first.
        """
        settings = self.plan.cells[0].settings
        most = 1 if {*settings.track} - {*tracking.INTERLEAVED} else settings.stack or _STACK
        variants: dict[str, list[Cell]] = {}
        for one in cells:
            beside = recipe.stages(one.settings)[-1].side_by_side(self._work(one), asked=settings.stack > 1)
            variants.setdefault(one.variant if beside else one.name, []).append(one)
        groups = []
        for alike in variants.values():
            count = -(-len(alike) // most)
            groups += [(n, alike[n::count]) for n in range(count)]
        return [group for _, group in sorted(groups, key=lambda numbered: numbered[0])]

    def _side_by_side(self, groups: Iterable[Sequence[Cell]]) -> Generator[tuple[Cell, Opened], None, None]:
        """The cells of the groups, opened; before that, what can be trained side by side has been.

        On one device two groups are on their way while a third is concluded: one leaves cores idle.
        """
        flying: collections.deque[_Flying] = collections.deque()
        devices = self.session.devices
        compiled: set[str] = set()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                for group in groups:
                    if len(compiled | {group[0].variant}) > _PROGRAMS:
                        compilation.forget()
                        compiled.clear()
                    compiled.add(group[0].variant)
                    beside = len(group) > 1
                    opened = [(one, chain) for one in group if (chain := self._open(one, beside))]
                    courses = [chain.course() for _, chain in opened] if beside else []
                    flying.append(_Flying(opened, courses, pool.submit(stacked.advance, courses, devices)))
                    while len(flying) > (_AT_ONCE if courses and len(devices) == 1 else 0):
                        yield from flying.popleft().landed(self.session.progress.say)
                while flying:
                    yield from flying.popleft().landed(self.session.progress.say)
            finally:
                for course in (course for group in flying for course in group.courses):  # the sitting is ended
                    course.failure = course.failure or UserError("the sitting was ended")

    def _open(self, one: Cell, beside: bool = False) -> Opened | None:
        """The cell with all but its last stage built, and that begun where it is to be trained beside others.

        None where that failed, as is told then.
        """
        with self._surviving(one):
            self._begin(one)
            opened = cell.open(one, self._work(one), self._folder(one), self.sitting.root)
            if beside:
                opened.course()
            return opened
        return None

    def _conclude(self, one: Cell, opened: Opened | None) -> bool:
        """Train what is left to train, and write the record; whether that went well."""
        with self._surviving(one):
            if opened is not None:
                identified = self._identified[one.name]
                cell.train(one, self.plan.experiment, identified, self._work(one), self._folder(one), opened)
                return self._finish(one)
        return False

    def _decide(self, one: Cell, trained: Path) -> bool:
        """Decide for what another cell trained; whether that went well."""
        with self._surviving(one):
            self._begin(one)
            identified = self._identified[one.name]
            cell.redecide(one, self.plan.experiment, identified, self._work(one), self._folder(one), trained)
            return self._finish(one)
        return False

    def _begin(self, one: Cell) -> None:
        self.session.progress.cell(one.name, self._where)
        (self._folder(one) / record.ERROR).unlink(missing_ok=True)
        self.session.progress.tracker.begin(one.name, differences(one.settings))

    def _finish(self, one: Cell) -> bool:
        folder = self._folder(one)
        self.session.progress.tracker.finish(one.name, record.tests(folder))
        self._tell(one, _headline(folder))
        return True

    @contextlib.contextmanager
    def _surviving(self, one: Cell) -> Iterator[None]:
        """In this block, what a cell raises is written and told, and the others go on."""
        try:
            yield
        except (Exception, SystemExit) as problem:
            self._failed.append(f"{self._where}{one.name}")
            with contextlib.suppress(OSError):  # the disk may be what failed; it is printed all the same
                text = f"{errors.one_line(problem)}\n\n{traceback.format_exc()}"
                (self._folder(one) / record.ERROR).write_text(text, encoding="utf-8")
            self._tell(one, f"FAILED: {errors.one_line(problem)}")

    def _tell(self, one: Cell, outcome: str) -> None:
        self.session.progress.finish(f"{self._where}{one.name}: {outcome}", one.name in self._training)

    @property
    def _where(self) -> str:
        """What stands before the name of a cell: the question, where there are several."""
        return "" if self.root == self.sitting.root else f"{self.root.relative_to(self.sitting.root)}/"

    def _folder(self, one: Cell) -> Path:
        return record.folder_of(self.root, one.name)

    def _check(self, one: Cell) -> None:
        settings, work = one.settings, self._work(one)
        chain = recipe.stages(settings)
        recipe.check(chain, work.material.dataset.columns)
        for stage in chain:
            with recipe.blamed(stage.name, stage.settings):
                stage.check(work)
        decisions.check_correction(settings.objective, settings.class_weights, work.material)
        cell.check(settings, work.material)

    def _work(self, one: Cell) -> Work:
        if one.name not in self._works:
            opened = self.sitting.material(one.settings)
            objective = one.settings.objective
            bound = decisions.adjusted(decisions.bind(objective, opened.tasks), objective, opened)
            self._works[one.name] = Work(opened, recipe.goal(one.settings), bound, self.session)
        return self._works[one.name]


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
