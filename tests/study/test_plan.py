"""Plans: names that become folders, what variants may set, seeds."""

import pytest

from ordinal_blast import settings
from ordinal_blast.errors import UsageError
from ordinal_blast.study import plan as plans


def plan(tmp_path, text, seeds=1, config="configs/era.py", **changes):
    file = tmp_path / "question.py"
    file.write_text(f'"""A question?"""\ndef variants():\n{text}\n')
    return plans.ablation(str(file), settings.load(config, changes), seeds)


def named(tmp_path, *names):
    return plan(tmp_path, "\n".join(f"    yield {name!r}, {{}}" for name in names))


@pytest.mark.parametrize(
    "names",
    [
        ("gap < 1", "gap > 1"),
        ("α=1", "β=1"),
        ("A", "a"),
        ("..", "."),
        ("/", "\\", "a/../b", "a/b"),
        ("x" * 300, "x" * 299 + "y"),
        ("-s0", "_", "s0"),
        ("con", "CON", "nul"),
        ("a b", "a_b", "a  b"),
    ],
)
def test_names_that_differ_have_folders_that_differ_whatever_the_file_system_tells_apart(tmp_path, names):
    cells = named(tmp_path, *names).cells
    assert [cell.variant for cell in cells] == list(names)
    assert len({cell.name.casefold() for cell in cells}) == len(names)
    for cell in cells:
        (tmp_path / "cells" / cell.name).mkdir(parents=True)  # as a folder of its own, and nowhere else
        assert (tmp_path / "cells" / cell.name).resolve().parent == tmp_path / "cells"
        assert len(cell.name) < 120


def test_a_plain_name_is_its_folder_whatever_stands_beside_it(tmp_path):
    cells = named(tmp_path, "cross_entropy", "cross_entropy median", "power 1.5", "gap < 1", "gap > 1").cells
    assert [cell.name for cell in cells[:3]] == ["cross_entropy-s0", "cross_entropy_median-s0", "power_1.5-s0"]
    alone, twins = named(tmp_path, "gap < 1").cells[0].name, [cell.name for cell in cells[3:]]
    assert alone == "gap_1-s0"
    assert alone not in twins


def test_a_plain_name_with_capitals_is_its_folder_where_no_other_has_its_letters(tmp_path):
    assert [cell.name for cell in named(tmp_path, "CORN", "Sord").cells] == ["CORN-s0", "Sord-s0"]


def test_a_name_that_is_the_short_form_of_another_is_refused():
    taken = plans.folders(["gap < 1", "gap > 1"])["gap < 1"]
    with pytest.raises(UsageError, match="cannot have folders of their own: choose other names"):
        plans.folders(["gap < 1", "gap > 1", taken])


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "two\nlines", 3, None])
def test_a_name_that_cannot_be_printed_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"question.py: .*variant"):
        named(tmp_path, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 3},
        {"data.options.holdout": 3},
        {"data.options": {"holdout": 3}},
        {"seed_also_sets": ()},
    ],
)
def test_a_variant_that_sets_what_the_seeds_set_is_refused(tmp_path, changes):
    with pytest.raises(UsageError, match=r"variant b sets .*, and the seeds of the study set it"):
        plan(tmp_path, f"    yield 'a', {{}}\n    yield 'b', {changes!r}")


@pytest.mark.parametrize("changes", [{"devices": 2}, {"name": "other"}])
def test_a_variant_that_sets_what_a_study_has_once_is_refused(tmp_path, changes):
    with pytest.raises(UsageError, match="which a study has once"):
        plan(tmp_path, f"    yield 'a', {changes!r}")


@pytest.mark.parametrize(("first", "count"), [(-1, 1), (2**32, 1), (2**32 - 2, 3)])
def test_seeds_that_would_repeat_others_are_refused(tmp_path, first, count):
    with pytest.raises(UsageError, match=r"seed is (-1|4294967296): it takes a whole number from 0 to 4294967295"):
        plan(tmp_path, "    yield 'a', {}", count, seed=first)


def test_the_last_seed_there_is_can_be_used(tmp_path):
    made = plan(tmp_path, "    yield 'a', {}", 2, seed=2**32 - 2)
    assert [cell.settings.seed for cell in made.cells] == [2**32 - 2, 2**32 - 1]


def test_a_setting_given_by_hand_that_the_seed_would_overwrite_is_refused():
    changes = {"data.options.holdout": 5}
    base = settings.load("configs/era.py", changes)
    with pytest.raises(UsageError, match=r"--config.data.options.holdout=5 would be overwritten .*--config.seed=5"):
        plans.check_changes(changes, base)
    plans.check_changes(changes, settings.load("configs/era.py", changes | {"seed": 5}))
    plans.check_changes(changes, settings.load("configs/era.py", changes | {"seed_also_sets": ()}))


def test_variants_need_no_file():
    variants = [("reference", {}), ("small", {"mlp.network": {"options": {"widths": (4,)}}})]
    made = plans.of_variants("Which width?", iter(variants), settings.load("era"), 2)
    assert (made.question.text, made.variants, made.seeds) == ("Which width?", ("reference", "small"), (0, 1))
    assert made.cells[1].settings.stages["mlp"].network == settings.NetworkSettings(options={"widths": (4,)})
    assert made.cells[3].settings.data.options["holdout"] == 1
    with pytest.raises(UsageError, match="variants yields nothing"):
        plans.of_variants("Which width?", [], settings.load("era"), 2)


def test_a_setting_that_seeds_set_is_what_it_may_be_in_every_cell():
    base = settings.load("retinamnist", {"seed_also_sets": "data.split.seed", "data.split": {"by": "id"}})
    made = plans.of_variants("", [("a", {})], base, 2)
    assert [cell.settings.data.split.seed for cell in made.cells] == [0, 1]
    official = settings.override(base, {"data.split": {}})
    with pytest.raises(UsageError, match=r"variant a, seed 1: data.split.seed is 1, and nothing reads it"):
        plans.of_variants("", [("a", {})], official, 2)
    with pytest.raises(UsageError, match=r"variant a, seed 0: there is no setting data.split.sed: did you mean data"):
        plans.of_variants("", [("a", {})], settings.override(base, {"seed_also_sets": "data.split.sed"}), 2)
