"""What belongs to a cell beside its settings: the files that make its numbers and no others, and its data."""

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ordinal_blast
from ordinal_blast.study import configuration, identity

PACKAGE = Path(ordinal_blast.__file__).parent


def config(**changes):
    return configuration.load("configs/era.py", changes)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the package whose files may be edited: where `identity` finds modules for as long as a test runs."""
    home = shutil.copytree(PACKAGE, tmp_path / "ordinal_blast", ignore=shutil.ignore_patterns("__pycache__"))

    def find(module):
        place = tmp_path.joinpath(*module.split("."))
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        return importlib.util.spec_from_file_location(module, path)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    return home


def edited(copied, name, **changes):
    """The files that differ after `name` was edited."""
    before = identity.of_code(config(**changes))
    with (copied / name).open("a") as stream:
        stream.write("\n# edited\n")
    return identity.differing(before, identity.of_code(config(**changes)))


@pytest.mark.parametrize(
    "name",
    [
        "objectives/continuation.py",
        "objectives/families.py",
        "objectives/numerics.py",
        "models/mlp.py",
        "data/splits.py",
        "data/sources/table.py",
        "training/step.py",
        "training/parallel.py",
        "study/cell.py",
        "study/chain.py",
        "study/problems.py",
        "types.py",
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
        "evaluation/delong.py",
        "study/session.py",
        "record.py",
    ],
)
def test_editing_a_report_or_a_page_changes_nothing(copied, name):
    assert edited(copied, name) == []


def test_a_loss_or_a_source_that_the_cell_does_not_use_changes_nothing(copied):
    assert edited(copied, "objectives/thresholds.py", **{"objective.name": "corn"}) == []
    assert edited(copied, "data/sources/medmnist.py") == []
    (copied / "objectives" / "mine.py").write_text("x = 1\n")
    assert edited(copied, "objectives/mine.py") == []


def test_the_shared_cropper_does_not_depend_on_the_loss(copied):
    losses = [config(**{"objective.name": name}) for name in ("corn", "cross_entropy")]
    a, b = (identity.of_code(each, objective=False) for each in losses)
    assert a == b
    assert "ordinal_blast/models/unet.py" in a
    assert identity.of_code(losses[0]) != identity.of_code(losses[1])


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
    settings = config(**{"objective.name": "own_losses_1:loss"})
    before = identity.of_code(settings)
    assert {name for name in before if not name.startswith("ordinal_blast/")} == {"own_losses_1.py", "own_terms_1.py"}
    (tmp_path / "own_terms_1.py").write_text("scale = 3\n")
    (tmp_path / "own_other_1.py").write_text("unused = 2\n")
    assert identity.differing(before, identity.of_code(settings)) == ["own_terms_1.py"]
    moved = shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}_moved")
    monkeypatch.syspath_prepend(str(moved))
    assert identity.differing(before, identity.of_code(settings)) == ["own_terms_1.py"]


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
    found = identity.of_code(config(**{"data.source": "own_package_1.deep.losses:loss"}))
    assert {name for name in found if not name.startswith("ordinal_blast/")} == {
        "own_package_1/__init__.py",
        "own_package_1/deep/__init__.py",
        "own_package_1/deep/losses.py",
        "own_package_1/deep/shared.py",
        "own_package_1/root.py",
    }


def test_labels_in_another_order_are_other_data():
    columns = {"id": np.asarray(["a", "b"]), "label/grade": np.asarray([0, 1]), "frames": object()}

    def of(**changes):
        return identity.of_data(SimpleNamespace(identity="012345678901", columns=columns | changes))

    assert of() == of(frames=object())
    assert len({of(), of(**{"label/grade": np.asarray([1, 0])}), of(id=np.asarray(["b", "a"]))}) == 3
