"""Studies of tables: hold-outs by seed, standardised features, published values carried along."""

from pathlib import Path

import numpy as np
import pytest

from ordinal_blast import record, settings
from ordinal_blast.data import material
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.study import explaining, grading, runner, session
from ordinal_blast.study import plan as plans

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
QUESTION = '''"""A question?"""
def variants():
    yield "cross_entropy", {"objective.name": "cross_entropy"}
    yield "corn", {"objective.name": "corn"}
'''


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    """Overrides that turn configs/era.py into a study of seconds: three grades of x0, x1 a constant, two hold-outs."""
    root = tmp_path_factory.mktemp("table")
    for holdout in (0, 1):
        rng = np.random.default_rng(holdout)
        for kind, count in (("train", 60), ("test", 20)):
            x = rng.normal(5, 3, count)
            labels = 1 + np.digitize(x, [4, 6])
            table = np.column_stack([x, np.full(count, 7.0), labels])
            np.savetxt(root / f"{kind}_ERA_{holdout}.csv", table, delimiter=",", fmt="%.9g")
    return {
        "devices": 1,
        "data.root": str(root),
        "data.cache": str(root / "cache"),
        "data.options.grades": ("a", "b", "c"),
        "mlp.network.options.widths": (8,),
        "mlp.training.epochs": 12,
        "mlp.training.batch_size": 16,
        "mlp.optimizer.learning_rate": 0.03,
    }


@pytest.fixture(scope="module")
def study(overrides, tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    (root / "question.py").write_text(QUESTION)
    published = {"source": "a paper", "values": {"corn": {"mae": (0.5, 0.1)}}}
    chosen = settings.load("configs/era.py", overrides | {"report.published": published})
    plan = plans.ablation(str(root / "question.py"), chosen, 2)
    assert runner.run(plan, root / "run", "the command", session.begin(1)) == []
    return plan, root / "run"


def read(root, name):
    return record.read(root / "cells" / name)


def of_test(root, name):
    return read(root, name).models["mlp"].splits["test"].tasks["grade"]


def test_seed_i_is_holdout_i(study):
    plan, root = study
    assert [one.settings.data.options["holdout"] for one in plan.cells] == [0, 0, 1, 1]
    for cell in plan.cells:
        expected = np.loadtxt(f"{cell.settings.data.root}/test_ERA_{cell.seed}.csv", delimiter=",")[:, -1] - 1
        np.testing.assert_array_equal(of_test(root, cell.name).labels, expected)
    assert not np.array_equal(of_test(root, "corn-s0").labels, of_test(root, "corn-s1").labels)


def test_numbers_are_standardised_by_the_training_rows_alone(study, overrides, tmp_path):
    plan, root = study
    chosen = plan.cells[0].settings
    opened = material.open(chosen.data, chosen.tasks)
    train = opened.dataset.columns["numbers"][opened.splits["train"]]
    facts = read(root, "corn-s0").stages["mlp"]["standardized"]
    np.testing.assert_allclose(facts["mean"], train.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(facts["sd"], [train[:, 0].std(dtype=np.float64), 1.0], rtol=1e-12)
    raw = settings.override(chosen, {"mlp.standardize": False, "mlp.training.epochs": 1})
    assert runner.run(plans.single(raw), tmp_path / "raw", "the command", session.begin(1)) == []
    (cell,) = (tmp_path / "raw/cells").iterdir()
    assert "standardized" not in record.read(cell).stages["mlp"]


def test_the_network_learns_and_published_values_are_kept(study):
    _, root = study
    for name in ("cross_entropy-s0", "corn-s0", "cross_entropy-s1", "corn-s1"):
        assert of_test(root, name).measures["mae"] < 0.3
        assert tuple(read(root, name).published["values"]["corn"]["mae"]) == (0.5, 0.1)


def test_a_run_keeps_the_epoch_that_grades_best(overrides, tmp_path):
    chosen = settings.load("configs/era.py", overrides | {"mlp.training.select": "val_qwk"})
    assert runner.run(plans.single(chosen), tmp_path, "the command", session.begin(1)) == []
    (cell,) = (tmp_path / "cells").iterdir()
    training = record.read(cell).models["mlp"].training
    kappas = [line["val_qwk"] for line in training["history"]]
    assert min(kappas) < max(kappas)
    assert training["best_epoch"] == 1 + int(np.argmax(kappas))


def test_a_chain_that_the_table_cannot_feed_is_refused(overrides, tmp_path):
    chosen = settings.load("configs/era.py", overrides | {"mlp.network": "xception", "mlp.standardize": False})
    with pytest.raises(UsageError, match=r"but mlp reads images, and the data and the stages before it have .*numbers"):
        runner.run(plans.single(chosen), tmp_path / "run", "the command", session.begin(1))
    assert not (tmp_path / "run").exists()


def test_rows_are_graded_as_the_run_graded_them(study, tmp_path):
    plan, root = study
    for cell in ("corn-s0", "corn-s1"):
        file = Path(plan.cells[0].settings.data.root) / f"test_ERA_{cell[-1]}.csv"
        without = tmp_path / "rows.csv"
        without.write_text("".join(f"{line.rpartition(',')[0]}\n" for line in file.read_text().splitlines()))
        grades, probs = of_test(root, cell).grades, of_test(root, cell).probs
        for path in (file, without):  # with the grades in their last column, which nothing reads, and without
            graded = grading.grade(root / "cells" / cell, [path])
            assert [line["input"] for line in graded] == [f"{path}, line {row}" for row in range(1, 21)]
            assert ["abc".index(line["grade"]) for line in graded] == grades.tolist()
            np.testing.assert_allclose([list(line["probs"].values()) for line in graded], probs, rtol=1e-4, atol=1e-6)


def test_a_network_of_numbers_has_no_feature_maps_to_explain(study, tmp_path):
    _, root = study
    with pytest.raises(UsageError, match=r"^corn-s0 has no network of images, .* it reads numbers$"):
        explaining.explain(root / "cells" / "corn-s0", tmp_path / "rows.csv")


def test_a_table_that_lacks_a_column_and_an_image_are_refused(study, tmp_path):
    _, root = study
    (tmp_path / "narrow.csv").write_text("1.5\n2.5\n")
    with pytest.raises(UserError, match=r"narrow.csv has 0 columns named column 2: it has column 1"):
        grading.grade(root / "cells" / "corn-s0", [tmp_path / "narrow.csv"])
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    with pytest.raises(UserError, match=r"cannot read .*picture.png: it is no text in UTF-8"):
        grading.grade(root / "cells" / "corn-s0", [tmp_path / "picture.png"])
