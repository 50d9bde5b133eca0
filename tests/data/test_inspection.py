"""What is said of a dataset, and that no other dataset is taken for the one that is asked for."""

import dataclasses

import pytest

from ordinal_blast.data import inspection, material, store
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
