"""What a stage of one's own does wrong is said of it, in one line; what it says that it makes is what it makes."""

import pytest

from ordinal_blast import record, settings
from ordinal_blast.errors import UsageError
from ordinal_blast.study import grading, recipe, runner, session
from ordinal_blast.study import plan as plans

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
STAGES = '''
import dataclasses

from ordinal_blast.schema import setting
from ordinal_blast.settings import StageSettings
from ordinal_blast.study.recipe import Stage


@dataclasses.dataclass(frozen=True)
class Own(StageSettings):
    """A stage with one setting."""

    strength: int = setting(1, "how much")


class Same(Stage):
    """The images as they are; its arguments have names of their own."""

    Settings = Own
    reads, makes = ("images",), ("images",)

    def build(self, values, place, todo):
        return {}

    def open(self, values, place, todo):
        return {"images": values["images"]}

    def restore(self, place, record):
        return lambda values: values


class Forgets(Same):
    def open(self, values, place, todo):
        return {}


class Adds(Same):
    def open(self, values, place, todo):
        return {**values, "numbers": 1}


class Nothing(Same):
    def build(self, values, place, todo):
        return None


class Breaks(Same):
    def build(self, values, place, todo):
        raise RuntimeError("no idea")


class Leaves(Same):
    def build(self, values, place, todo):
        raise SystemExit(0)


class Shortens(Same):
    def open(self, values, place, todo):
        return {"images": lambda rows, rng: values["images"](rows[:1], rng)}


class Stumbles(Same):
    def open(self, values, place, todo):
        def look(rows, rng):
            raise IndexError("lost")

        return {"images": look}


class Grades(Same):
    def grade(self, values, place, todo):
        return {"grade": 1}


class Declines(Same):
    def grade(self, values, place, todo):
        return None


class Text(Same):
    reads = "images"


class Abstract(Stage):
    Settings = Own


class Checks(Same):
    def check(self, work):
        raise KeyError("grade")


class Thawed(StageSettings):
    strength: int = 1


class Undecorated(Same):
    Settings = Thawed


@dataclasses.dataclass(frozen=True)
class Unsaid(StageSettings):
    thing: float = setting(float("nan"), "what no file can say")


class Unsayable(Same):
    Settings = Unsaid


class NoStage:
    Settings = Own

    def __init__(self, name, settings):
        pass
'''


@pytest.fixture
def study(tmp_path, tiny_overrides):
    """study(stage, chain) runs a small study with this stage of one's own; returns its folder and what failed."""
    (tmp_path / "stages.py").write_text(STAGES)

    def run(stage, chain=("own", "cnn")):
        own = {"chain": ("own", "cnn"), "own.stage": f"{tmp_path}/stages.py:{stage}", "cnn.training.epochs": 1}
        chosen = settings.load("retinamnist", tiny_overrides | own)
        plan = plans.single(settings.override(chosen, {"chain": chain}))
        return tmp_path / "run", runner.run(plan, tmp_path / "run", "the command", session.begin(1))

    return run


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("Forgets", "the stage own makes images, and its open() gives nothing"),
        ("Adds", "the stage own makes images, and its open() gives images, numbers"),
        ("Nothing", "the stage own, {}: TypeError: build() gives a NoneType: it has to give facts by name"),
        ("Breaks", "the stage own, {}: RuntimeError: no idea"),
        ("Leaves", "the stage own, {}: SystemExit: 0"),
        ("Shortens", "the stage own, {}: ValueError: its images are 1 for 2 rows"),
        ("Stumbles", "the stage own, {}: IndexError: lost"),
        ("Grades", "the stage own, {}: TypeError: grade() gives a dict: it has to give Graded, or None"),
    ],
)
def test_what_a_stage_does_wrong_fails_its_cell_and_is_said_of_it(study, stage, message):
    root, failed = study(stage)
    assert failed == ["ordinal_cross_entropy-s0"]
    first, *_ = (root / "cells/ordinal_cross_entropy-s0/error.txt").read_text().splitlines()
    assert first == message.format(f"{root.parent}/stages.py:{stage}")


def test_the_last_stage_has_to_give_facts_too(study):
    root, failed = study("Nothing", ("cnn", "own"))
    assert failed == ["ordinal_cross_entropy-s0"]
    first, *_ = (root / "cells/ordinal_cross_entropy-s0/error.txt").read_text().splitlines()
    assert first.endswith("stages.py:Nothing: TypeError: build() gives a NoneType: it has to give facts by name")


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("Text", r"the stage own, .*:Text: TypeError: reads is 'images': it has to be a tuple of names"),
        ("Abstract", "the stage own, .*:Abstract: TypeError: Can't instantiate abstract class"),
        ("NoStage", "the stage own, .*:NoStage: TypeError: it is a NoStage, and no Stage"),
        ("Checks", "the stage own, .*:Checks: KeyError: 'grade'"),
        (
            "Undecorated",
            "stage is .*:Undecorated: its Settings .*: TypeError: Thawed has no field strength: it needs @",
        ),
        ("Unsayable", "stages.py:Unsayable: thing is nan: settings are text, finite"),
    ],
)
def test_a_stage_that_is_none_is_refused_before_any_work(study, tmp_path, stage, message):
    with pytest.raises(UsageError, match=message):
        study(stage)
    assert not (tmp_path / "run").exists()


def test_a_chain_in_which_nothing_grades_is_refused(study):
    with pytest.raises(UsageError, match=r"^chain is \('own',\), and none of these grades: add a stage that does"):
        study("Same", ("own",))


def test_a_chain_in_which_nothing_graded_fails_its_cell(study):
    root, failed = study("Declines", ("own",))
    assert failed == ["ordinal_cross_entropy-s0"]
    told = (root / "cells/ordinal_cross_entropy-s0/error.txt").read_text()
    assert told.startswith("chain is ('own',), and none of these graded: add a stage that does, such as grader\n")


def test_a_new_image_is_not_fitted_to_what_a_stage_made_of_others(study, tmp_path):
    root, failed = study("Same")
    assert failed == []
    cell = root / "cells/ordinal_cross_entropy-s0"
    assert record.read(cell).stages["own"]["folder"].startswith("own-")
    with pytest.raises(UsageError, match=r"trained on images that the stage own makes, .*: set its suffixes, and read"):
        grading.grade(cell, [tmp_path / "new.png"], trust=tmp_path)


def test_the_stages_of_the_package_may_raise_what_they_like():
    with pytest.raises(KeyError), recipe.blamed("cnn", settings.GraderSettings()):
        raise KeyError
