"""From Python: what the command line does, on arrays in memory, read back as frames."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ordinal_blast
from ordinal_blast import settings
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.study import runner

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A small network for a table: what a notebook would write."""
    return {
        "name": "notebook",
        "devices": 1,
        "chain": ("mlp",),
        "data": {"cache": str(tmp_path_factory.mktemp("cache"))},
        "mlp": {
            "network": {"name": "mlp", "options": {"widths": (8,), "dropout": 0.0, "batch_norm": False}},
            "optimizer": {"learning_rate": 0.03},
            "training": {"epochs": 8, "checkpoint_every": 8},
        },
    }


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    return {"x": x, "y": np.digitize(x[:, 0], [-0.5, 0.5])}


@pytest.fixture(scope="module")
def study(config, data, tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    return ordinal_blast.ablate(config, ["cross_entropy", "corn"], seeds=2, data=data, workdir=root / "run")


def test_arrays_in_memory_are_ablated_and_read_as_typed_frames(study):
    scores = study.scores
    assert len(scores) == 2 * 2 * 3  # variants, seeds, splits
    assert list(scores["variant"].cat.categories) == ["cross_entropy", "corn"]
    assert (scores["seed"].dtype, scores["mae"].dtype) == (np.int64, np.float64)
    assert scores.groupby("split", observed=True)["n"].first().to_dict() == {"train": 160, "val": 20, "test": 20}
    mae = scores[scores["split"] == "test"].pivot(index="seed", columns="variant", values="mae")
    difference = study.differences.query("measure == 'mae' and variant == 'corn'").iloc[0]
    assert difference["mean"] == pytest.approx((mae["corn"] - mae["cross_entropy"]).mean(), abs=1e-12)
    predictions = study.predictions(variant="corn", seed=1)
    wrong = (predictions["grade"] - predictions["label"]).abs().mean()
    assert wrong == pytest.approx(mae.loc[1, "corn"], abs=1e-12)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_call_runs_what_it_says_and_nothing_else(monkeypatch, tmp_path, allowed):
    calls = []

    class Stopped(Exception):
        pass

    def run(plan, root, command, session, **options):
        calls.append((plan, root, options))
        raise Stopped

    monkeypatch.setattr(runner, "run", run)
    file = tmp_path / "question.py"
    file.write_text('"""Which?"""\ndef variants():\n    yield "a", {}\n    yield "b", {"objective": "corn"}\n')
    base = settings.load("era")
    asked = [file, ["cross_entropy", "corn"], {"a": {}, "b": {"objective": "corn"}}]
    for config in ("era", base, settings.tree(base)):
        for variants in asked:
            with pytest.raises(Stopped):
                ordinal_blast.ablate(config, variants, seeds=3, workdir=tmp_path / "x", allow_changed_code=allowed)
            plan, root, options = calls.pop()
            assert (root, options) == (tmp_path / "x", {"allow_changed_code": allowed})
            assert plan.seeds == (0, 1, 2)
            assert plan.variants == (("cross_entropy", "corn") if variants is asked[1] else ("a", "b"))
            assert plan.cells[-1].settings == settings.override(
                base, {"objective": "corn", "seed": 2, "data.options.holdout": 2}
            )
            assert plan.question.text == ("Which?" if variants is file else "")
    with pytest.raises(Stopped):
        ordinal_blast.ablate("era", ["corn"])
    assert calls.pop()[1:] == (Path("runs/era"), {"allow_changed_code": False})


def test_the_same_call_finds_everything_finished_and_load_reads_it(study, config, data, capsys):
    (root,) = study.folders
    again = ordinal_blast.ablate(config, ["cross_entropy", "corn"], seeds=2, data=data, workdir=root)
    assert capsys.readouterr().err.count("finished before") == 4
    pd.testing.assert_frame_equal(again.scores, study.scores)
    pd.testing.assert_frame_equal(ordinal_blast.load(root).scores, study.scores)


def test_other_data_in_the_same_folder_is_refused(study, config, data):
    (root,) = study.folders
    other = {"x": data["x"], "y": data["y"][::-1].copy()}
    with pytest.raises(UsageError, match="begun with other data"):
        ordinal_blast.ablate(config, ["cross_entropy", "corn"], seeds=2, data=other, workdir=root)
    assert len(ordinal_blast.ablate(config, ["cross_entropy", "corn"], seeds=2, data=data, workdir=root).scores) == 12


def test_a_report_is_written_where_the_study_is_told_to(study, tmp_path):
    page = study.report(tmp_path / "report")
    assert page.read_text().count("<html") == 1
    assert len(pd.read_csv(tmp_path / "report/rows.csv")) == len(study.scores)


def test_variants_are_a_mapping_of_settings_too_and_a_frame_is_a_table(config, data, tmp_path):
    frame = pd.DataFrame(data["x"], columns=["a", "b", "c"]).assign(grade=data["y"])
    study = ordinal_blast.ablate(
        config,
        {"adam": {}, "sgd": {"mlp.optimizer": {"name": "sgd", "learning_rate": 0.1, "options": {"momentum": 0.9}}}},
        data={"x": frame},
        workdir=tmp_path / "run",
    )
    assert study.variants == ("adam", "sgd")
    assert study.cells[0].record.dataset["extras"]["columns"] == ["a", "b", "c"]


def test_a_name_that_stands_twice_is_refused(config, data, tmp_path):
    with pytest.raises(UsageError, match="corn"):
        ordinal_blast.ablate(config, ["corn", "corn"], data=data, workdir=tmp_path / "run")


def test_a_cell_that_fails_is_an_error_that_says_where_after_the_others_ran(config, data, tmp_path):
    own = tmp_path / "diverging.py"
    own.write_text("import jax.numpy as jnp\ndef loss(logits, labels):\n    return logits[:, 0] * jnp.inf\n")
    with pytest.raises(UserError, match=r"1 of 2 cells failed \(inf-s0\): see cells/<cell>/error.txt in"):
        ordinal_blast.ablate(
            config,
            {"inf": {"objective": f"{own}:loss"}, "corn": {"objective": "corn"}},
            data=data,
            workdir=tmp_path / "run",
        )
    assert ordinal_blast.load(tmp_path / "run").variants == ("corn",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": None}, "config is None: it takes a file, the name of one, a mapping of settings, or Settings"),
        ({"variants": None}, "variants is None: it takes an ablation file, the name of one, names of objectives, or a"),
        ({"variants": 3}, "variants is 3: it takes"),
        ({"variants": []}, "variants yields nothing"),
        ({"seeds": [0, 1]}, r"seeds is \[0, 1\]: it takes a whole number from 1 on"),
        ({"seeds": 1.5}, "seeds is 1.5: it takes a whole number from 1 on"),
        ({"seeds": True}, "seeds is True: it takes a whole number from 1 on"),
        ({"workdir": ""}, "workdir is '': it takes a path that is not too long, and not empty"),
        ({"workdir": 3}, "workdir is 3: it takes a path"),
    ],
)
def test_an_argument_that_cannot_be_is_named_with_what_it_takes(config, tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    arguments = {"config": config, "variants": ["corn"], "workdir": "run", **changes}
    with pytest.raises(UsageError, match=f"^{message}"):
        ordinal_blast.ablate(arguments.pop("config"), arguments.pop("variants"), **arguments)
    assert not (tmp_path / "run").exists()
