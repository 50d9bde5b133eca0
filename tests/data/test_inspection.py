"""What is said of a dataset, and that no other dataset is taken for the one that is asked for."""

import dataclasses
import json

import pytest

from ordinal_blast import cli
from ordinal_blast.data import catalog, inspection, material, store
from ordinal_blast.errors import UsageError
from ordinal_blast.settings import DataSettings

OPTIONS = {
    "name": "era",
    "task": "grade",
    "grades": tuple(map(str, range(1, 10))),
    "train": "train_ERA_{holdout}.csv",
    "val": "",
    "test": "test_ERA_{holdout}.csv",
    "label": "",
    "lowest": 1,
    "holdout": 0,
    "val_share": 0.2,
    "val_stratified": True,
    "val_seed": 0,
    "licence": "BSD-3-Clause",
    "citation": "",
}


@pytest.fixture
def asked(tmp_path):
    """Two hold-outs of a table of 40 rows; grade 3 of nine and those above have no example."""
    for holdout in (0, 1):
        for kind, count in (("train", 40), ("test", 8)):
            rows = "".join(f"{holdout},{row},0,0,{1 + row % 2}\n" for row in range(count))
            (tmp_path / f"{kind}_ERA_{holdout}.csv").write_text(rows)
    return DataSettings(source="table", root=str(tmp_path), cache=str(tmp_path / "cache"), options=OPTIONS)


def test_grades_that_a_split_lacks_are_told_as_facts_and_as_text(asked):
    facts = inspection.facts(material.open(asked))
    assert facts["examples"] == {"train": 32, "val": 8, "test": 8}
    assert facts["grades"]["grade"]["test"] == {"1": 4, "2": 4, **dict.fromkeys("3456789", 0)}
    assert len(facts["warnings"]) == 7 * 3
    assert facts["warnings"][0] == "grade 3 of task grade has no example in the train split: a model cannot learn it"
    lines = inspection.text(facts).splitlines()
    assert [line for line in lines if line.startswith("warning: ")] == [
        f"warning: {told}" for told in facts["warnings"]
    ]
    assert "licence: BSD-3-Clause" in lines
    assert not any(line.startswith("citation") for line in lines)


@pytest.mark.parametrize(
    "change", [{"holdout": 1}, {"val_share": 0.5}, {"val_seed": 3}, {"task": "severity"}, {"grades": ("1", "2")}]
)
def test_a_built_copy_of_other_options_is_never_opened(asked, change):
    opened = material.open(asked)
    gone = dataclasses.replace(asked, root=asked.root + "/gone")
    assert material.open(gone).identity == opened.identity  # the very same is
    with pytest.raises(store.SourceMissingError, match="does not exist: name the folder of its table"):
        material.open(dataclasses.replace(gone, options=OPTIONS | change))


def test_equal_examples_are_counted_with_those_of_another_split_and_of_other_grades(asked):
    facts = inspection.facts(material.look(asked))
    # Of two inputs "0, row, 0, 0" the row alone differs: 8 of the 48 are in both files, with the same grades.
    assert facts["duplicates"] == {"examples": 8, "of_another_split": 8, "with_other_grades": 0}
    assert facts["missing"] == {"grade": {"train": {}, "val": {}, "test": {}}}
    assert (facts["left_out"], facts["unreadable"]) == (0, 0)


def test_a_source_of_an_installed_package_has_a_short_name(asked, monkeypatch):
    class Point:
        name, value = "their_table", "ordinal_blast.data.sources.table:source"

    def points(group):
        assert group == "ordinal_blast.sources"
        return [Point]

    monkeypatch.setattr(catalog.importlib.metadata, "entry_points", points)
    theirs = dataclasses.replace(asked, source="their_table")
    assert material.open(theirs).identity == material.open(asked).identity
    with pytest.raises(UsageError, match=r"data\.source is 'their_tables' .did you mean their_table"):
        material.open(dataclasses.replace(asked, source="their_tables"))


def test_data_are_inspected_by_the_name_of_a_source_and_unsplit_as_they_come(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("x,grade,patient\n" + "".join(f"{n},{n % 2},{n % 3}\n" for n in range(12)))
    words = ["data", "inspect", "table", "--root", str(tmp_path / "rows.csv"), f"--config.data.cache={tmp_path}/cache"]
    assert cli.main([*words, "--json", "--config.data.options={'label': 'grade', 'group': 'patient'}"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert list(facts["examples"].values()) == [12]
    assert facts["warnings"][0].startswith("data.split.by is official, but rows comes unsplit")
    assert cli.main(["data", "inspect", "no_such_source"]) == 2
