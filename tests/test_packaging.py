"""What is installed is what is needed: the losses need JAX and numpy alone, and each extra is complete."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ordinal_blast
from ordinal_blast.errors import UserError, needs
from ordinal_blast.report import page

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
BLOCKING = """
import importlib.abc, importlib.metadata, sys
allowed = set({allowed!r})
owners = importlib.metadata.packages_distributions()

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        names = {{n.lower().replace("_", "-").replace(".", "-") for n in owners.get(name.partition(".")[0], ())}}
        if names and not names & allowed:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocked())
"""


def closure(requirements):
    """Names of the distributions that these bring, themselves included, as they are installed here."""
    names, left = {"ordinal-blast"}, [Requirement(line) for line in requirements]
    while left:
        requirement = left.pop()
        name, extras = canonicalize_name(requirement.name), requirement.extras or {""}
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if name == "ordinal-blast":
            left += [Requirement(line) for extra in requirement.extras for line in EXTRAS[extra]]
        elif name not in names:
            names.add(name)
            lines = [Requirement(line) for line in metadata.requires(name) or ()]
            left += [r for r in lines if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)]
    return names


def run(code, *extras):
    """Run code where only what these extras bring can be imported."""
    allowed = closure([*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])])
    program = BLOCKING.format(allowed=sorted(allowed)) + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("extras", "modules"),
    [
        ((), ["ordinal_blast", "ordinal_blast.objectives"]),
        (("report",), ["ordinal_blast.evaluation.metrics", "ordinal_blast.report.page", "ordinal_blast.embryo.report"]),
        (("study",), ["ordinal_blast.study.runner", "ordinal_blast.study.grading", "ordinal_blast.data.catalog"]),
        (("study", "report"), ["ordinal_blast.api", "ordinal_blast.cli"]),
        (("embryo",), ["ordinal_blast.embryo.crops", "ordinal_blast.embryo.simulated"]),
        (("sklearn",), ["ordinal_blast.sklearn"]),
    ],
)
def test_what_an_extra_is_for_imports_with_it_alone(extras, modules):
    result = run("import " + ", ".join(modules), *extras)
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_losses_train_without_flax_and_say_what_a_layer_needs():
    result = run(
        "import jax\nfrom ordinal_blast import objectives\n"
        "corn = objectives.get('corn', num_classes=3)\n"
        "print(jax.grad(lambda x: corn.loss(x, jax.numpy.array([0, 2])))(jax.numpy.zeros((2, 2))).shape)\n"
        "cut = objectives.get('thresholded_regression', num_classes=2).fit([[0.0], [1.0]], [0, 1])\n"
        "print(cut.fitted['mean_cuts'])\n"
        "try:\n    corn.layer()\nexcept Exception as error:\n    print(error)\n"
        "try:\n    import ordinal_blast; ordinal_blast.load\nexcept Exception as error:\n    print(error)\n"
    )
    assert result.returncode == 0, result.stderr[-2000:]
    *values, layer, load = result.stdout.splitlines()
    assert values == ["(2, 2)", "[0.5]"]
    assert layer == "flax is not installed: pip install 'ordinal-blast[study]'"
    assert re.fullmatch(r"\w+ is not installed: pip install 'ordinal-blast\[report\]'", load)


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (["report", "runs/x", "--out", "reports/x"], "report"),
        (["ablate", "losses", "--config", "retinamnist", "--workdir", "runs/x"], "report,study"),
        (["grade", "--run", "runs/x", "eye.png"], "study"),
        (["demo"], "embryo,report"),
    ],
)
def test_a_verb_without_its_extra_says_in_one_line_which_to_install(arguments, extras):
    result = run(f"from ordinal_blast import cli\nsys.exit(cli.main({arguments!r}))")
    assert result.returncode == 1
    message = rf"ordinal-blast: \w+ is not installed: pip install 'ordinal-blast\[{extras}\]'\n"
    assert re.fullmatch(message, result.stderr), result.stderr


def test_importing_the_package_imports_no_other():
    program = "import sys, ordinal_blast; print({'jax', 'numpy', 'pandas', 'flax'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "set()"


def test_a_missing_package_is_told_with_its_extra_and_a_missing_file_of_ours_is_not():
    message = r"^no_such is not installed: pip install 'ordinal-blast\[embryo\]'$"
    with pytest.raises(UserError, match=message), needs("embryo"):
        import_module("no_such.part")
    with pytest.raises(ModuleNotFoundError, match=r"ordinal_blast\.nothing"), needs("study"):
        import_module("ordinal_blast.nothing")


def test_what_the_package_names_at_the_top_is_there():
    assert {"ablate", "load", "Study"} <= set(dir(ordinal_blast))
    assert [getattr(ordinal_blast, name).__name__ for name in ("ablate", "load", "Study")] == [
        "ablate",
        "load",
        "Study",
    ]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ordinal_blast.nothing


def test_every_distribution_has_its_version_in_the_constraints():
    pinned = {canonicalize_name(re.match(r"[\w.-]+", line)[0]) for line in constraints()}
    needed = closure([*PROJECT["dependencies"], *EXTRAS["all"], *EXTRAS["test"]]) - {"ordinal-blast"}
    assert needed <= pinned | {"pip", "setuptools"}, sorted(needed - pinned)
    for line in constraints():
        Requirement(line)


def constraints():
    return [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]


def test_all_is_every_extra_that_a_study_can_use():
    assert {*Requirement(EXTRAS["all"][0]).extras} == {"bayes", "embryo", "pretrained", "report", "sklearn", "study"}


def test_entry_points_lead_to_functions():
    groups = PROJECT["entry-points"]
    assert {*groups} == {"ordinal_blast.report", page.SEVERAL}
    for point in (*PROJECT["scripts"].values(), *(point for group in groups.values() for point in group.values())):
        module, _, function = point.partition(":")
        assert callable(getattr(import_module(module), function))
