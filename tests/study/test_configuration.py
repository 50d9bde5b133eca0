"""Configurations: every file loads, typos and wrong types are refused, nothing is lost on the way."""

from pathlib import Path

import pytest

from ordinal_blast import objectives
from ordinal_blast.errors import UsageError
from ordinal_blast.study import cell, configuration, grid

FILES = sorted(
    path.relative_to(Path(__file__).parents[2]).as_posix() for path in Path(__file__).parents[2].glob("configs/*.py")
)


@pytest.mark.parametrize("name", FILES)
def test_every_configuration_loads_locked_and_says_how_to_run_it(name):
    config = configuration.load(name)
    assert config.is_locked
    assert "Command" in configuration.load_module(name).__doc__
    assert "Hardware" in configuration.load_module(name).__doc__


@pytest.mark.parametrize("name", sorted(path.name for path in Path(__file__).parents[2].glob("ablations/*.py")))
def test_every_ablation_is_a_question_that_fits_a_configuration(name):
    config = configuration.load("configs/fireman.py")
    plan = grid.ablation(f"ablations/{name}", config, 1)
    assert plan.question.endswith("?")
    assert len({each.variant for each in plan.cells}) == len(plan.cells) >= 4


def test_the_ablation_of_everything_has_every_objective():
    plan = grid.ablation("ablations/every.py", configuration.load("configs/era.py"), 1)
    assert sorted(each.config.objective.name for each in plan.cells) == sorted(objectives.names())
    assert plan.cells[0].variant == "cross_entropy"


def test_shipped_files_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert configuration.load("configs/demo.py").name == "demo"
    with pytest.raises(UsageError, match=r"there is no file configs/dmo.py; there are .*configs/demo.py"):
        configuration.load("configs/dmo.py")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cnn.trainin.epochs": "3"}, "did you mean cnn.training"),
        ({"cnn.training.epoch": "3"}, "did you mean cnn.training.epochs"),
        ({"cnn.training.epochs": "three"}, "cnn.training.epochs is 'three': it takes a int, such as 40"),
        ({"cnn.training.learning_rate": "True"}, "it takes a float"),
        ({"tasks": "3"}, "it takes a tuple"),
    ],
)
def test_typos_and_wrong_types_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        configuration.load("configs/retinamnist.py", change)


def test_overrides_read_text_as_the_type_that_stands_there():
    changes = configuration.parse_overrides(
        [
            "--config.cnn.training.epochs=3",
            "--config.tasks",
            "grade",
            "--config.cnn.training.learning_rate=1",
            "--config.objective.options.power=2",
            "--config.cnn.model.entry=(8,16)",
            "--config.name=12",
        ]
    )
    config = configuration.load("configs/retinamnist.py", changes)
    assert config.cnn.training.epochs == 3
    assert config.tasks == ("grade",)
    assert config.cnn.training.learning_rate == 1.0
    assert config.objective.options.power == 2
    assert config.cnn.model.entry == (8, 16)
    assert config.name == "12"


def test_a_stray_argument_is_refused():
    with pytest.raises(UsageError, match="unknown argument --epochs=3"):
        configuration.parse_overrides(["--epochs=3"])
    with pytest.raises(UsageError, match="lacks a value"):
        configuration.parse_overrides(["--config.name"])


def test_where_files_lie_does_not_change_the_hash_but_everything_else_does():
    base = configuration.load("configs/retinamnist.py")
    moved = configuration.override(base, {"data.root": "/elsewhere"})
    other = configuration.override(base, {"cnn.training.epochs": 41})
    rule = configuration.override(base, {"objective.rule": "median"})
    assert cell.config_digest(moved) == cell.config_digest(base) != cell.config_digest(other)
    assert cell.config_digest(rule) != cell.config_digest(base)
    assert cell.training_digest(rule) == cell.training_digest(base) != cell.training_digest(other)


def test_a_plan_is_every_variant_of_a_seed_before_the_next_seed():
    plan = grid.ablation("ablations/losses.py", configuration.load("configs/retinamnist.py"), 2)
    assert plan.variants[:2] == ("cross_entropy", "cross_entropy median")
    assert [each.name for each in plan.cells[:2]] == ["cross_entropy-s0", "cross_entropy_median-s0"]
    assert [each.seed for each in plan.cells] == [0] * 5 + [1] * 5
    assert plan.cells[6].config.objective.rule == "median"
    assert plan.question.startswith("Does the ordinal cross-entropy grade better")


def test_bad_ablations_are_refused(tmp_path):
    config = configuration.load("configs/retinamnist.py")
    file = tmp_path / "question.py"
    for text, message in (
        ("x = 1", "has no variants"),
        ("def variants():\n    yield 'a', {}\n    yield 'a', {}", "a twice"),
        ("def variants():\n    yield 'a', {'objectve.name': 'x'}", "did you mean objective.name"),
        ("def variants():\n    return []", "yields nothing"),
        ("import nothing_like_this", "ModuleNotFoundError"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=message):
            grid.ablation(str(file), config, 1)
