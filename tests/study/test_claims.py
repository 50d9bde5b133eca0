"""A work directory holds one study: other code, data, settings or plans never mix in it without a word."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from ordinal_blast import record, settings
from ordinal_blast.data import material, store
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.study import cell, lock, recipe, runner, session
from ordinal_blast.study import plan as plans
from ordinal_blast.study import standing as study_plan

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
LOSS = """
import jax
import jax.numpy as jnp

def loss(logits, labels):
    return {}jnp.sum(jax.nn.one_hot(labels, logits.shape[-1]) * jax.nn.log_softmax(logits), axis=-1)
"""
VARIANTS = {"own": {"objective.name": "claimed_loss:loss"}, "cross_entropy": {"objective.name": "cross_entropy"}}


def write_table(folder, seed=0, shift=0):
    """Three grades of one number; `shift` rolls the training labels, which shuffles them."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for kind, count in (("train", 60), ("test", 20)):
        x = rng.normal(5, 3, count)
        labels = 1 + np.digitize(x, [4, 6])
        labels = np.roll(labels, shift) if kind == "train" else labels
        np.savetxt(folder / f"{kind}_ERA_0.csv", np.column_stack([x, labels]), delimiter=",", fmt="%.9g")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder of the user: data and a loss of their own."""
    folder = tmp_path_factory.mktemp("home")
    write_table(folder / "data")
    (folder / "claimed_loss.py").write_text(LOSS.format("-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


@pytest.fixture(scope="module")
def overrides(home):
    return {
        "name": "claims",
        "seed_also_sets": (),
        "devices": 1,
        "data.root": str(home / "data"),
        "data.cache": str(home / "cache"),
        "data.options.grades": ("a", "b", "c"),
        "mlp.network.options.widths": (4,),
        "mlp.training.epochs": 3,
        "mlp.training.checkpoint_every": 1,
        "mlp.training.batch_size": 16,
    }


def plan(folder, overrides, variants=VARIANTS, seeds=1, question="A question?"):
    file = folder / "question.py"
    file.write_text(f'"""{question}"""\ndef variants():\n    yield from {variants!r}.items()\n')
    return plans.ablation(str(file), settings.load("configs/era.py", overrides), seeds)


def go(planned, root, progress=None, command="the command"):
    devices = session.begin(1).devices
    return runner.run(planned, root, command, session.Session(devices, progress or session.Progress()))


@pytest.fixture(scope="module")
def finished(home, overrides):
    assert go(plan(home, overrides), home / "finished") == []
    return home / "finished"


@pytest.fixture
def study(finished, tmp_path, overrides):
    """A copy of the finished study and its plan."""
    return shutil.copytree(finished, tmp_path / "run"), plan(tmp_path, overrides)


@pytest.fixture
def edited_loss(home):
    """The own loss under another formula, for as long as a test runs."""
    (home / "claimed_loss.py").write_text(LOSS.format("-2 * "))
    yield
    (home / "claimed_loss.py").write_text(LOSS.format("-"))


class Killed(session.Progress):
    """The run ends, as by a kill, when it tells of the second epoch."""

    def epoch(self, stage):
        def tell(epoch, epochs, line):
            if epoch == 2:
                raise KeyboardInterrupt

        return tell


def test_the_same_command_again_finds_everything_finished(study, capsys):
    root, planned = study
    assert go(planned, root) == []
    assert capsys.readouterr().err.count("finished before") == 2


def test_a_finished_cell_is_not_finished_under_an_edited_loss(study, edited_loss):
    root, planned = study
    with pytest.raises(UsageError, match=r"own-s0 was begun with another text of claimed_loss.py \(--allow-changed"):
        go(planned, root)


def test_an_interrupted_cell_does_not_go_on_under_an_edited_loss(home, overrides, tmp_path):
    planned = plan(tmp_path, overrides)
    with pytest.raises(KeyboardInterrupt):
        go(planned, tmp_path / "run", Killed())
    (home / "claimed_loss.py").write_text(LOSS.format("-2 * "))
    try:
        with pytest.raises(UsageError, match=r"was begun with another text of claimed_loss\.py"):
            go(planned, tmp_path / "run")
    finally:
        (home / "claimed_loss.py").write_text(LOSS.format("-"))
    assert go(planned, tmp_path / "run") == []


def test_code_that_changed_is_allowed_where_that_is_said_and_is_warned_of(study, edited_loss, capsys):
    root, planned = study
    assert runner.run(planned, root, "the command", session.begin(1), allow_changed_code=True) == []
    assert "begun with another text of claimed_loss.py: this folder mixes" in capsys.readouterr().err


def test_a_cell_that_uses_none_of_the_edited_code_is_finished(study, edited_loss, overrides):
    root, _ = study
    assert go(plans.single(settings.load("configs/era.py", overrides | VARIANTS["cross_entropy"])), root) == []


def test_labels_shuffled_between_two_calls_are_refused(study, home):
    root, planned = study
    write_table(home / "data", shift=1)
    try:
        with pytest.raises(UsageError, match=r"own-s0 was begun with other data, of digest .*: use another --workdir"):
            go(planned, root)
    finally:
        write_table(home / "data")
    assert go(planned, root) == []


def test_labels_shuffled_between_two_halves_of_a_cell_are_refused(home, overrides, tmp_path):
    planned = plan(tmp_path, overrides)
    with pytest.raises(KeyboardInterrupt):
        go(planned, tmp_path / "run", Killed())
    write_table(home / "data", shift=1)
    try:
        with pytest.raises(UsageError, match="was begun with other data"):
            go(planned, tmp_path / "run")
    finally:
        write_table(home / "data")


def test_the_same_data_in_another_folder_is_the_same(study, home, overrides, tmp_path):
    root, _ = study
    shutil.copytree(home / "data", tmp_path / "moved")
    moved = overrides | {"data.root": str(tmp_path / "moved"), "data.cache": str(tmp_path / "cache")}
    assert go(plan(tmp_path, moved), root) == []


def test_seeds_that_are_holdouts_never_run_on_another_holdout(tmp_path):
    for holdout in (0, 1):
        for kind, count in (("train", 80), ("test", 8)):
            rows = "".join(f"{holdout},{row},0,0,{1 + row % 2}\n" for row in range(count))
            (tmp_path / f"{kind}_ERA_{holdout}.csv").write_text(rows)
    chosen = settings.load("configs/era.py", {"data.root": str(tmp_path), "data.cache": str(tmp_path / "cache")})
    material.open(chosen.data)  # builds hold-out 0
    gone = settings.override(chosen, {"data.root": str(tmp_path / "gone")})
    with pytest.raises(store.SourceMissingError, match=r"train_ERA_1.csv does not exist"):
        go(plans.of_variants("A question?", [("a", {})], gone, 2), tmp_path / "run")
    assert not list((tmp_path / "run").rglob("result.json"))
    assert not (tmp_path / "run" / "plan.json").exists()


def test_variants_of_other_data_under_the_same_settings_do_not_share_their_training(home, overrides, tmp_path):
    write_table(tmp_path / "other", seed=1)
    variants = {"here": {}, "there": {"data.root": str(tmp_path / "other")}}
    root = tmp_path / "run"
    assert go(plan(tmp_path, overrides | {"objective.name": "cross_entropy"}, variants), root) == []
    here, there = (record.read(root / "cells" / f"{name}-s0").models["mlp"] for name in variants)
    assert not np.array_equal(*(model.splits["test"].tasks["grade"].labels for model in (here, there)))
    assert "shared_with" not in there.training


@pytest.mark.parametrize(
    ("name", "key", "new"),
    [("result.json", "mae", 0.0), ("config.json", "epochs", 3), ("predictions.npz", None, None)],
)
def test_an_edited_or_swapped_file_of_a_finished_cell_is_refused(study, name, key, new):
    root, planned = study
    cells = root / "cells"
    if key is None:
        shutil.copy(cells / "own-s0" / name, cells / "cross_entropy-s0" / name)
    else:
        lines = (cells / "cross_entropy-s0" / name).read_text().splitlines()
        at = next(i for i, line in enumerate(lines) if f'"{key}":' in line)
        lines[at] = f' "{key}": {new}' + ("," if lines[at].endswith(",") else "")
        (cells / "cross_entropy-s0" / name).write_text("\n".join(lines))
    with pytest.raises(UserError, match=rf"cross_entropy-s0/{name} is not what its cell wrote"):
        go(planned, root)


@pytest.mark.parametrize("name", ["plan.json", "cells/own-s0/config.json", "cells/own-s0/result.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00\xff"])
def test_a_damaged_file_is_one_line_that_names_it(study, name, content):
    root, planned = study
    (root / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        go(planned, root)
    assert str(root / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_variant_under_the_same_folder_is_refused(study, overrides, tmp_path):
    root, _ = study
    shutil.move(root / "cells/cross_entropy-s0", root / "cells/Cross_Entropy-s0")  # as where A is a
    renamed = {"own": VARIANTS["own"], "Cross_Entropy": VARIANTS["cross_entropy"]}
    with pytest.raises(UsageError, match=r"begun with the variant 'cross_entropy', now it is 'Cross_Entropy'"):
        go(plan(tmp_path, overrides, renamed), root)


def test_the_same_name_with_other_settings_is_refused(study, overrides, tmp_path):
    root, _ = study
    changed = {**VARIANTS, "cross_entropy": {"objective.name": "corn"}}
    with pytest.raises(UsageError, match=r"begun with objective.name='cross_entropy', now it is 'corn'"):
        go(plan(tmp_path, overrides, changed), root)


def standing(root):
    return json.loads((root / "plan.json").read_text())


def test_cells_stay_in_the_plan_when_one_run_or_fewer_variants_follow(study, overrides, tmp_path):
    root, _ = study
    before = standing(root)
    single = plans.single(settings.load("configs/era.py", overrides | {"objective.name": "cross_entropy"}))
    assert go(single, root, command="train") == []
    assert standing(root) == before
    assert go(plan(tmp_path, overrides, {"own": VARIANTS["own"]}), root, command="fewer") == []
    assert standing(root) == before


def test_more_variants_and_seeds_join_the_plan(study, overrides, tmp_path):
    root, _ = study
    single = plans.single(settings.load("configs/era.py", overrides | {"objective.name": "corn", "seed": 1}))
    assert go(single, root, command="train it") == []
    joined = standing(root)
    assert joined["reference"] == "own"
    assert joined["variants"] == ["own", "cross_entropy", "corn"]
    assert joined["seeds"] == [0, 1]
    assert joined["cells"] == ["own-s0", "cross_entropy-s0", "corn-s1"]
    assert joined["question"] == "A question?"
    assert joined["command"] == "the command && train it"
    assert go(plan(tmp_path, overrides), root) == []
    assert standing(root) == joined


def test_a_question_decides_the_reference_and_the_order_before_single_runs_whichever_came_first(tmp_path, overrides):
    base = settings.load("configs/era.py", overrides | {"objective.name": "corn", "seed": 3})
    one, asked = plans.single(base), plan(tmp_path, overrides)
    joined = []
    for number, (first, second) in enumerate([(one, asked), (asked, one)]):
        root = tmp_path / str(number)
        record.write_plan(root, study_plan.joined(first, "first", root))
        joined.append(study_plan.joined(second, "second", root))
    for both in joined:
        assert (both["question"], both["reference"]) == ("A question?", "own")
        assert both["variants"] == ["own", "cross_entropy", "corn"]
        assert both["seeds"] == [0, 3]
        assert both["command"] == "first && second"
    assert joined[0]["cells"] == ["corn-s3", "own-s0", "cross_entropy-s0"]


def test_another_reference_takes_over_where_all_cells_are_planned_again(study, overrides, tmp_path):
    root, _ = study
    assert go(plan(tmp_path, overrides, dict(reversed(VARIANTS.items()))), root, command="reversed") == []
    assert standing(root)["reference"] == "cross_entropy"
    assert standing(root)["command"] == "reversed"


def test_another_reference_or_experiment_beside_cells_that_would_vanish_is_refused(study, overrides, tmp_path):
    root, _ = study
    others = {"corn": {"objective.name": "corn"}, "cross_entropy": VARIANTS["cross_entropy"]}
    with pytest.raises(
        UsageError, match=r"cells of the reference 'own', and this would be 'corn': use another --workdir"
    ):
        go(plan(tmp_path, overrides, others), root)
    other = plan(tmp_path, overrides | {"name": "other"}, {"own": VARIANTS["own"]})
    with pytest.raises(UsageError, match=r"cells of the experiment 'claims', and this would be 'other': use another"):
        go(other, root)
    assert standing(root)["variants"] == list(VARIANTS)


def test_an_option_that_one_of_two_runs_leaves_unset_is_named(tmp_path):
    identified = {"variant": "a", "data": "d", "code": {}}
    without, with_power = (settings.load("configs/era.py", change) for change in ({}, {"objective.options.power": 2}))
    for folder, (first, second), said in (
        (tmp_path / "a", (without, with_power), "power=unset, now it is 2"),
        (tmp_path / "b", (with_power, without), "power=2, now it is unset"),
    ):
        folder.mkdir()
        cell.claim(folder, first, identified, False)
        (folder / "checkpoints").mkdir()
        with pytest.raises(UsageError, match=rf"begun with objective.options.{said}: use another"):
            cell.claim(folder, second, identified, False)


def test_where_a_run_goes_on_is_told_once(capsys):
    for epochs, expected in (
        ((1,), ["1 epoch, "]),
        ((1, 2), ["2 epochs, "]),
        ((3, 4), ["goes on after epoch 2", "4 epochs, "]),
    ):
        tell = session.Progress().epoch("mlp")
        for epoch in epochs:
            tell(epoch, epochs[-1], {"train_loss": 1.0, "val_loss": 1.0})
        lines = [line for line in capsys.readouterr().err.splitlines() if "mlp: " in line]
        assert len(lines) == len(expected)
        assert all(text in line for text, line in zip(expected, lines, strict=True))


def test_a_second_run_is_refused_while_the_first_is_at_work(study):
    root, planned = study
    with lock.alone(root, print), pytest.raises(UsageError, match=rf"in use by process {os.getpid()} on .*--workdir"):
        go(planned, root)
    assert go(planned, root) == []


def test_a_killed_run_leaves_no_lock(tmp_path):
    holder = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from ordinal_blast.study import lock
        with lock.alone(Path({str(tmp_path)!r}), print):
            print("held", flush=True)
            time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"in use by process {process.pid}"), lock.alone(tmp_path, print):
            pass
        process.send_signal(signal.SIGKILL)
    with lock.alone(tmp_path, print):
        pass


def test_what_a_kill_left_half_written_is_cleaned_and_nothing_else(study):
    root, planned = study
    left = [root / ".plan.json.ab12", root / "cells/own-s0/.predictions.npz.x_1", root / "cells/own-s0/.result.json.q"]
    kept = [root / ".mine.json.ab12", root / "cells/own-s0/notes.txt", root / "cells/own-s0/predictions.npz"]
    for path in (*left, *kept[:2]):
        path.write_text("half")
    assert go(planned, root) == []
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_a_usage_error_inside_a_cell_is_printed_and_the_others_go_on(overrides, tmp_path, monkeypatch, capsys):
    opened = recipe.Opened

    def fail(chain, work, *rest):
        if work.goal.objective.name == "cross_entropy":
            raise UsageError("frames.planes do not fit")
        return opened(chain, work, *rest)

    monkeypatch.setattr(recipe, "Opened", fail)
    root = tmp_path / "run"
    assert go(plan(tmp_path, overrides), root) == ["cross_entropy-s0"]
    assert "FAILED: frames.planes do not fit" in capsys.readouterr().err
    assert (root / "cells/cross_entropy-s0/error.txt").read_text().startswith("frames.planes do not fit\n")
    assert record.finished(root / "cells/own-s0")


@pytest.mark.parametrize(
    ("name", "refused"), [("corn", False), ("cross_entropy", False), ("ordinal_cross_entropy", True)]
)
def test_class_weights_that_cannot_be_undone_are_refused_before_any_work(overrides, tmp_path, name, refused):
    changes = {"objective.name": name, "class_weights": "inverse_frequency", "objective.correct_weights": True}
    planned = plan(tmp_path, overrides | changes, {"a": {}})
    message = f"objective.correct_weights: {name} is not strictly proper"
    with pytest.raises(UsageError, match=message) if refused else contextlib.nullcontext():
        go(planned, tmp_path / "run")
    assert (tmp_path / "run").exists() != refused


def test_class_weights_can_be_undone_without_training_again(overrides, tmp_path):
    changes = overrides | {"objective.name": "cross_entropy", "class_weights": "inverse_frequency"}
    root = tmp_path / "run"
    assert go(plan(tmp_path, changes, {"weighted": {}, "undone": {"objective.correct_weights": True}}), root) == []
    weighted, undone = (record.read(root / "cells" / f"{name}-s0") for name in ("weighted", "undone"))
    assert undone.models["mlp"].training["shared_with"] == "weighted-s0"
    assert (weighted.class_weights, undone.class_weights) == ("inverse_frequency",) * 2
    assert weighted.objective["undone_weights"] == {}
    weights = np.asarray(undone.objective["undone_weights"]["grade"])
    before, after = (one.models["mlp"].splits["test"].tasks["grade"].probs for one in (weighted, undone))
    np.testing.assert_allclose(after, before / weights / (before / weights).sum(axis=1, keepdims=True), rtol=1e-5)


def test_results_say_what_decides_and_what_worked(finished):
    result = record.read(finished / "cells/own-s0")
    assert result.objective["decides_by"] == "mode"
    assert result.class_weights == "none"
    assert not result.warnings
    assert result.provenance["device"].startswith("1 x cpu")
    assert "thread" in result.provenance["device"]
    assert result.identity["variant"] == "own"
    assert "claimed_loss.py" in result.identity["code"]


def test_a_grade_that_a_split_lacks_is_printed_once_and_kept(overrides, tmp_path, capsys):
    write_table(tmp_path / "data")
    path = tmp_path / "data" / "test_ERA_0.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.endswith(",2\n")))
    variants = {"a": {"objective.name": "cross_entropy"}, "b": {"objective.name": "corn"}}
    changes = overrides | {"data.root": str(tmp_path / "data")}
    assert go(plan(tmp_path, changes, variants), tmp_path / "run") == []
    said = "grade b of task grade has no example in the test split"
    assert capsys.readouterr().err.count(said) == 1
    for name in variants:
        assert record.read(tmp_path / f"run/cells/{name}-s0").warnings[0].startswith(said)
