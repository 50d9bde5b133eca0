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
    config = configuration.load("configs/retinamnist.py" if name == "convolutions.py" else "configs/fireman.py")
    plan = grid.ablation(f"ablations/{name}", config, 1)
    assert plan.question.endswith("?")
    assert len({each.variant for each in plan.cells}) == len(plan.cells) >= 2


def test_the_ablation_of_everything_has_every_objective_and_one_name_of_twins():
    plan = grid.ablation("ablations/every.py", configuration.load("configs/era.py"), 1)
    twins = {row["name"]: row["same_as"] for row in objectives.table() if row["same_as"]}
    names = {each.config.objective.name for each in plan.cells}
    assert names == set(objectives.names()) - set(twins)
    assert len(plan.cells) == len(names)
    assert plan.cells[0].variant == "cross_entropy"


def test_shipped_files_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert configuration.load("configs/demo.py").name == "demo"
    with pytest.raises(UsageError, match=r"there is no file configs/dmo.py; there are .*configs/demo.py"):
        configuration.load("configs/dmo.py")


def test_an_installed_package_lists_its_own_files_and_none_that_lie_beside_it(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "ordinal_blast"
    for place in (package / "shipped" / "configs" / "mine.py", tmp_path / "site-packages" / "configs" / "strange.py"):
        place.parent.mkdir(parents=True)
        place.write_text("")
    monkeypatch.setattr(configuration, "__file__", str(package / "study" / "configuration.py"))
    monkeypatch.chdir(tmp_path)
    assert configuration.find("mine") == package / "shipped" / "configs" / "mine.py"
    with pytest.raises(UsageError, match=r"there is no file strange; there are configs/mine.py$"):
        configuration.find("strange")


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
        ("variants = 3", "has no variants"),
        ("def variants():\n    yield 'a', {}\n    yield 'a', {}", "a twice"),
        ("def variants():\n    yield 'a', {}, 3", r"yields \('a', \{\}, 3\): it takes"),
        ("def variants():\n    yield 3", "yields 3: it takes"),
        ("def variants():\n    yield 3, {}", r"yields \(3, \{\}\): it takes"),
        ("def variants():\n    yield 'a', [1]", r"yields \('a', \[1\]\): it takes"),
        ("def variants():\n    yield 'a', {3: 4}", "overrides 3: keys are texts"),
        ("def variants():\n    yield 'a', {'mlp': 3}", "variant a: the configuration has no mlp: did you mean"),
        ("def variants():\n    yield 'a', {'cnn.model': {1: 2}}", "variant a: cnn.model has the key 1: keys are texts"),
        ("def variants():\n    yield 'a', {'cnn': {}}", "lacks cnn.model"),
        ("def variants():\n    yield 'a', {'tasks': ()}", r"tasks is \(\): it takes names, each once"),
        ("def variants():\n    pass", "raised: TypeError: 'NoneType' object is not iterable"),
        ("def variants():\n    yield 'a', {}\n    raise ValueError('no\\nmore')", "raised: ValueError: no more$"),
        ("def variants():\n    exit('bye')\n    yield", r"raised: SystemExit: bye"),
        ("def variants(config):\n    return []", "raised: TypeError: .*argument: 'config'"),
        ("def variants():\n    while True: yield 'a', {}", "more than 10000 variants"),
        ("def variants():\n    yield 'a', {'objectve.name': 'x'}", "did you mean objective.name"),
        ("def variants():\n    return []", "yields nothing"),
        ("import nothing_like_this", "ModuleNotFoundError"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=message) as refused:
            grid.ablation(str(file), config, 1)
        assert "\n" not in str(refused.value)
    for seeds in (0, -1, 10**12):
        with pytest.raises(UsageError, match=f"--seeds is {seeds}: it is at least 1 and here at most 2000"):
            grid.ablation("ablations/losses.py", config, seeds)


FROM_ERA = "from era import get_config as era\n\n\ndef get_config():\n    config = era()\n    {}\n    return config\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config():\n    raise KeyError('x')", "get_config() raised: KeyError: 'x'"),
        ("def get_config():\n    raise SystemExit(3)", "get_config() raised: SystemExit: 3"),
        ("def get_config():\n    raise type('Odd', (BaseException,), {})", "get_config() raised: Odd"),
        ("def get_config():\n    return get_config()", "get_config() raised: RecursionError: "),
        ("def get_config():\n    raise MemoryError", "get_config() raised: MemoryError"),
        ("def get_config(size):\n    pass", "missing 1 required positional argument: 'size'"),
        ("def get_config():\n    pass", "get_config() returns NoneType: it has to return a ConfigDict"),
        ("def get_config():\n    return {'a': 1}", "get_config() returns dict"),
        ("def get_config():\n    yield", "get_config() returns generator"),
        ("from ml_collections import ConfigDict as get_config", "lacks name: it takes a printable text"),
        ("get_config = 3", "has no get_config()"),
        ("", "has no get_config()"),
        ("exit('two\\nlines')", "SystemExit: two lines"),
        ("def get_config(:", "SyntaxError: invalid syntax"),
        ("\0", "SyntaxError: source code string cannot contain null bytes"),
        (FROM_ERA.format("del config.data"), "lacks data.source: it takes a printable text"),
        (FROM_ERA.format("del config.data; config.data = 3"), "lacks data.source: it takes a printable text"),
        (FROM_ERA.format("del config.mlp"), "lacks mlp.model: it takes a section"),
        (FROM_ERA.format("del config.mlp.training.epochs"), "lacks mlp.training.epochs: it takes "),
        (FROM_ERA.format("del config.data.root; config.data.root = None"), "data.root is None: it takes a path"),
        (FROM_ERA.format("config.extra = len"), "extra is <built-in function len>: settings are text"),
        (FROM_ERA.format("config.extra = (1, float('nan'))"), "extra is (1, nan): settings are text, finite numbers"),
        (FROM_ERA.format("config.extra = config"), "RecursionError"),
    ],
)
def test_a_file_that_makes_no_configuration_is_named_with_its_fault(tmp_path, monkeypatch, text, message):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "configs")
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        configuration.load(str(file))
    assert str(file) in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_edit_in_the_same_second_is_seen(tmp_path):
    file = tmp_path / "mine.py"
    for value in (3, 4):
        file.write_text(f"x = {value}")
        assert configuration.load_module(str(file)).x == value
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_a_file_that_is_none_is_refused_and_a_name_alone_finds_the_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "demo").write_text("not Python")
    (tmp_path / "table.csv").write_text("1,2")
    assert configuration.load("demo").name == "demo"
    assert configuration.find("losses", "ablations").name == "losses.py"
    for name, message in (
        ("", "there is no file ''"),
        (".", "[.] is a folder"),
        ("folder.py", "folder.py is a folder"),
        ("table.csv", "table.csv is no Python file"),
        ("retina", r"there is no file retina; there are configs/balance_scale.py, .*configs/retinamnist.py$"),
        ("a\0b", "there is no file"),
    ):
        with pytest.raises(UsageError, match=message):
            configuration.load(name)


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [
        ("era", "seed", (-1, 2**32, "1.5")),
        ("demo", "cropper.seed", (-1, 2**32)),
        ("demo", "data.options.seed", (-1, 2**32)),
        ("demo", "data.split.seed", (-1, 2**32)),
        ("era", "data.options.val_seed", (-1, 2**32)),
        ("era", "devices", (-1,)),
        ("era", "tasks", ((), ("grade", "grade"), ("",), (3,))),
        ("era", "chain", ((), ("a",), ("rnn",), ("cnn", "cropper"))),
        ("era", "class_weights", ("", "balanced")),
        ("era", "name", ("", " ", "a\0b", "a\nb")),
        ("era", "objective.name", ("",)),
        ("era", "data.source", ("",)),
        ("era", "data.cache", ("", "a\0")),
        ("era", "data.root", ("a\0", "x" * 300)),
        ("era", "data.split.fractions", ((0.5, 0.5, 0.5), (0.5, 0.5), (1.2, -0.1, -0.1), (0.8, 0.2, 0.0), ("a", 1, 0))),
        ("era", "report.examples", (-1,)),
        ("era", "mlp.training.learning_rate", ("1e999", "-1e999", "9" * 400)),
        ("era", "mlp.training.balance", ("gradde",)),
        ("era", "mlp.standardize", ("2",)),
        ("demo", "frames.stop_hpi", (95.0,)),
        ("demo", "frames.step_h", (0.0, -1.0)),
        ("demo", "frames.max_frames", (0,)),
        ("demo", "frames.planes", ((), ("a",))),
        ("demo", "frames.cnn_time", ("noon", "nan")),
        ("demo", "frames.time_shifts_h", ((), (0.5,))),
        ("demo", "frames.crop_share", (0.0, 1.5)),
        ("demo", "frames.size", (0,)),
        ("demo", "cropper.size", (0,)),
        ("demo", "cropper.frames_per_embryo", (0,)),
        ("demo", "cnn.views.focal_planes", (-1,)),
        ("demo", "cnn.views.plane_um", (0.0,)),
    ],
)
def test_a_setting_outside_its_range_is_refused_before_any_work(name, key, values):
    for value in values:
        with pytest.raises(UsageError) as refused:
            configuration.load(name, {key: value})
        assert f"{key} is " in str(refused.value)
        assert "it takes " in str(refused.value) or "settings are text, finite numbers" in str(refused.value)


def test_what_a_chain_leaves_out_may_be_absent():
    config = configuration.load("configs/demo.py", {"chain": ("cropper", "cnn"), "rnn.training.epochs": 0})
    assert config.chain == ("cropper", "cnn")
