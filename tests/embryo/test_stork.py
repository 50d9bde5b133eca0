"""Grades in file names, as STORK's images have them: drawn images under names of that layout."""

import numpy as np
import pytest
from PIL import Image

from ordinal_blast.data import inspection, material
from ordinal_blast.errors import UserError
from ordinal_blast.settings import DataSettings

TRAIN = {"good": ("36338476 3AA", "34107362 3AA-", "67628794 3A-A-"), "poor": ("41019399 1B-B-", "32176207 2BB-")}
TEST = {"good": "23765483 3AA", "poor": "27002081 1BB"}
PLANES = (-45, 0, 45)


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)

    def save(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (10, 10, 3), np.uint8)).save(path)

    home = tmp_path / "stork" / "Images"
    for plane in PLANES:
        for quality, names in TRAIN.items():
            for embryo, grade in map(str.split, names):
                save(home / "train" / quality / f"{embryo}_{plane}_{grade}.jpg")
        for quality, name in TEST.items():
            embryo, grade = name.split()
            save(home / "test" / f"{quality}_{embryo}_{plane}_{grade}.jpg")
    return tmp_path / "stork"


def look(root, **options):
    return material.look(DataSettings("stork", str(root), str(root.parent / "cache"), {"size": (10, 10)} | options))


def test_every_image_is_an_example_and_every_embryo_a_group(root):
    facts = inspection.facts(look(root))
    assert facts["examples"] == {"train": 12, "val": 3, "test": 6}
    assert facts["groups"] == {"train": 4, "val": 1, "test": 2}
    assert set(facts["groups_in_two_splits"].values()) == {0}
    assert facts["grades"]["icm"]["test"] == {"C": 0, "B": 3, "A": 3}
    assert facts["grades"]["quality"]["test"] == {"poor": 3, "good": 3}
    learnt = facts["grades"]["expansion"]
    assert {grade: learnt["train"][grade] + learnt["val"][grade] for grade in "1234"} == {
        "1": 3,
        "2": 3,
        "3": 9,
        "4": 0,
    }


def test_focal_planes_are_the_channels_of_one_example_and_signs_grades_of_their_own(root):
    looked = look(root, planes=(-45, 45), signs="keep")
    assert len(looked.dataset) == 7
    assert looked.dataset.columns["images"].shape == (7, 10, 10, 2)
    assert [task.grades for task in looked.tasks[1:3]] == [("C", "B-", "B", "A-", "A"), ("C", "B-", "B", "A-", "A")]
    assert looked.dataset.extras["planes"] == [-45, 45]


def test_names_that_say_nothing_are_refused_or_left_out(root):
    (root / "Images" / "train" / "good" / "1234_0_9ZZ.jpg").write_bytes(b"")
    (root / "Images" / "train" / "portrait.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"train/good/1234_0_9ZZ.jpg: '9ZZ' is no grade such as 4AA"):
        look(root)
    facts = inspection.facts(look(root, bad="skip"))
    assert facts["left_out"] == 2
    with pytest.raises(UserError, match=r"no embryo has an image in every focal plane of data\.options\.planes"):
        look(root, bad="skip", planes=(0, 15))


def test_an_embryo_without_a_focal_plane_is_told_with_those_that_it_has(root):
    with pytest.raises(UserError, match="23765483 has no image at 15 µm: it has -45, 0, 45"):
        look(root, planes=(0, 15))


def test_a_damaged_image_is_counted_as_unreadable(root):
    (root / "Images" / "test" / "good_23765483_0_3AA.jpg").write_bytes(b"no image")
    facts = inspection.facts(look(root, bad="skip"))
    assert (facts["unreadable"], facts["examples"]["test"]) == (1, 5)
