"""Settings: every file resolves, what cannot be is refused, and names are made of differences."""

import ast
import dataclasses
import json
import re
from pathlib import Path

import pytest

from ordinal_blast import manual, objectives, parts, settings
from ordinal_blast.errors import UsageError
from ordinal_blast.schema import setting
from ordinal_blast.settings import GraderSettings, Settings, StageSettings
from ordinal_blast.study import plan, runner

ROOT = Path(__file__).parents[1]
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("configs/*.py"))


@pytest.mark.parametrize("name", FILES)
def test_every_configuration_resolves_says_how_to_run_it_and_states_its_differences_in_few_lines(name):
    assert settings.load(name) == settings.resolve(settings.tree(settings.load(name)), name)
    text = (ROOT / name).read_text()
    for word in ("Command", "Hardware"):
        assert f"\n{word} " in ast.get_docstring(ast.parse(text))
    (function,) = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert function.name == "get_config"
    assert function.end_lineno - function.body[0].end_lineno <= 40


def test_the_ablation_of_everything_has_every_objective_and_one_name_of_twins():
    planned = plan.ablation("ablations/every.py", settings.load("configs/era.py"), 1)
    twins = {row["name"]: row["same_as"] for row in objectives.table() if row["same_as"]}
    names = {cell.settings.objective.name for cell in planned.cells}
    assert names == set(objectives.names()) - set(twins)
    assert len(planned.cells) == len(names)
    assert planned.cells[0].variant == "cross_entropy"
    families = planned.question.families
    assert sorted(name for members in families.values() for name in members) == sorted(names)
    assert families["soft labels"][:1] == ("beta_soft_labels",)
    for cell in planned.cells:
        runner.validate(cell.settings)  # raises nothing


def test_shipped_files_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings.load("configs/demo.py").name == "demo"
    with pytest.raises(UsageError, match=r"there is no file configs/dmo.py; there are .*configs/demo.py"):
        settings.load("configs/dmo.py")


def test_an_installed_package_lists_its_own_files_and_none_that_lie_beside_it(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "ordinal_blast"
    for place in (package / "shipped" / "configs" / "mine.py", tmp_path / "site-packages" / "configs" / "strange.py"):
        place.parent.mkdir(parents=True)
        place.write_text("")
    monkeypatch.setattr(settings, "__file__", str(package / "settings.py"))
    monkeypatch.chdir(tmp_path)
    assert settings.find("mine") == package / "shipped" / "configs" / "mine.py"
    with pytest.raises(UsageError, match=r"there is no file strange; there are configs/mine.py$"):
        settings.find("strange")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cnn.trainin.epochs": "3"}, "there is no setting cnn.trainin.epochs: did you mean cnn.training.epochs?"),
        ({"cnn.training.epoch": "3"}, "did you mean cnn.training.epochs"),
        ({"cnn.training.learning_rate": "3"}, "did you mean cnn.optimizer.learning_rate?"),
        ({"mlp.optimizer": "sgd"}, "there is no setting mlp.optimizer: did you mean cnn.optimizer?"),
        ({"epochs": "3"}, "there is no setting epochs: did you mean cnn.training.epochs?"),
        ({"objectve": "corn"}, "did you mean objective?"),
        ({"mlp.training.epochs": "3"}, "there is no setting mlp.training.epochs: did you mean cnn.training.epochs?"),
        ({"": "3"}, "there is no setting '': did you mean cnn?"),
        ({"name.x": "3"}, "there is no setting name.x"),
        ({"data.options.name.x": "3"}, "there is no setting data.options.name.x"),
        ({"stages": {}}, "there is no setting stages"),
        ({"cnn.network.options.": "3"}, "there is no setting cnn.network.options."),
        ({"cnn.training.epochs": "three"}, "cnn.training.epochs is 'three': it takes a whole number from 1 on"),
        ({"cnn.training.epochs": "1.0"}, "cnn.training.epochs is 1.0: it takes a whole number from 1 on"),
        ({"cnn.optimizer.learning_rate": "True"}, "is True: it takes a number above 0"),
        ({"cnn.standardize": "2"}, "is 2: it takes True or False"),
        ({"tasks": "3"}, "tasks is 3: it takes names, each once"),
        ({"data": "3"}, "data is 3: it takes a section of settings"),
        ({"cnn.training": "3"}, "cnn.training is 3: it takes a section of settings"),
        ({"objective": "3"}, "objective is 3: it takes a section of settings, or the name of a part"),
        ({"objective.options": "3"}, "objective.options is 3: it takes a section of options"),
        ({"cnn": {"training": {"epoch": 3}}}, "there is no setting cnn.training.epoch"),
        ({"cnn.network": {"options": {1: 2}}}, "cnn.network.options has the key 1: keys are texts without dots"),
        ({"cnn.network.options": {"a.b": 2}}, "cnn.network.options has the key 'a.b': keys are texts"),
        ({"cnn.stage": "grade"}, "stage is 'grade' (did you mean grader?): there are grader"),
        ({"cnn.stage": "fractions:Fraction"}, "stage is fractions:Fraction: its Settings has to be a dataclass"),
        ({"chain": "data"}, "chain is ('data',): a stage cannot be called data, which is another setting"),
        ({"chain": ("cnn", "cnn")}, "chain is ('cnn', 'cnn'): it takes one name or more, each once"),
        ({"data.split.seed": "3"}, "data.split.seed is 3, and nothing reads it: data.split.by is official"),
        ({"data.split.fractions": "(.6, .2, .2)"}, "data.split.fractions is (0.6, 0.2, 0.2), and nothing reads it"),
    ],
)
def test_what_is_no_setting_or_cannot_be_is_refused_in_one_line(change, message):
    with pytest.raises(UsageError, match=re.escape(message)) as refused:
        settings.load("configs/retinamnist.py", change)
    assert "\n" not in str(refused.value)


def test_texts_of_the_command_line_are_read_as_the_type_that_stands_there_whether_or_not_the_file_names_it():
    changes = settings.parse_overrides(
        [
            "--config.cnn.training.epochs=3",
            "--config.tasks",
            "grade",
            "--config.cnn.optimizer.learning_rate=1",
            "--config.objective.options.power=2",
            "--config.cnn.network.options.entry=(8,16)",
            "--config.name=12",
            "--config.cnn.training.balance=grade",
            "--config.cnn.standardize=true",
            "--config.data.options.name=7",
            "--config.data.split={'by': 'id', 'fractions': (0.5, 0.25, 0.25)}",
        ]
    )
    changed = settings.load("configs/retinamnist.py", changes)
    cnn = changed.stages["cnn"]
    assert (cnn.training.epochs, cnn.training.balance, cnn.standardize) == (3, "grade", True)
    assert changed.tasks == ("grade",)
    assert repr(cnn.optimizer.learning_rate) == "1.0"
    assert changed.objective.options == {"power": 2}
    assert cnn.network.options["entry"] == (8, 16)
    assert changed.name == "12"
    assert changed.data.options["name"] == "7"  # a text stays one where a text stands
    assert changed.data.split.fractions == (0.5, 0.25, 0.25)


def test_an_option_is_changed_beside_the_others_and_may_be_none_or_text_that_is_no_literal():
    base = settings.load("configs/retinamnist.py")
    options = base.stages["cnn"].network.options
    changes = {"middle": "None", "why": "{[1]: 2}", "deep": "(" * 10_000, "new.inner": "1"}
    changed = settings.override(base, {f"cnn.network.options.{name}": value for name, value in changes.items()})
    assert len(options) > 3
    assert changed.stages["cnn"].network.options == {
        **options,
        "middle": None,
        "why": "{[1]: 2}",
        "deep": "(" * 10_000,
        "new": {"inner": 1},
    }


def test_the_type_of_a_setting_says_what_it_may_be_where_nothing_else_does(tmp_path):
    (tmp_path / "plain.py").write_text(
        "import dataclasses\n"
        "from typing import Literal\n"
        "from ordinal_blast.settings import StageSettings, setting\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class PlainSettings(StageSettings):\n"
        "    size: int = setting(3, 'of it')\n"
        "    mode: Literal['1', '2'] = setting('1', 'of it')\n"
        "class Plain:\n"
        "    Settings = PlainSettings\n"
    )
    base = settings.resolve({"chain": ("own",), "own": {"stage": f"{tmp_path}/plain.py:Plain"}}, "mine")
    assert settings.override(base, {"own.mode": "2"}).stages["own"].mode == "2"
    for key, value, words in (("size", "x", "a whole number"), ("mode", "3", "one of '1', '2'")):
        with pytest.raises(UsageError, match=f"own.{key} is '{value}': it takes {words}"):
            settings.override(base, {f"own.{key}": value})


def test_a_whole_number_where_a_fraction_is_meant_is_the_same_setting():
    whole, fractions = (
        settings.load("demo", {"crops.planes": planes, "crops.step_h": step}).stages["crops"]
        for planes, step in (((-30, 0), 2), ((-30.0, 0.0), 2.0))
    )
    assert repr(whole) == repr(fractions)
    assert json.dumps(settings.differences(whole)) == json.dumps(settings.differences(fractions))


def test_a_file_is_taken_at_its_word():
    with pytest.raises(UsageError, match=r"^mine: mlp.training.epochs is '3': it takes a whole number"):
        settings.resolve({"chain": ("mlp",), "mlp": {"training": {"epochs": "3"}}}, "mine")
    with pytest.raises(UsageError, match=r"^mine: there is no setting mlp: did you mean grader"):
        settings.resolve({"mlp": {"training": {"epochs": 3}}}, "mine")


def test_the_name_of_a_part_empties_its_options_and_leaves_the_rest_of_its_section():
    base = settings.load(
        "era", {"objective.options.power": 2, "objective.rule": "median", "mlp.optimizer.clip_norm": 1}
    )
    changed = settings.override(base, {"objective": "corn", "mlp.optimizer": "sgd", "mlp.network": "my_nets.py:Small"})
    assert changed.objective == dataclasses.replace(base.objective, name="corn", options={})
    assert changed.stages["mlp"].optimizer == dataclasses.replace(base.stages["mlp"].optimizer, name="sgd", options={})
    assert changed.stages["mlp"].network == settings.NetworkSettings("my_nets.py:Small")
    assert settings.override(base, {"objective.name": "corn"}).objective.options == {"power": 2}
    assert settings.resolve({"objective": "corn"}, "mine").objective == settings.ObjectiveSettings("corn")


def test_a_mapping_replaces_its_section():
    base = settings.load("era")
    changed = settings.override(base, {"mlp.training": {"epochs": 2}, "data.options": {"name": "other"}})
    assert changed.stages["mlp"].training == settings.TrainingSettings(epochs=2)
    assert changed.data.options == {"name": "other"}
    assert settings.override(base, {"mlp": {}}).stages == {"mlp": GraderSettings()}


def test_another_chain_has_the_sections_of_its_stages_and_drops_those_that_it_leaves_out():
    changed = settings.load("era", {"chain": "vit", "vit.training.epochs": "2", "vit.network": "my_nets.py:Small"})
    assert changed.chain == ("vit",)
    assert list(changed.stages) == ["vit"]
    assert changed.stages["vit"].training.epochs == 2
    with pytest.raises(UsageError, match=r"there is no setting mlp.training.epochs: did you mean vit.training.epochs"):
        settings.load("era", {"chain": "vit", "mlp.training.epochs": "2"})


STAGE = """
import dataclasses
from ordinal_blast.schema import setting
from ordinal_blast.settings import StageSettings, TrainingSettings
@dataclasses.dataclass(frozen=True)
class Mine(StageSettings):
    size: int = setting(3, "how large")
    where: str | float = "tA"
    training: TrainingSettings = setting(TrainingSettings(epochs=7), "how long")
class Stage:
    Settings = Mine
class Bare:
    pass
@dataclasses.dataclass(frozen=True)
class Wanting(StageSettings):
    size: int = dataclasses.field(kw_only=True)
class Needy:
    Settings = Wanting
"""


def test_a_stage_of_ones_own_brings_its_section_with_its_own_defaults(tmp_path):
    (tmp_path / "mine.py").write_text(STAGE)
    with parts.from_folder(tmp_path):
        base = settings.load("era", {"chain": "first", "first.stage": "mine.py:Stage", "first.where": "3"})
        section = base.stages["first"]
        assert (section.stage, section.size, section.where, section.training.epochs) == ("mine.py:Stage", 3, "3", 7)
        assert settings.differences(section) == {"stage": "mine.py:Stage", "where": "3"}
        assert settings.override(base, {"first": {"size": 4}}).stages["first"].stage == "mine.py:Stage"
        shorter = settings.override(base, {"first.training": {"batch_size": 8}}).stages["first"].training
        assert (shorter.batch_size, shorter.epochs) == (8, 7)
        assert settings.resolve(settings.tree(base), "mine") == base
        assert settings.override(base, {"first.stage": "grader"}).stages == {"first": GraderSettings()}
        for name, message in (("Bare", "has to be a dataclass"), ("Needy", "cannot be made of defaults: TypeError")):
            with pytest.raises(UsageError, match=message):
                settings.override(base, {"first.stage": f"mine.py:{name}"})


def test_a_stray_argument_is_refused():
    with pytest.raises(UsageError, match="unknown argument --epochs=3"):
        settings.parse_overrides(["--epochs=3"])
    with pytest.raises(UsageError, match="lacks a value"):
        settings.parse_overrides(["--config.name"])


def test_differences_are_what_is_not_at_its_default_without_places_and_without_decisions_where_asked():
    assert settings.differences(Settings()) == {}
    base = settings.load("configs/retinamnist.py")
    moved = settings.override(base, {"data.root": "/elsewhere", "data.cache": "/there"})
    assert settings.differences(moved) == settings.differences(base)
    longer = settings.differences(settings.override(base, {"cnn.training.epochs": 41, "cnn.augment": "none"}))
    assert longer["cnn.training.epochs"] == 41
    assert not any(key.startswith(("cnn.augment", "data.root", "cnn.training.batch_size")) for key in longer)
    decided = {"objective.rule": "median", "objective.calibration": "vector", "measures": ("mine.py:ordered",)}
    other = settings.override(base, decided)
    assert settings.differences(other) == settings.differences(base) | decided | {"measures": ["mine.py:ordered"]}
    assert settings.differences(other, decision=False) == settings.differences(base, decision=False)
    assert settings.differences(base.stages["cnn"].schedule) == {
        "name": "plateau",
        "options.factor": 0.5,
        "options.patience": 5,
    }
    assert settings.differences(settings.override(Settings(), {"grader.training.epochs": 30, "seed": 0})) == {}


def test_caches_lie_where_the_environment_says(monkeypatch):
    monkeypatch.delenv("ORDINAL_BLAST_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/user")
    assert (Settings().data.cache, Settings().compiled) == ("/user/ordinal_blast", "/user/ordinal_blast/compiled")
    monkeypatch.setenv("ORDINAL_BLAST_CACHE", "/ours")
    assert (Settings().data.cache, Settings().compiled) == ("/ours", "/ours/compiled")


def test_what_is_not_stated_is_this(monkeypatch):
    for name in ("ORDINAL_BLAST_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    learning = {
        "augment": {"name": "none", "options": {}},
        "optimizer": {"name": "adam", "learning_rate": 1e-3, "options": {}, "clip_norm": 0.0, "accumulate": 1},
        "schedule": {"name": "constant", "options": {}},
        "training": {
            "batch_size": 32,
            "epochs": 30,
            "select": "val_loss",
            "patience": 0,
            "ema": 0.0,
            "balance": "",
            "checkpoint_every": 1,
            "steps_per_dispatch": 1,
            "threads": 2,
        },
    }
    assert settings.tree(Settings()) == {
        "name": "study",
        "seed": 0,
        "seed_also_sets": [],
        "devices": 0,
        "stack": 0,
        "compiled": "~/.cache/ordinal_blast/compiled",
        "track": [],
        "tasks": [],
        "learns_from": "labels",
        "class_weights": "none",
        "divide_by": "weights",
        "measures": [],
        "questions": [],
        "objective": {
            "name": "cross_entropy",
            "options": {},
            "adjust_loss": 0.0,
            "rule": "native",
            "correct_weights": False,
            "adjust_decision": 0.0,
            "calibration": "none",
        },
        "data": {
            "source": "folder",
            "root": "",
            "cache": "~/.cache/ordinal_blast",
            "options": {},
            "outcomes": {},
            "memory": 1024,
            "split": {
                "by": "official",
                "fractions": [0.8, 0.1, 0.1],
                "seed": 0,
                "unseen": [],
                "stratified": False,
                "leakage": "refuse",
            },
        },
        "report": {"examples": 0, "timed": 0, "published": {}},
        "chain": ["grader"],
        "grader": {
            "stage": "grader",
            "reads": "",
            "network": {"name": "mlp", "options": {}, "init_from": "", "init_channels": "same"},
            "standardize": False,
            **learning,
        },
    }
    marked = {mark: {leaf.key for leaf in settings.leaves(Settings()) if leaf.is_a(mark)} for mark in MARKS}
    assert marked == MARKS


MARKS = {
    "place": {"data.root", "data.cache", "data.memory", "compiled", "stack", "track", "questions"},  # change no result
    "decision": {
        "objective.rule",
        "objective.correct_weights",
        "objective.adjust_decision",
        "objective.calibration",
        "measures",
    },  # change no training
}


def test_decisions_and_places_of_a_stage_are_left_out_as_those_of_a_study_are():
    @dataclasses.dataclass(frozen=True)
    class Stage(StageSettings):
        cut: float = setting(0.5, "where it decides", decision=True)
        file: str = setting("", "where it lies", place=True)
        size: int = setting(1, "of it")

    chosen = dataclasses.replace(Settings(), chain=("own",), stages={"own": Stage(cut=0.7, file="x", size=2)})
    assert settings.differences(chosen) == {"chain": ["own"], "own.cut": 0.7, "own.size": 2}
    assert settings.differences(chosen, decision=False) == {"chain": ["own"], "own.size": 2}


def test_a_new_field_with_a_default_renames_nothing():
    @dataclasses.dataclass(frozen=True)
    class Training(settings.TrainingSettings):
        more: int = setting(3, "more")

    @dataclasses.dataclass(frozen=True)
    class Grader(GraderSettings):
        training: Training = setting(Training, "how long")
        another: str = setting("", "another")

    stated = dict(epochs=7, balance="grade")
    old = GraderSettings(training=settings.TrainingSettings(**stated))
    assert settings.differences(Grader(training=Training(**stated))) == settings.differences(old)
    assert settings.differences(Grader(training=Training(**stated, more=4)))["training.more"] == 4


def test_a_tree_is_all_there_is_as_json_has_it():
    for name in FILES:
        base = settings.load(name)
        tree = json.loads(json.dumps(settings.tree(base)))
        assert settings.resolve(tree, name) == base
        assert set(tree) == {field.name for field in dataclasses.fields(Settings)} - {"stages"} | set(base.chain)


def _sections(kind: type) -> set[type]:
    """The dataclasses of settings that `kind` holds."""
    inner = [type(getattr(kind(), field.name)) for field in dataclasses.fields(kind)]
    return {kind}.union(*(_sections(one) for one in inner if dataclasses.is_dataclass(one)))


def test_every_setting_is_read_somewhere():
    read = set()
    for file in (ROOT / "ordinal_blast").rglob("*.py"):
        if file.name not in ("settings.py", "schema.py", "manual.py"):
            read |= {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
    stages = {type(settings.load(name).stages[stage]) for name in FILES for stage in settings.load(name).chain}
    kinds = set().union(*(_sections(kind) for kind in (Settings, GraderSettings, StageSettings, *stages)))
    assert len(kinds) > 12
    unread = {f"{kind.__name__}.{field.name}" for kind in kinds for field in dataclasses.fields(kind)}
    assert {name for name in unread if name.rpartition(".")[2] not in read} == set()


def test_every_setting_says_what_it_means():
    for kind in _sections(Settings) | _sections(GraderSettings):
        for field in dataclasses.fields(kind):
            assert field.metadata.get("stages") or field.metadata["doc"], f"{kind.__name__}.{field.name}"


def test_the_manual_has_every_setting_with_what_the_file_changes_and_the_options_of_its_parts():
    rows = {row["key"]: row for row in manual.rows(settings.load("fireman"))}
    assert json.loads(json.dumps(rows)) == rows
    assert rows["mlp.training.epochs"] == {
        "key": "mlp.training.epochs",
        "type": "int",
        "value": 200,
        "default": 30,
        "takes": "a whole number from 1 on",
        "meaning": "how many at most",
        "marks": [],
    }
    assert rows["data.root"]["marks"] == ["place"]
    assert rows["objective.rule"]["marks"] == ["decision"]
    assert (rows["mlp.network.options.momentum"]["value"], rows["mlp.network.options.momentum"]["default"]) == (
        0.9,
        0.99,
    )
    assert rows["mlp.optimizer.options.weight_decay"]["value"] == 0.2
    assert rows["data.options.label"]["value"] == "response"
    assert not {"mlp.optimizer.options.learning_rate", "data.options.root", "mlp.network.options.name"} & set(rows)
    listed = {leaf.key for leaf in settings.leaves(settings.load("fireman"))}
    assert {key for key in listed if not key.endswith("options")} <= set(rows)
    printed = manual.text(settings.load("fireman"))
    assert re.search(
        r"^\* mlp.training.epochs: int = 200 +how many at most; a whole number from 1 on; default 30$", printed, re.M
    )
    assert re.search(r"^  mlp.training.ema: float = 0.0 ", printed, re.M)
    assert max(map(len, printed.splitlines())) <= 120
    assert "* " not in manual.text(Settings()).split("\n", 2)[2]


def test_the_manual_says_what_the_docstring_of_a_part_says_of_its_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        """
def halved(progress, *, first: float = 0.5, then: float = 0.1, rest: int = 3):
    \"\"\"Times `first`, e.g. a half. No more of this.

    first, then: the factors
    of both halves. More is not said. rest: what is left; rests: no option.
    \"\"\"
    return first
"""
    )
    chosen = settings.resolve(
        {"grader": {"schedule": {"name": "mine.py:halved", "options": {"frist": 0.3}}}, "data": {"source": "table"}},
        "config",
    )
    rows = {row["key"]: row for row in manual.rows(chosen)}
    said = {key.rpartition(".")[2]: row["meaning"] for key, row in rows.items() if "schedule.options" in key}
    assert said == {
        "first": "the factors of both halves",
        "then": "the factors of both halves",
        "rest": "what is left; rests: no option",
        "frist": "no option of this part: a run refuses it",
    }
    assert rows["grader.schedule.name"]["meaning"].endswith("; mine.py:halved: Times `first`, e.g. a half")
    assert rows["data.options.holdout"]["meaning"] == "the number that `{holdout}` in a file name stands for"
    undocumented = {"licence", "citation"}  # as their names say
    assert {row["key"] for row in rows.values() if row["key"].startswith("data.options.") and not row["meaning"]} == {
        f"data.options.{name}" for name in undocumented
    }


def test_the_manual_gives_options_of_other_packages_the_type_of_their_default():
    rows = {row["key"]: row for row in manual.rows(Settings())}
    assert rows["grader.optimizer.options.b1"]["type"] == "float"
    assert rows["grader.optimizer.options.nesterov"]["type"] == "bool"


def test_a_plan_is_every_variant_of_a_seed_before_the_next_seed():
    planned = plan.ablation("ablations/losses.py", settings.load("configs/retinamnist.py"), 2)
    assert planned.variants[:2] == ("cross_entropy", "cross_entropy median")
    assert [cell.name for cell in planned.cells[:2]] == ["cross_entropy-s0", "cross_entropy_median-s0"]
    assert [cell.seed for cell in planned.cells] == [0] * 5 + [1] * 5
    assert planned.cells[6].settings.objective.rule == "median"
    assert planned.question.text.startswith("Does the ordinal cross-entropy grade better")


def test_bad_ablations_are_refused(tmp_path):
    config = settings.load("configs/retinamnist.py")
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
        ("def variants():\n    yield 'a', {'mlp': 3}", "variant a: there is no setting mlp: did you mean cnn"),
        ("def variants():\n    yield 'a', {'cnn': {1: 2}}", "variant a: cnn has the key 1: keys are texts"),
        ("def variants():\n    yield 'a', {'tasks': ('a', 'a')}", r"tasks is \('a', 'a'\): it takes names, each once"),
        ("def variants():\n    pass", "raised: TypeError: 'NoneType' object is not iterable"),
        ("def variants():\n    yield 'a', {}\n    raise ValueError('no\\nmore')", "raised: ValueError: no more$"),
        ("def variants():\n    exit('bye')\n    yield", r"raised: SystemExit: bye"),
        ("def variants(config, more):\n    return []", "raised: TypeError: .*argument: 'more'"),
        ("def variants():\n    while True: yield 'a', {}", "more than 10000 variants"),
        (
            "def variants():\n    yield 'a', {'objectve.name': 'x'}",
            "variant a: there is no setting objectve.name: did you mean objective.name",
        ),
        ("def variants():\n    return []", "yields nothing"),
        ("import nothing_like_this", "ModuleNotFoundError"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=message) as refused:
            plan.ablation(str(file), config, 1)
        assert "\n" not in str(refused.value)
    for seeds in (0, -1, 10**12):
        with pytest.raises(UsageError, match=f"--seeds is {seeds}: it is at least 1 and here at most 2000"):
            plan.ablation("ablations/losses.py", config, seeds)


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
        ("get_config = 3", "has no get_config()"),
        ("", "has no get_config()"),
        ("exit('two\\nlines')", "SystemExit: two lines"),
        ("def get_config(:", "SyntaxError: invalid syntax"),
        ("\0", "SyntaxError: source code string cannot contain null bytes"),
        (FROM_ERA.format("del config.data; config.data = 3"), "data is 3: it takes a section of settings"),
        (FROM_ERA.format("config.mlp.training.epoch = 3"), "there is no setting mlp.training.epoch: did you mean"),
        (FROM_ERA.format("config.cnn = dict(training=dict(epochs=3))"), "there is no setting cnn: did you mean mlp?"),
        (
            FROM_ERA.format("config.mlp.training.ema = '0.5'"),
            "mlp.training.ema is '0.5': it takes a number of at least",
        ),
        (FROM_ERA.format("config.mlp.stage = 3"), "mlp.stage is 3: it takes a printable text"),
        (FROM_ERA.format("del config.data.root; config.data.root = 3"), "data.root is 3: it takes a path"),
        (
            FROM_ERA.format("config.data.options.x = len"),
            "data.options.x is <built-in function len>: settings are text",
        ),
        (
            FROM_ERA.format("config.data.options.x = (1, float('nan'))"),
            "data.options.x is nan: settings are text, finite",
        ),
        (FROM_ERA.format("config.extra = config"), "RecursionError"),
    ],
)
def test_a_file_that_makes_no_configuration_is_named_with_its_fault(tmp_path, monkeypatch, text, message):
    monkeypatch.syspath_prepend(ROOT / "configs")
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        settings.load(str(file))
    assert str(file) in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_edit_in_the_same_second_is_seen(tmp_path):
    file = tmp_path / "mine.py"
    for value in (3, 4):
        file.write_text(f"x = {value}")
        assert parts.load_file(file).x == value
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_a_file_that_is_none_is_refused_and_a_name_alone_finds_the_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "demo").write_text("not Python")
    (tmp_path / "table.csv").write_text("1,2")
    assert settings.load("demo").name == "demo"
    assert settings.find("losses", "ablations").name == "losses.py"
    for name, message in (
        ("", "there is no file ''"),
        (".", "[.] is a folder"),
        ("folder.py", "folder.py is a folder"),
        ("table.csv", "table.csv is no Python file"),
        ("retina", r"there is no file retina; there are configs/balance_scale.py, .*configs/timelapse.py$"),
        ("a\0b", "there is no file"),
    ):
        with pytest.raises(UsageError, match=message):
            settings.load(name)


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [
        ("era", "seed", (-1, 2**32, "1.5")),
        ("demo", "cropper.seed", (-1, 2**32)),
        ("demo", "data.split.seed", (-1, 2**32)),
        ("era", "devices", (-1,)),
        ("era", "tasks", (("grade", "grade"), ("",), (3,))),
        ("era", "chain", ((), ("a.b",), ("a", "a"), (3,))),
        ("era", "class_weights", ("", "balanced")),
        ("era", "name", ("", " ", "a\0b", "a\nb")),
        ("era", "objective.name", ("",)),
        ("era", "data.source", ("",)),
        ("era", "data.cache", ("", "a\0")),
        ("era", "data.root", ("a\0", "x" * 300)),
        ("era", "data.split.fractions", ((0.5, 0.5, 0.5), (0.5, 0.5), (1.2, -0.1, -0.1), (0.8, 0.2, 0.0), ("a", 1, 0))),
        ("era", "report.examples", (-1,)),
        ("era", "mlp.optimizer.learning_rate", ("1e999", "-1e999", "9" * 400)),
        ("era", "mlp.standardize", ("2",)),
        ("era", "mlp.training.ema", (1.0, -0.1)),
        ("era", "mlp.reads", ("image",)),
        ("era", "mlp.network.init_from", ("a\0", "x" * 300)),
    ],
)
def test_a_setting_outside_its_range_is_refused_before_any_work(name, key, values):
    for value in values:
        with pytest.raises(UsageError) as refused:
            settings.load(name, {key: value})
        assert f"{key} is " in str(refused.value)
        assert "it takes " in str(refused.value)
