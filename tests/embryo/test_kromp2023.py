"""The set of Kromp et al. 2023 by rows of its own files: counts, why grades are missing, dates, leakage."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ordinal_blast import cli
from ordinal_blast.data import inspection, material
from ordinal_blast.embryo import kromp2023
from ordinal_blast.errors import UserError
from ordinal_blast.settings import DataSettings, SplitSettings

EXCERPT = Path(__file__).parent / "kromp2023_excerpt"
PUBLISHED = Path(os.environ.get("ORDINAL_BLAST_DATA", "data"), "kromp2023")


@pytest.fixture
def root(tmp_path):
    shutil.copytree(EXCERPT, tmp_path / "kromp2023")
    return tmp_path / "kromp2023"


def asked(root, split=None, **options):
    split = split or SplitSettings(leakage="allow")
    return DataSettings("kromp2023", str(root), str(root.parent / "cache"), {"val_share": 0.2, **options}, split)


def totals(facts, task):
    """Counts of grades and of reasons, of all that may be learnt from and of the test set."""
    counts = []
    for key in ("grades", "missing"):
        of = facts[key][task]
        learnt = {name: of["train"].get(name, 0) + of["val"].get(name, 0) for name in {*of["train"], *of["val"]}}
        counts += [learnt, of["test"]]
    return counts


def test_counts_and_reasons_are_those_of_the_files(root):
    facts = inspection.facts(material.look(asked(root)))
    assert facts["examples"] == {"train": 30, "val": 10, "test": 16}
    assert totals(facts, "icm") == [
        {"C": 3, "B": 4, "A": 22},
        {"C": 0, "B": 5, "A": 5},
        {"not defined": 11},
        {"not defined": 3, "not agreed": 3},
    ]
    assert totals(facts, "te")[1::2] == [{"C": 2, "B": 3, "A": 7}, {"not defined": 3, "not agreed": 1}]
    assert totals(facts, "expansion")[0] == {"1": 6, "2": 5, "3": 7, "4": 21, "5": 1}
    assert facts["groups_in_two_splits"]["train and val"] == 0
    assert facts["leakage"]["test"] == {"groups": 5, "examples": 7, "of": 16}
    assert facts["left_out"] == 2  # a row that is there twice, and one of the clinic that nobody graded
    text = inspection.text(facts)
    assert "leakage: 7 of 16 examples of test are of groups of splits before it" in text
    assert "icm test without a grade: not agreed 3, not defined 3" in text
    assert "838_02.png is graded before, 4/A/A in" in text
    assert "SS 1, HA 0, LB 1, where each follows from the next" in text


@pytest.mark.skipif(not (PUBLISHED / "Gardner_train_silver.csv").is_file(), reason="the published files are not here")
def test_the_published_files_have_the_published_counts(tmp_path, capsys):
    words = ["data", "inspect", "kromp2023", "--root", str(PUBLISHED), "--json", f"--config.data.cache={tmp_path}"]
    assert cli.main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert totals(facts, "expansion") == [
        {"1": 197, "2": 194, "3": 429, "4": 1081, "5": 142},
        {"1": 23, "2": 31, "3": 86, "4": 153, "5": 5},
        {},
        {"not agreed": 2},
    ]
    assert totals(facts, "icm")[1::2] == [{"C": 17, "B": 68, "A": 153}, {"not defined": 54, "not agreed": 8}]
    assert totals(facts, "te")[1::2] == [{"C": 30, "B": 82, "A": 122}, {"not defined": 54, "not agreed": 12}]
    assert facts["leakage"]["test"] == {"groups": 200, "examples": 242, "of": 300}


def test_leakage_is_refused_unless_it_is_allowed_or_there_is_none(root):
    leak = "5 of 14 groups of the test split of kromp2023 \\(7 of 16 examples\\) lie in another split too"
    with pytest.raises(UserError, match=f"{leak}: divide by data.split.by=group, or say allow as data.split.leakage"):
        material.open(asked(root, SplitSettings()))
    allowed = material.open(asked(root))
    assert allowed.warnings[0] == leak.replace("\\", "")
    apart = material.open(asked(root, SplitSettings(), shared_patients="drop"))
    assert {name: len(rows) for name, rows in apart.splits.items()}["test"] == 16
    assert sum(map(len, apart.splits.values())) == 56 - 8
    grouped = material.open(asked(root, SplitSettings("group", (0.6, 0.2, 0.2), stratified=True)))
    patients = [set(grouped.dataset.columns["group"][rows]) for rows in grouped.splits.values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 44


def test_agreement_dates_sums_and_outcomes_are_read(root):
    columns = material.look(asked(root)).dataset.columns
    where = {name: row for row, name in enumerate(columns["id"].tolist())}

    def of(name, image):
        return columns[name][where[image]]

    assert of("amh", "0187_01.png") == np.float32(1.26)  # Jän.26, of the row that is named 187_1.png
    assert of("amh", "313_01.png") == np.float32(1.1)  # 01.Jän
    assert of("amh", "0008_01.png") == np.float32(16.73)
    assert np.isnan(of("amh", "0005_01.png"))
    assert of("endometrium_mm", "0047_01.png") == np.float32(7.6)  # 07.Jun
    assert [of(name, "480_01.png") for name in ("biochemical", "heartbeat", "live_birth")] == [1, 0, 1]
    assert of("heartbeat", "838_02.png") == -1
    assert of("agreement_te", "0005_08.png") == np.float32(0.66)
    assert np.isnan(of("agreement_te", "0004_03.png"))  # the experts met again


@pytest.mark.parametrize(
    ("text", "value"), [("4+1", 5), ("12+5", 17), ("Jän.26", 1.26), ("10.Sep", 10.9), ("0.59", 0.59), ("2,5", 2.5)]
)
def test_a_number_that_a_spreadsheet_spoilt_is_mended(text, value):
    assert kromp2023._value(text) == pytest.approx(value, rel=1e-12)


def test_other_texts_are_no_numbers():
    assert kromp2023._value("Jänner") is None


def test_images_are_read_from_their_folder_and_those_that_cannot_be_are_left_out(root):
    rows = material.look(asked(root)).dataset.columns["id"].tolist()
    (root / "Images" / "Images").mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    for name in rows[1:]:
        Image.fromarray(picture).save(root / "Images" / "Images" / name)
    with pytest.raises(UserError, match="cannot read the image"):
        material.look(asked(root, size=(12, 16)))
    looked = material.look(asked(root, size=(12, 16), bad="skip"))
    assert len(looked.dataset) == len(rows) - 1
    facts = inspection.facts(looked)
    assert facts["unreadable"] == 1
    assert facts["duplicates"]["examples"] == len(rows) - 2
    np.testing.assert_array_equal(looked.dataset.columns["images"][np.arange(1)][0], picture)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("Gardner_train_silver.csv", "0014_02.png;0;3;3", "0014_02.png;0;4;3", "line 2: '4' is no grade of icm"),
        ("Gardner_train_silver.csv", "0014_02.png", "../../a.png", "line 2, Image: '../../a.png' is no name such as"),
        ("Gardner_train_silver.csv", "ICM_silver", "ICM", "has 0 columns named ICM_silver"),
        ("Clincial_annotations.csv", "0005_01.png;1;4;", "0005_01.png;1;x;", "line 3, d: 'x' is no number: correct it"),
    ],
)
def test_errors_name_file_line_and_column(root, file, old, new, said):
    text = (root / file).read_bytes().decode("latin-1")
    assert old in text
    (root / file).write_bytes(text.replace(old, new, 1).encode("latin-1"))
    with pytest.raises(UserError) as refused:
        material.look(asked(root))
    assert said in str(refused.value)
    assert file in str(refused.value)


def test_the_annotators_of_a_folder_are_counted_by_name(root):
    (root / "annotators").mkdir()
    (root / "annotators" / "Annotator_0.csv").write_text("0005_08.png,3,0,0\n0011_02.png,0,3,3\n0037_01.png,3,,1\n")
    (root / "annotators" / "Gardner_Expert.csv").write_text("0005_08.png,3,1,2\n0037_01.png,3,0,0\n")
    looked = material.look(asked(root, raters="annotators"))
    facts = inspection.facts(looked)
    names = looked.dataset.extras["raters"]
    assert facts["raters"]["expansion"] == {"Annotator_0": 3, "Gardner_Expert": 2}
    assert facts["raters"]["icm"] == {"Annotator_0": 1, "Gardner_Expert": 2}
    row = looked.dataset.columns["id"].tolist().index("0005_08.png")
    votes = dict(zip(names, looked.dataset.columns["rater_te"][row].tolist(), strict=True))
    assert votes == {"Annotator_0": 2, "Gardner_Expert": 0}
    assert "icm by raters: " in inspection.text(facts)
    with pytest.raises(UserError, match=r"has no Annotator_0\.csv: name the annotators' folder"):
        material.look(asked(root, raters="Images"))
