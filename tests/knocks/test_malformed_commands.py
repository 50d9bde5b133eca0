"""Two hundred malformed files and settings, by seed: each ends in its result or in one clear line, never in a hang."""

import contextlib
import io
import json
import shutil
import signal

import numpy as np
import pytest
from PIL import Image

from ordinal_blast import cli, settings

pytestmark = pytest.mark.usefixtures("compile_quickly")
SECONDS = 120  # a busy machine finishes the slowest of these in ten
CONFIGURATION = '''"""A study of seconds."""
from ml_collections import ConfigDict


def get_config():
    config = ConfigDict(dict(name="seconds", devices=1, chain=("mlp",), objective="ordinal_cross_entropy"))
    config.data = dict(source="table", root={root!r}, cache={cache!r})
    config.data.options = dict(train="train_ERA_0.csv", test="test_ERA_0.csv", grades=("1", "2", "3"), lowest=1)
    config.data.options.update(task="grade", val_share=0.2, val_stratified=True)
    config.mlp = dict(network=dict(name="mlp", options=dict(widths=(4,))), training=dict(epochs=1, batch_size=16))
    config.mlp.optimizer = dict(name="adamw", options=dict(weight_decay=1e-4))
    return config
'''
ABLATION = '''"""Which loss?"""


def variants():
    yield "cross_entropy", {"objective.name": "cross_entropy"}
    yield "median", {"objective.name": "cross_entropy", "objective.rule": "median"}
'''
VALUES = (
    *("-1", "0", "1", "3", "0.5", "-0.5", "1e308", "nan", "inf", "-inf", "4294967296", "True", "None", "''", "native"),
    *("()", "(0,)", "(1, 2)", "('a', 'a')", "[]", "{}", "{'a': 1}", "../../x", "\x00", "grade", "é", "a.b:c", "='1'"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with whole specimens of every file that is read: tables, a configuration, an ablation, a run, images."""
    place = tmp_path_factory.mktemp("specimens")
    rng = np.random.default_rng(0)
    for name, count in (("train_ERA_0.csv", 60), ("test_ERA_0.csv", 20)):
        x = rng.normal(5, 3, count)
        rows = np.column_stack([x, rng.normal(size=count), 1 + np.digitize(x, [4, 6])])
        np.savetxt(place / name, rows, delimiter=",", fmt="%.6g")
    text = CONFIGURATION.format(root=str(place), cache=str(place / "cache"))
    (place / "study.py").write_text(text)
    (place / "ablation.py").write_text(ABLATION)
    code, said = run("ablate", place / "ablation.py", "--config", place / "study.py", "--workdir", place / "run")
    assert code == 0, said
    picture = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    for ending in ("png", "jpg", "tif", "bmp"):
        Image.fromarray(picture).save(place / f"picture.{ending}")
    return place


@pytest.fixture(scope="module")
def graders(tiny_root, tiny_overrides, tmp_path_factory):
    """The cell of a run that grades photographs."""
    workdir = tmp_path_factory.mktemp("graders") / "run"
    overrides = tiny_overrides | {"cnn.training.epochs": 1, "cnn.training.checkpoint_every": 1}
    changes = [f"--config.{key}={value}" for key, value in overrides.items()]
    code, said = run("train", "--config", "configs/retinamnist.py", "--workdir", workdir, *changes)
    assert code == 0, said
    return next((workdir / "cells").iterdir())


def run(*words):
    """Exit code and what was said on stderr; a command that takes minutes fails the test."""

    def hangs(number, frame):
        raise AssertionError(f"{words} did not end in {SECONDS} s")

    said = io.StringIO()
    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = cli.main(list(map(str, words)))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return code, said.getvalue()


def ends_well(code, said):
    """Fine, or one line that somebody thought of: no traceback, and not the line for what nobody foresaw."""
    assert code in (0, 1, 2)
    assert "Traceback" not in said
    assert "--debug" not in said
    if code:
        lines = [line for line in said.splitlines() if line.startswith("ordinal-blast: ")]
        assert len(lines) == 1, said
        assert len(lines[0]) < 1000, said


def damaged(content, seed):
    """The bytes cut, flipped, zeroed, doubled, replaced or emptied somewhere."""
    rng = np.random.default_rng(seed)
    changed = bytearray(content)
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 40))
    match seed % 7:
        case 0:
            del changed[at:]
        case 1:
            for where in rng.integers(len(content), size=length):
                changed[where] ^= 1 << int(rng.integers(8))
        case 2:
            changed[at : at + length] = bytes(len(changed[at : at + length]))
        case 3:
            changed[at:at] = rng.bytes(length)
        case 4:
            changed[at : at + length] = b""
        case 5:
            changed = changed + changed
        case _:
            changed = bytearray(rng.bytes(length) if seed % 2 else b"")
    return bytes(changed)


@pytest.mark.parametrize("seed", range(28))
def test_damaged_tables(place, tmp_path, seed):
    for name in ("train_ERA_0.csv", "test_ERA_0.csv"):
        shutil.copy(place / name, tmp_path / name)
    name = "train_ERA_0.csv" if seed % 2 else "test_ERA_0.csv"
    (tmp_path / name).write_bytes(damaged((place / name).read_bytes(), seed))
    ends_well(*run("data", "inspect", place / "study.py", "--root", tmp_path, f"--config.data.cache={tmp_path}/cache"))


@pytest.mark.parametrize("seed", range(28))
def test_damaged_arrays_of_images(tiny_root, tmp_path, seed):
    (tmp_path / "tiny.npz").write_bytes(damaged((tiny_root / "tiny.npz").read_bytes(), seed))
    options = ("--config.data.options.name=tiny", "--config.data.options.grades=('C','B','A')")
    place = f"--config.data.cache={tmp_path}/cache"
    ends_well(*run("data", "build", "retinamnist", "--root", tmp_path, place, *options))


@pytest.mark.parametrize("seed", range(28))
def test_damaged_pictures_to_grade(place, graders, tmp_path, seed):
    ending = ("png", "jpg", "tif", "bmp")[seed % 4]
    (tmp_path / f"damaged.{ending}").write_bytes(damaged((place / f"picture.{ending}").read_bytes(), seed))
    ends_well(*run("grade", "--run", graders, tmp_path / f"damaged.{ending}"))


@pytest.mark.parametrize("seed", range(42))
def test_damaged_records(place, tmp_path, seed):
    shutil.copytree(place / "run", tmp_path / "run")
    cell = tmp_path / "run" / "cells" / "cross_entropy-s0"
    files = (tmp_path / "run" / "plan.json", cell / "config.json", cell / "result.json", cell / "predictions.npz")
    broken = files[seed % 4]
    broken.write_bytes(damaged(broken.read_bytes(), seed))
    if seed % 3:
        ends_well(*run("report", tmp_path / "run", "--out", tmp_path / "report"))
    else:
        study = ("--config", place / "study.py", "--workdir", tmp_path / "run")
        ends_well(*run("ablate", place / "ablation.py", *study))


@pytest.mark.parametrize("seed", range(56))
def test_settings_of_any_kind(place, tmp_path, monkeypatch, seed):
    monkeypatch.chdir(tmp_path)  # a cache named by chance lies where the command runs
    rng = np.random.default_rng(seed)
    base = settings.load(str(place / "study.py"))
    keys = sorted({leaf.key for leaf in settings.leaves(base)} | set(settings.differences(base)))
    key, value = keys[int(rng.integers(len(keys)))], VALUES[seed % len(VALUES)]
    setting = f"--config.{key}={value}"
    if key.startswith("data.cache") or (key.endswith(("epochs", "batch_size")) and value == "4294967296"):
        setting = f"--config.{key}=-1"  # a folder of that name, or years of work, is what was asked for
    ends_well(*run("train", "--config", place / "study.py", "--workdir", tmp_path / "run", setting))


@pytest.mark.parametrize("seed", range(28))
def test_damaged_configurations_and_ablations(place, tmp_path, seed):
    shutil.copy(place / "study.py", tmp_path / "study.py")
    shutil.copy(place / "ablation.py", tmp_path / "ablation.py")
    broken = tmp_path / ("study.py" if seed % 2 else "ablation.py")
    broken.write_bytes(damaged(broken.read_bytes(), seed))
    study = ("--config", tmp_path / "study.py", "--workdir", tmp_path / "run")
    ends_well(*run("ablate", tmp_path / "ablation.py", *study))


def test_a_specimen_that_is_whole_passes(place):
    assert run("report", place / "run", "--out", place / "report")[0] == 0
    assert json.loads((place / "run" / "plan.json").read_text())["variants"] == ["cross_entropy", "median"]
