"""The command line as its user meets it: exit codes, one clear line for bad input, and light imports."""

import ast
import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ordinal_blast import bench, cli, record, settings
from ordinal_blast.errors import UsageError
from ordinal_blast.study import plan

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
ROOT = Path(__file__).parents[1]
VERBS = (
    "demo",
    "data",
    "train",
    "ablate",
    "study",
    "report",
    "status",
    "grade",
    "raters",
    "export",
    "settings",
    "bench",
)


@pytest.fixture(scope="module")
def tiny(tiny_overrides):
    """The command-line form of the tiny study."""
    changes = tiny_overrides | {"objective.name": "thresholded_regression"}
    return ["--config", "configs/retinamnist.py", *(f"--config.{key}={value}" for key, value in changes.items())]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny):
    """The folder that holds `run`, the work directory of a tiny finished run, made by the command itself."""
    folder = tmp_path_factory.mktemp("cli")
    assert cli.main(["train", *tiny, "--workdir", str(folder / "run")]) == 0
    return folder


def test_train_prints_a_table_and_the_page(trained, capsys):
    assert cli.main(["report", str(trained / "run"), "--out", str(trained / "report")]) == 0
    printed = capsys.readouterr().out
    assert "thresholded_regression" in printed
    assert f"Report: {trained / 'report' / 'report.html'}" in printed
    assert {path.name for path in (trained / "report").iterdir()} >= {"report.html", "report.md", "rows.csv", "figures"}


def test_a_damaged_result_is_one_clear_line(trained, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(trained / "run", run)
    (run / "cells" / "thresholded_regression-s0" / "result.json").write_text('{"schema": 1, "rows"')
    assert cli.main(["report", str(run), "--out", str(tmp_path / "report")]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"ordinal-blast: cannot read {run}/cells/thresholded_regression-s0/result.json: ")
    assert printed.count("\n") == 1


def test_grade_gives_the_grades_that_the_run_predicted(trained, tiny_root, capsys):
    cell = trained / "run" / "cells" / "thresholded_regression-s0"
    images = np.load(tiny_root / "tiny.npz")["test_images"][:5]
    files = [trained / f"{number}.png" for number in range(5)]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file)
    assert cli.main(["grade", "--run", str(cell), *map(str, files), "--json"]) == 0
    graded = json.loads(capsys.readouterr().out)
    predicted = record.read(cell).models["cnn"].splits["test"].tasks["grade"]
    expected, probs = [("C", "B", "A")[grade] for grade in predicted.grades[:5]], predicted.probs[:5]
    assert [line["grade"] for line in graded] == expected
    np.testing.assert_allclose([list(line["probs"].values()) for line in graded], probs, rtol=1e-4, atol=1e-6)


def test_inspect_counts_every_example(tiny, tiny_root, capsys):
    arguments = [value for value in tiny if ".data." in value]
    assert cli.main(["data", "inspect", "retinamnist", "--json", *arguments]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["examples"] == {"train": 60, "val": 24, "test": 30}
    labels = np.load(tiny_root / "tiny.npz")["test_labels"]
    assert list(facts["grades"]["grade"]["test"].values()) == np.bincount(labels, minlength=3).tolist()
    assert set(facts["groups_in_two_splits"].values()) == {0}


def test_settings_lists_the_defaults_or_what_a_configuration_and_the_command_change(capsys):
    assert cli.main(["settings"]) == 0
    assert "\n  grader.training.epochs: int = 30 " in capsys.readouterr().out
    assert cli.main(["settings", "era", "--config.mlp.training.ema=0.9"]) == 0
    assert "\n* mlp.training.ema: float = 0.9 " in capsys.readouterr().out
    assert cli.main(["settings", "era", "--json"]) == 0
    rows = {row["key"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert (rows["mlp.training.epochs"], rows["mlp.network.options.widths"]) == (60, [64, 64])
    assert cli.main(["settings", "era", "--config.mlp.training.emma=0.9"]) == 2
    assert "did you mean mlp.training.ema" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--config", "configs/nothing.py", "--workdir", "W"], 2, "there is no file configs/nothing.py"),
        (
            ["train", "--config", "configs/demo.py", "--workdir", "W", "--config.cnn.x=1"],
            2,
            "there is no setting cnn.x",
        ),
        (["train", "--config", "configs/demo.py", "--workdir", "W", "--epochs=3"], 2, "unknown argument --epochs=3"),
        (["report", "W", "--out", "O"], 2, "W holds no run"),
        (["report", "W", "--out", "O", "--fast"], 2, "unknown argument --fast"),
        (["grade", "--run", "W", "a.png"], 2, "W is no finished cell"),
        (
            ["ablate", "ablations/losses.py", "--config", "configs/demo.py", "--workdir", "W", "--seeds=0"],
            2,
            "--seeds is 0",
        ),
        (["tran"], 2, "argument VERB: invalid choice: 'tran'"),
        ([], 2, "the following arguments are required: VERB; ordinal-blast --help lists what there is"),
        (["train"], 2, "the following arguments are required: --config, --workdir; ordinal-blast train --help lists"),
        (["demo", "--seeds", "x"], 2, "argument --seeds: invalid int value: 'x'"),
        (["data", "inspect", "eras"], 2, "there is no file eras; there are configs/balance_scale.py"),
        (["report", "W", "--out", __file__], 2, f"--out {__file__}: {__file__} is not a folder"),
        (["train", "--config", "era", "--workdir", f"{__file__}/W"], 2, f"{__file__} is not a folder"),
        (["train", "--config", "era", "--workdir", "a\0b"], 2, r"argument --workdir: 'a\x00b' is no path"),
        (["train", "--config", "era", "--workdir", "a\udcff"], 2, r"a\udcff' is no text in UTF-8"),
        (["train", "--config", "era", "--workdir", "W", "--config.data.source=x:y"], 2, "data.source is x:y"),
        (["train", "--config", "era", "--workdir", "W", "--config.data.options.holdout=3"], 2, "use --config.seed"),
    ],
)
def test_bad_usage_is_one_clear_line(tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == code
    printed = capsys.readouterr().err
    assert printed.startswith("ordinal-blast: ")
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("long", ["x" * 300, "/".join(["y" * 200] * 25), "a\0b"], ids=["name", "path", "NUL"])
@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["train", "--config", None, "--workdir", "W"], "there is no file "),
        (["ablate", None, "--config", "era", "--workdir", "W"], "there is no file "),
        (["train", "--config", "era", "--workdir", None], "argument --workdir: "),
        (["report", None, "--out", "O"], "argument DIR: "),
        (["report", "W", "--out", None], "argument --out: "),
        (["grade", "--run", None, "a.png"], "argument --run: "),
        (["grade", "--run", "W", None], "argument INPUT: "),
        (["grade", "--run", "W", "a.png", "--trust", None], "argument --trust: "),
        (["data", "inspect", None], "there is no file "),
        (["data", "build", "era", "--root", None], "data.root is "),
        (["data", "build", "era", "--config.data.cache", None], "data.cache is "),
    ],
)
def test_a_path_that_cannot_be_is_one_clear_line(tmp_path, monkeypatch, capsys, arguments, place, long):
    monkeypatch.chdir(tmp_path)
    assert cli.main([long if each is None else each for each in arguments]) == 2
    printed = capsys.readouterr().err
    assert place in printed
    assert "a path that is not too long" in printed or place == "there is no file "
    assert "--debug" not in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_unknown_objective_lists_the_right_ones(trained, tiny, capsys):
    arguments = [*tiny, "--config.objective.name=ordinal_crossentropy"]
    assert cli.main(["train", *arguments, "--workdir", str(trained / "other")]) == 2
    assert "ordinal_cross_entropy" in capsys.readouterr().err


def test_a_truncated_image_is_one_clear_line_and_exit_code_one(trained, capsys):
    file = trained / "torn.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:2000])
    assert cli.main(["grade", "--run", str(trained / "run" / "cells" / "thresholded_regression-s0"), str(file)]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"ordinal-blast: cannot read the image {file}")
    assert printed.count("\n") == 1


def test_a_full_disk_is_one_clear_line_and_the_same_command_goes_on(trained, tiny, capsys, monkeypatch):
    import errno

    import orbax.checkpoint as ocp

    save = ocp.StandardCheckpointHandler.save

    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ocp.StandardCheckpointHandler, "save", full)
    arguments = ["train", *tiny, "--config.seed=1", "--workdir", str(trained / "full")]
    assert cli.main(arguments) == 1
    assert "No space left on device" in capsys.readouterr().err
    monkeypatch.setattr(ocp.StandardCheckpointHandler, "save", save)
    assert cli.main(arguments) == 0


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([verb, "--help"])
    assert stopped.value.code == 0
    assert "example: ordinal-blast" in capsys.readouterr().out


def test_help_imports_no_jax_and_nothing_else_that_is_slow():
    """Of the 0.1 s that it takes, a quarter is numpy."""
    code = (
        "import sys\nfrom ordinal_blast import cli\n"
        "try:\n    cli.main([*sys.argv[1:], '--help'])\nexcept SystemExit:\n    pass\n"
        "slow = {'jax', 'flax', 'optax', 'scipy', 'pandas', 'matplotlib', 'ml_collections', 'orbax', 'grain'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    for verb in ([], ["train"], ["grade"], ["bench"], ["status"]):
        subprocess.run([sys.executable, "-c", code, *verb], check=True, stdout=subprocess.DEVNULL)


def test_nothing_imports_tensorflow_or_torch_and_evaluation_imports_no_jax():
    code = (
        "import sys, pkgutil, importlib, ordinal_blast\n"
        "import ordinal_blast.evaluation.metrics, ordinal_blast.report\n"
        "assert 'jax' not in sys.modules, 'jax'\n"
        "import ordinal_blast.objectives\n"
        "heavy = {'flax', 'optax', 'scipy', 'pandas', 'ml_collections', 'tensorflow_datasets', 'orbax', 'grain'}\n"
        "assert not heavy & (set(sys.modules) - before), 'objectives'\n"
        "for module in pkgutil.walk_packages(ordinal_blast.__path__, 'ordinal_blast.'):\n"
        "    if '.peers.' in module.name: continue\n"
        "    importlib.import_module(module.name)\n"
        "assert not {'tensorflow', 'torch'} & set(sys.modules)\n"
    )
    code = code.replace(
        "import ordinal_blast.objectives\n", "before = set(sys.modules)\nimport ordinal_blast.objectives\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("two\nlines"), "ZeroDivisionError: two lines"),
        (KeyError("epochs"), "KeyError: 'epochs'"),
        (MemoryError(), "MemoryError"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (SystemExit(3), "SystemExit: 3"),
        (RuntimeError("long " * 1000), "RuntimeError: " + "long " * 99 + "..."),
    ],
)
def test_an_error_that_nobody_foresaw_is_one_line_and_debug_shows_the_traceback(monkeypatch, capsys, error, words):
    def fail(**asked):
        raise error

    monkeypatch.setattr(bench, "bench", fail)
    line = f"ordinal-blast: bench failed: {words}; run again with --debug for the traceback\n"
    assert cli.main(["bench"]) == 1
    assert capsys.readouterr().err == line
    for arguments in (["bench", "--debug"], ["--debug", "bench"]):
        assert cli.main(arguments) == 1
        printed = capsys.readouterr().err
        assert printed.startswith("Traceback (most recent call last):")
        assert printed.endswith(line)


def test_debug_shows_where_a_foreseen_error_comes_from_too(capsys):
    assert cli.main(["data", "inspect", "eras", "--debug"]) == 2
    assert "in find\n" in capsys.readouterr().err


def test_an_interrupt_is_told_and_exits_with_130(monkeypatch, capsys):
    def interrupt(*arguments, **asked):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "bench", interrupt)
    assert cli.main(["bench"]) == 130
    assert capsys.readouterr().err == "ordinal-blast: interrupted\n"
    monkeypatch.setattr(plan, "single", interrupt)
    assert cli.main(["train", "--config", "configs/era.py", "--workdir", "nowhere"]) == 130
    assert capsys.readouterr().err == (
        "ordinal-blast: interrupted; the same command goes on from the last checkpoint\n"
    )


def test_a_terminal_that_lacks_letters_gets_the_whole_output(monkeypatch):
    monkeypatch.setattr(bench, "bench", lambda **asked: [])
    monkeypatch.setattr(bench, "table", lambda rows: "28 × 28")
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
    assert cli.main(["bench"]) == 0
    assert printed.getvalue() == rb"28 \xd7 28" + b"\n"


def test_a_reader_that_has_gone_ends_the_command_quietly(monkeypatch, capsys):
    monkeypatch.setattr(bench, "bench", lambda **asked: [])
    monkeypatch.setattr(bench, "table", lambda rows: "row\n" * 100000)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert cli.main(["bench"]) == 141
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_a_folder_that_may_not_be_written_is_refused_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert cli.main(["train", "--config", "era", "--workdir", str(tmp_path / "W")]) == 2
    assert capsys.readouterr().err == (
        f"ordinal-blast: --workdir {tmp_path / 'W'}: {tmp_path} may not be written: give another folder\n"
    )


def test_a_present_folder_that_is_gone_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli.main(["train", "--config", "era", "--workdir", str(tmp_path / "W")]) == 1
    assert capsys.readouterr().err == "ordinal-blast: the present folder is gone: change to one that exists\n"


def test_only_commands_that_name_parts_import_from_the_present_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    seen = []

    def look(*arguments, **named):
        seen.append(str(tmp_path) in sys.path)
        raise UsageError("enough")

    from ordinal_blast.study import grading

    for module, function in ((settings, "load"), (grading, "grade"), (bench, "bench")):
        monkeypatch.setattr(module, function, look)
    for arguments in (["train", "--config", "era", "--workdir", "W"], ["grade", "--run", "W", "a.png"], ["bench"]):
        assert cli.main(arguments) == 2
    assert seen == [True, False, False]
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("mlp.optimizer.learning_rate=-1", "mlp.optimizer.learning_rate is -1: it takes a number above 0"),
        ("mlp.optimizer.learning_rate=0", "mlp.optimizer.learning_rate is 0: it takes a number above 0"),
        ("mlp.optimizer.name=adm", "optimizer.name is 'adm' (did you mean "),
        ("mlp.optimizer.options.decay=1", "mlp.optimizer.options has no decay: it takes "),
        ("mlp.training.epochs=0", "mlp.training.epochs is 0: it takes a whole number from 1 on"),
        ("mlp.training.batch_size=0", "mlp.training.batch_size is 0: it takes a whole number from 1 on"),
        ("mlp.training.checkpoint_every=0", "mlp.training.checkpoint_every is 0: it takes a whole number from 1 on"),
        (f"mlp.schedule.options.patience={10**20}", "it takes a whole number from 1 on"),
        ("mlp.training.steps_per_dispatch=0", "mlp.training.steps_per_dispatch is 0: it takes a whole number"),
        ("mlp.schedule.options.factor=0", "mlp.schedule.options.factor is 0: it takes a number above 0 and of at"),
        ("mlp.schedule.options.patience=0", "mlp.schedule.options.patience is 0: it takes a whole number from 1 on"),
        ("mlp.schedule=constantly", "schedule.name is 'constantly' (did you mean constant"),
        ("mlp.training.threads=-1", "mlp.training.threads is -1: it takes a whole number from 0 on"),
        ("mlp.training.patience=-1", "mlp.training.patience is -1: it takes a whole number from 0 on"),
        ("mlp.training.select=seconds", "select is 'seconds'"),
        ("mlp.network.options.dropout=2", "dropout is 2: it takes a number of at least 0 and below 1"),
        ("mlp.network.options.widths=(0,)", "widths is (0,): it takes values, each a whole number from 1 on"),
        ("mlp.network.options.activation=x", "mlp.network.options.activation is 'x': it takes one of 'elu', "),
        ("mlp.network.options.dtype=x", "mlp.network.options.dtype is 'x': it takes one of"),
        ("mlp.network.options.depth=3", "mlp.network.options has no depth: it takes "),
        ("mlp.network=mpl", "network.name is 'mpl' (did you mean mlp?)"),
        ("mlp.network=no_such.py:Net", "there is no file "),
        (
            "cropper.size=31",
            "cropper.size is 31: ValueError: images of 31×31 pixels: height and width must divide by 4",
        ),
        ("cropper.training.select=val_qwk", "select is 'val_qwk'"),
        ("cnn.augment.name=third", "augment.name is 'third'"),
        (
            "rnn.network.options.recurrent_dropout=1",
            "recurrent_dropout is 1: it takes a number of at least 0 and below",
        ),
        ("objective.name=corm", "objective is 'corm' (did you mean "),
        ("objective.name=no_such_file:loss", "ModuleNotFoundError: No module named 'no_such_file'"),
        ("objective.rule=largest", "objective.rule is 'largest': there are mean, median, mode, native, or"),
        ("objective.options.power=-1", "power"),
        ("objective.options.power=steep", "power"),
        ("objective.options.force=1", "objective.options has no force: it takes power"),
        ("seed=-1", "seed is -1: it takes a whole number from 0 to 4294967295"),
        ("seed=4294967296", "seed is 4294967296: it takes a whole number from 0 to 4294967295"),
        ("devices=-1", "devices is -1: it takes a whole number from 0 on"),
        ("tasks=('grade','grade')", "tasks is ('grade', 'grade'): it takes names, each once"),
        ("class_weights=x", "class_weights is 'x': it takes one of 'none', 'inverse_frequency', 'inverse_share'"),
    ],
)
def test_a_setting_outside_its_range_is_one_line_before_the_data_is_looked_at(tmp_path, capsys, change, message):
    config = "demo" if change.startswith(("cropper", "cnn", "rnn")) else "era"
    places = [f"--config.data.root={tmp_path / 'nothing'}", f"--config.data.cache={tmp_path / 'cache'}"]
    arguments = ["train", "--config", config, "--workdir", str(tmp_path / "W"), *places, f"--config.{change}"]
    assert cli.main(arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_every_package_that_is_imported_is_declared():
    imported = set()
    for folder in ("ordinal_blast", "configs", "ablations"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {each.name.split(".")[0] for each in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module.split(".")[0])
    installed = importlib.metadata.packages_distributions()  # of an extra that is not, the name of the module
    beside = {file.stem for file in (ROOT / "configs").glob("*.py")}
    needed = {installed.get(name, [name])[0] for name in imported - sys.stdlib_module_names - beside - {"_typeshed"}}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [package for extra in project["optional-dependencies"].values() for package in extra]
    wanted = [*project["dependencies"], *extras, project["name"]]

    def plain(name: str) -> str:
        return re.match(r"[\w.-]+", name)[0].lower().replace("_", "-")

    assert set(map(plain, needed)) - set(map(plain, wanted)) == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--config", "", "--workdir", "run"], "there is no file ''; there are configs/"),
        (["settings", ""], "there is no file ''; there are configs/"),
        (["train", "--config", "era", "--workdir", ""], "argument --workdir: '' is no path"),
    ],
)
def test_an_empty_name_is_not_the_defaults_nor_the_present_folder(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
