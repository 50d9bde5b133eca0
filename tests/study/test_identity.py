"""What belongs to a cell beside its settings: the files that make its numbers and no others, and its data."""

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import ordinal_blast
from ordinal_blast import parts, settings, source_text
from ordinal_blast.study import grader, identity, recipe

PACKAGE = Path(ordinal_blast.__file__).parent


def chosen(**changes):
    return settings.load("configs/era.py", changes)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the package whose files may be edited: where `identity` finds modules for as long as a test runs."""
    home = shutil.copytree(PACKAGE, tmp_path / "ordinal_blast", ignore=shutil.ignore_patterns("__pycache__"))

    def find(module):
        place = tmp_path.joinpath(*module.split("."))
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        return importlib.util.spec_from_file_location(module, path)

    monkeypatch.setattr(source_text, "_spec", find)
    return home


def edited(copied, name, **changes):
    """The files that differ after `name` was edited."""
    before = identity.of_code(chosen(**changes))
    with (copied / name).open("a") as stream:
        stream.write("\n# edited\n")
    return identity.differing(before, identity.of_code(chosen(**changes)))


@pytest.mark.parametrize(
    "name",
    [
        "objectives/continuation.py",
        "objectives/families.py",
        "objectives/registry.py",
        "objectives/numerics.py",
        "models/mlp.py",
        "models/networks.py",
        "data/splits.py",
        "data/sources/table.py",
        "training/step.py",
        "training/optimizer.py",
        "study/cell.py",
        "study/decisions.py",
        "study/recipe.py",
        "study/grader.py",
        "evaluation/calibration.py",
        "evaluation/rater_model.py",
        "evaluation/raters.py",
        "types.py",
        "seeds.py",
    ],
)
def test_a_file_that_makes_numbers_belongs_to_the_cell(copied, name):
    assert edited(copied, name, **{"objective.name": "corn"}) == [f"ordinal_blast/{name}"]


@pytest.mark.parametrize(
    "name",
    [
        "report/page.py",
        "report/templates/report.html.j2",
        "cli.py",
        "manual.py",
        "settings.py",
        "evaluation/delong.py",
        "study/session.py",
        "study/runner.py",
        "study/plan.py",
        "record.py",
        "objectives/__init__.py",
    ],
)
def test_editing_a_report_a_page_or_a_verb_changes_nothing(copied, name):
    assert edited(copied, name) == []


def test_a_loss_a_network_or_a_source_that_the_cell_does_not_use_changes_nothing(copied):
    assert edited(copied, "objectives/thresholds.py", **{"objective.name": "corn"}) == []
    assert edited(copied, "data/sources/medmnist.py") == []
    assert edited(copied, "models/xception.py") == []
    (copied / "objectives" / "mine.py").write_text("x = 1\n")
    assert edited(copied, "objectives/mine.py") == []


def test_a_stage_has_the_text_of_its_own_parts_and_of_the_objective_that_it_is_trained_for():
    demo = settings.load("demo")
    cropper = identity.of_stage(demo.stages["cropper"])
    assert "ordinal_blast/models/unet.py" in cropper
    assert "ordinal_blast/models/lstm.py" not in cropper
    assert not any(name.endswith("distance.py") for name in cropper)
    assert {f"ordinal_blast/embryo/{name}.py" for name in ("cropping", "segmentation", "timelapse")} <= set(cropper)
    crops = set(identity.of_stage(demo.stages["crops"]))
    assert {f"ordinal_blast/embryo/{name}.py" for name in ("crops", "windows", "timelapse")} <= crops
    assert "ordinal_blast/embryo/sequences.py" in identity.of_stage(demo.stages["sequences"])
    assert "ordinal_blast/embryo/simulated.py" in identity.of_code(demo)
    cnn = demo.stages["cnn"]
    trained, other = (identity.of_stage(cnn, name) for name in ("ordinal_cross_entropy", "corn"))
    assert set(trained) - set(other) == {"ordinal_blast/objectives/distance.py"}
    assert {"ordinal_blast/models/xception.py", "ordinal_blast/study/grader.py"} <= set(trained)
    binding = {f"ordinal_blast/objectives/{name}.py" for name in ("registry", "bound", "families")}
    assert binding <= set(identity.of_stage(cnn, "corn"))


def test_a_shared_grader_is_named_by_the_text_of_its_loss():
    section = settings.load("demo").stages["cnn"]
    goal = recipe.Goal(settings.ObjectiveSettings("corn"), "none", 0)
    work = SimpleNamespace(material=SimpleNamespace(tasks=()), goal=goal)
    assert grader.Grader("cnn", section).depends(work)["code"] == identity.of_stage(section, "corn")


def own(folder, monkeypatch, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(folder))


def test_an_own_file_counts_with_what_it_imports_of_the_files_beside_it(tmp_path, monkeypatch):
    own(
        tmp_path,
        monkeypatch,
        {
            "own_losses_1.py": "import numpy\nimport own_terms_1\n\ndef loss(logits, labels):\n    return 0\n",
            "own_terms_1.py": "scale = 2\n",
            "own_other_1.py": "unused = 1\n",
        },
    )
    mine = chosen(**{"objective.name": "own_losses_1:loss"})
    before = identity.of_code(mine)
    assert {name for name in before if not name.startswith("ordinal_blast/")} == {"own_losses_1.py", "own_terms_1.py"}
    (tmp_path / "own_terms_1.py").write_text("scale = 3\n")
    (tmp_path / "own_other_1.py").write_text("unused = 2\n")
    assert identity.differing(before, identity.of_code(mine)) == ["own_terms_1.py"]
    moved = shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}_moved")
    monkeypatch.syspath_prepend(str(moved))
    assert identity.differing(before, identity.of_code(mine)) == ["own_terms_1.py"]


def test_what_a_file_imports_is_what_its_text_says_now(tmp_path):
    (tmp_path / "terms_7.py").write_text("scale = 2\n")
    mine = tmp_path / "mine_7.py"
    mine.write_text("import math\n")
    assert set(source_text.files(mine)) == {"mine_7.py"}
    mine.write_text("import math, terms_7\n")
    assert set(source_text.files(mine)) == {"mine_7.py", "terms_7.py"}


def test_an_own_package_counts_with_its_own_files_that_are_imported(tmp_path, monkeypatch):
    own(
        tmp_path,
        monkeypatch,
        {
            "own_package_1/__init__.py": "",
            "own_package_1/deep/__init__.py": "from . import shared\n",
            "own_package_1/deep/shared.py": "from ..root import scale\n",
            "own_package_1/deep/losses.py": "import jax\n\ndef loss(logits, labels):\n    return 0\n",
            "own_package_1/root.py": "scale = 1\n",
            "own_package_1/unused.py": "",
            "beside_package_1.py": "",
        },
    )
    found = identity.of_code(chosen(**{"data.source": "own_package_1.deep.losses:loss"}))
    assert {name for name in found if not name.startswith("ordinal_blast/")} == {
        "own_package_1/__init__.py",
        "own_package_1/deep/__init__.py",
        "own_package_1/deep/losses.py",
        "own_package_1/deep/shared.py",
        "own_package_1/root.py",
    }


def test_parts_from_files_count_with_what_they_import_of_their_folder_and_of_each_file_of_one_name(tmp_path):
    for name, text in {
        "nets/mine.py": "import jax\nimport terms\n",
        "nets/terms.py": "scale = 2\n",
        "nets/beside.py": "",
        "losses/mine.py": "loss = print\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    mine = chosen(**{"mlp.network": "nets/mine.py:Net", "objective": "losses/mine.py:loss"})

    def outside():
        return {name: text for name, text in identity.of_code(mine).items() if not name.startswith("ordinal_blast/")}

    with parts.from_folder(tmp_path):
        before = outside()
        assert set(before) == {"mine.py", "terms.py"}
        (tmp_path / "nets/beside.py").write_text("unused = 1\n")
        assert outside() == before
        (tmp_path / "nets/terms.py").write_text("scale = 3\n")
        assert identity.differing(before, outside()) == ["terms.py"]
        for folder in ("nets", "losses"):
            with (tmp_path / folder / "mine.py").open("a") as stream:
                stream.write("# edited\n")
            assert "mine.py" in identity.differing(before, outside())
            before = outside()


def test_every_part_from_outside_is_named_by_its_setting():
    changes = {
        "objective": "mine.py:loss",
        "objective.rule": "mine:rule",
        "data.source": "mine.py:source",
        "measures": ("mine.py:a", "mine:b"),
        "mlp.network": "nets/mine.py:Net",
        "mlp.optimizer": "optax:adam",
        "mlp.schedule": "ordinal_blast.training.schedules:cosine",
        "mlp.augment": "mine.py:View",
    }
    assert identity.outside(chosen()) == {}
    assert identity.outside(chosen(**changes)) == {
        "objective.name": "mine.py:loss",
        "objective.rule": "mine:rule",
        "data.source": "mine.py:source",
        "measures[0]": "mine.py:a",
        "measures[1]": "mine:b",
        "mlp.network.name": "nets/mine.py:Net",
        "mlp.optimizer.name": "optax:adam",
        "mlp.augment.name": "mine.py:View",
    }


def test_the_version_and_the_commit_of_a_checkout_or_of_a_worktree_of_it_are_known(tmp_path, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    package = tmp_path / "tree" / "ordinal_blast"
    monkeypatch.setattr(identity, "__file__", str(package / "study" / "identity.py"))
    assert identity.version() == {"ordinal-blast": ordinal_blast.__version__}
    git, worktree = tmp_path / "tree" / ".git", tmp_path / "main" / ".git" / "worktrees" / "tree"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert identity.version() == {"ordinal-blast": ordinal_blast.__version__}  # before the first commit
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{commit} refs/heads/main\n")
    assert identity.version()["commit"] == commit
    (git / "refs" / "heads" / "main").write_text(f"{commit[::-1]}\n")
    assert identity.version()["commit"] == commit[::-1]
    (git / "HEAD").write_text(f"{commit}\n")
    assert identity.version()["commit"] == commit
    shutil.rmtree(git)
    worktree.mkdir(parents=True)
    (worktree / "HEAD").write_text("ref: refs/heads/open\n")
    (worktree / "commondir").write_text("../..\n")
    (tmp_path / "main" / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "main" / ".git" / "refs" / "heads" / "open").write_text(f"{commit}\n")
    git.write_text(f"gitdir: {worktree}\n")
    assert identity.version()["commit"] == commit
