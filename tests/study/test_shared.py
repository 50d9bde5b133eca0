"""Work that cells share: made once, whole or not at all, and named by all that it is made of."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from ordinal_blast import settings
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import GraderSettings, ObjectiveSettings, SplitSettings, StageSettings, setting
from ordinal_blast.storage import read_npy
from ordinal_blast.study import grader, identity, recipe, shared
from ordinal_blast.study.recipe import Goal, Stage, Work
from ordinal_blast.types import Task


def test_a_stage_is_built_once_and_again_where_its_key_differs(tmp_path):
    built = []

    def build(folder):
        built.append(folder)
        return {"number": len(built)}

    first = shared.stage(tmp_path, "crops", {"code": {"a.py": "1"}}, {"size": 8}, build)
    assert shared.stage(tmp_path, "crops", {"code": {"a.py": "1"}}, {"size": 8}, build) == first
    second = shared.stage(tmp_path, "crops", {"code": {"a.py": "2"}}, {"size": 8}, build)
    assert built == [first, second]
    assert shared.facts(second) == {"number": 2}


def test_a_stage_is_not_taken_for_one_that_was_built_under_another_default(tmp_path):
    was, new = {"size": 8}, {"size": 16, "blur": 0.0}
    shared.stage(tmp_path, "crops", {}, was, lambda folder: {})
    with pytest.raises(UsageError, match=r"was built with crops.size=8, which is 16 by default now: use another"):
        shared.stage(tmp_path, "crops", {}, new, lambda folder: {})
    assert shared.stage(tmp_path, "crops", {}, {"size": 8, "blur": 0.0}, lambda folder: {})  # a new one changes nothing


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": {}}', b"\xff\x00"])
def test_a_damaged_stage_is_one_line_that_names_its_file(tmp_path, content):
    (tmp_path / "stage.json").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*stage.json: .*; delete it and run the command") as caught:
        shared.facts(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "empty", "pickled", "gone"])
def test_a_damaged_array_of_a_stage_is_one_line_that_says_what_to_delete(tmp_path, damage):
    path = tmp_path / "areas.npy"
    np.save(path, np.arange(100.0))
    if damage == "pickled":
        np.save(path, np.asarray([{}], object), allow_pickle=True)
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 300 if damage == "cut" else 0])
    with pytest.raises(UserError, match=rf"cannot read {path}: .*; delete {tmp_path} and run the same command again"):
        read_npy(path)


@dataclasses.dataclass(frozen=True)
class ScaleSettings(StageSettings):
    """A number."""

    by: float = setting(1.0, "what is multiplied by")
    place: str = setting("", "where it lies", place=True)


class Scale(Stage):
    """Numbers times a number."""

    Settings = ScaleSettings
    reads, makes = ("numbers",), ("numbers",)

    def depends(self, work):
        """The seed."""
        return {"seed": work.goal.seed}

    def build(self, inputs, folder, work):
        """Nothing."""
        return {"of": float(inputs["numbers"](np.arange(1), None)[0])}

    def open(self, inputs, folder, work):
        """Numbers."""
        return {"numbers": lambda rows, rng: self.settings.by * inputs["numbers"](rows, rng)}

    def restore(self, folder, record):
        """Nothing."""
        raise NotImplementedError


@pytest.fixture
def chained(tmp_path):
    """`chained(...)`: the facts of three scales in a row, the last of them in the cell."""

    def run(data="d", split=None, sections=(ScaleSettings(),) * 3, seed=0):
        columns = {"numbers": np.asarray([2.0, 3.0])}
        dataset = SimpleNamespace(columns=columns)
        material = SimpleNamespace(identity=data, dataset=dataset, splits={"test": np.arange(2)})
        work = Work(material, Goal(ObjectiveSettings(), "none", seed), {}, None)
        chain = [Scale(name, section) for name, section in zip("abc", sections, strict=True)]
        (tmp_path / "cell").mkdir(exist_ok=True)
        return recipe.Opened(chain, work, split or SplitSettings(), tmp_path / "cell", tmp_path).finish(0).facts

    return run


def test_a_stage_reads_what_the_one_before_it_makes_and_the_last_lies_in_the_cell(chained, tmp_path):
    facts = chained(sections=(ScaleSettings(by=3.0), ScaleSettings(by=5.0), ScaleSettings()))
    assert [facts[name]["of"] for name in "abc"] == [2.0, 6.0, 30.0]
    assert {path.name for path in (tmp_path / "stages").iterdir()} == {facts[name]["folder"] for name in "ab"}
    assert {name: fact for name, fact in facts["c"].items() if name != "build_seconds"} == {"of": 30.0}


def test_a_stage_is_named_by_data_split_settings_code_seed_and_what_it_reads(chained, monkeypatch):
    base = chained()
    assert chained() == base
    assert chained(sections=(ScaleSettings(place="x"),) * 3) == base
    other = ScaleSettings(by=2.0)
    for change in (
        {"data": "e"},
        {"split": SplitSettings(by="group")},
        {"split": SplitSettings(by="group", seed=1)},
        {"seed": 1},
        {"sections": (other, other, other)},
    ):
        changed = chained(**change)
        assert not {changed[name]["folder"] for name in "ab"} & {base[name]["folder"] for name in "ab"}, change
    read = chained(sections=(other, ScaleSettings(), ScaleSettings()))
    assert read["b"]["folder"] != base["b"]["folder"]
    assert chained(sections=(ScaleSettings(), ScaleSettings(), other))["b"] == base["b"]
    monkeypatch.setattr(identity, "of_stage", lambda section: {"mine.py": "2"})
    assert chained()["a"]["folder"] != base["a"]["folder"]


def test_a_shared_grader_is_named_by_all_that_its_training_depends_on(tmp_path):
    def key(section=None, tasks="ab", objective=None, class_weights="none", seed=0, **more):
        material = SimpleNamespace(tasks=tuple(Task(name, ("low", "high")) for name in tasks))
        goal = Goal(objective or ObjectiveSettings(), class_weights, seed, **more)
        work = Work(material, goal, {}, None)
        return grader.Grader("cnn", section or GraderSettings()).depends(work)

    base = key()
    decides = ObjectiveSettings(rule="median", correct_weights=True, calibration="temperature", adjust_decision=1.0)
    assert key(objective=decides) == base
    assert key(divide_by="examples") == base | {"divide_by": "examples"}
    assert key(learns_from="raters") == base | {"learns_from": "raters"}
    assert key(objective=ObjectiveSettings(adjust_loss=0.5)) == base | {"adjust_loss": 0.5}
    assert base["tasks"] == ["a", "b"]
    for name, change in {
        "tasks": {"tasks": "a"},
        "objective": {"objective": ObjectiveSettings(options={"power": 2.0})},
        "class_weights": {"class_weights": "inverse_frequency"},
        "seed": {"seed": 1},
    }.items():
        changed = key(**change)
        assert {field for field in base if base[field] != changed[field]} == {name}
    weights = tmp_path / "w.safetensors"
    started = settings.NetworkSettings(init_from=str(weights))
    digests = []
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        digests.append(key(GraderSettings(network=started))["init_from"])
    assert "init_from" not in base
    assert digests[0] != digests[1]


def test_what_a_killed_writer_left_of_a_stage_is_cleared(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        shared.stage(tmp_path, "own", {}, {}, interrupted)
    (folder,) = (tmp_path / "stages").iterdir()
    (folder / ".stage.json.a1b2c3").write_text("{")
    assert shared.stage(tmp_path, "own", {}, {}, lambda folder: {"rows": 1}) == folder
    assert [path.name for path in folder.iterdir()] == ["stage.json"]


def interrupted(folder):
    raise KeyboardInterrupt
