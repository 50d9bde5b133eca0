"""Every ablation of the repository: a question, variants that differ, overrides that the settings take."""

from pathlib import Path

import pytest

from ordinal_blast import settings
from ordinal_blast.embryo import simulated
from ordinal_blast.errors import UsageError
from ordinal_blast.study import plan, recipe, runner

FOLDER = Path(__file__).parents[1] / "ablations"
CONFIGS = {
    "convolutions": ("configs/retinamnist.py",),
    "corn_paper": ("configs/fireman.py",),
    "every": ("configs/era.py",),
    "field": ("configs/era.py",),
    "losses": ("configs/retinamnist.py", "configs/demo.py"),
    "optimizer": ("configs/retinamnist.py",),
}
EMBRYOS = ("configs/demo.py", "configs/study_small.py", "configs/paper.py")
CASES = [(path.stem, config) for path in sorted(FOLDER.glob("*.py")) for config in CONFIGS.get(path.stem, EMBRYOS)]
ALIKE = {"convolutions"}  # variants that train alike are its question


def columns(chosen):
    """What the data set of a configuration has for stages to read."""
    if chosen.data.source == "ordinal_blast.embryo.simulated:source":
        return simulated.source(FOLDER, **chosen.data.options).features
    return ("images", "numbers")


@pytest.mark.parametrize(("name", "config"), CASES)
def test_an_ablation_asks_of_variants_that_can_be_run_and_differ(name, config):
    planned = plan.ablation(str(FOLDER / f"{name}.py"), settings.load(config), 2)
    assert planned.question.text.endswith("?")
    assert planned.question.equivalence
    first = {one.variant: one.settings for one in planned.cells if one.seed == planned.seeds[0]}
    assert len(first) == len(planned.variants) >= 2
    for chosen in first.values():
        runner.validate(chosen)
        recipe.check(recipe.stages(chosen), columns(chosen))
    if name not in ALIKE:
        distinct = {str(sorted(settings.tree(chosen).items())) for chosen in first.values()}
        same = [variant for variant, chosen in first.items() if chosen == settings.load(config)]
        assert len(distinct) == len(first), (same, "two variants have the same settings")


@pytest.mark.parametrize("name", ["frames", "sequence", "cropper", "augmentation"])
@pytest.mark.parametrize("config", ["retinamnist", "era", "fireman"])
def test_a_configuration_that_an_ablation_is_not_for_is_refused_by_what_it_lacks(name, config):
    lacks = r"varies \w+, which the configuration \w+ lacks: it has the stages \w+$|there is no setting c\w+.around"
    with pytest.raises(UsageError, match=rf"{lacks}|there is no setting (crops|cnn)\W"):
        plan.ablation(name, settings.load(config), 1)


def test_decisions_of_the_factorial_share_eight_trainings():
    planned = plan.ablation("rules", settings.load("configs/demo.py"), 1)
    trainings = {str(sorted(settings.differences(one.settings, decision=False).items())) for one in planned.cells}
    assert (len(planned.cells), len(trainings)) == (30, 8)


def test_an_ablation_may_look_at_the_settings_that_it_varies(tmp_path):
    file = tmp_path / "question.py"
    file.write_text(
        '"""Wider?"""\ndef variants(base):\n    for n in (1, 2):\n'
        '        yield f"{n}", {"mlp.training.patience": n + base.seed}\n'
    )
    made = plan.ablation(str(file), settings.load("configs/era.py", {"seed": 5}), 1)
    assert [one.settings.stages["mlp"].training.patience for one in made.cells] == [6, 7]
