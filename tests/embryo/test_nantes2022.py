"""Frames in the layout of Gomez et al. 2022, drawn here: phases, hours, planes, and defects that the archive has."""

import numpy as np
import pytest
from PIL import Image

from ordinal_blast.data import inspection, material
from ordinal_blast.embryo.nantes2022 import PHASES
from ordinal_blast.errors import UserError
from ordinal_blast.settings import DataSettings

LISTS = ("embryo_dataset_annotations", "embryo_dataset_time_elapsed")


@pytest.fixture
def root(tmp_path):
    """Two videos of a couple and one of another, ten frames each; one has its images in F0 alone."""
    rng = np.random.default_rng(0)
    for plane in ("", "_F15"):
        for video, inner in (("AA83-7", ""), ("AA83-2-8", "F0"), ("MRA165-7T", "")):
            folder = tmp_path / f"embryo_dataset{plane}" / video / inner
            folder.mkdir(parents=True)
            for run in range(1, 11):
                Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"D2013_WELL7_RUN{run}.jpeg")
    for folder in LISTS:
        (tmp_path / folder).mkdir()
    phases, times = (tmp_path / folder for folder in LISTS)
    (phases / "AA83-7_phases.csv").write_text("tPB2,2,4\ntPNa,5,8\ntB,9,12\n")
    (phases / "AA83-2-8_phases.csv").write_text("tB,1,10\n")
    hours = "".join(f"{run},{100 + run / 3:.3f}\n" for run in range(11))
    (times / "AA83-7_timeElapsed.csv").write_text(f"frame_index,time\n{hours}")
    (tmp_path / "embryo_dataset_grades.csv").write_text("video_name,TE,ICM\nAA83-7,A,B\nAA83-2-8,NA,C\n")
    return tmp_path


def look(root, **options):
    return material.look(DataSettings("nantes2022", str(root), str(root / "cache"), {"size": (8, 8)} | options))


def test_every_frame_has_its_phase_and_blastocysts_their_grades(root):
    looked = look(root, step_h=0.0)
    facts, columns = inspection.facts(looked), looked.dataset.columns
    assert len(looked.dataset) == 30
    assert sorted(set(columns["group"].tolist())) == ["AA83", "MRA165"]
    frames = facts["grades"]["phase"]["frames"]
    assert {phase: count for phase, count in frames.items() if count} == {"tPB2": 3, "tPNa": 4, "tB": 12}
    assert facts["missing"]["phase"]["frames"] == {"missing": 11}
    assert facts["grades"]["icm"]["frames"] == {"C": 10, "B": 2, "A": 0}
    assert facts["grades"]["te"]["frames"] == {"C": 0, "B": 0, "A": 2}
    assert facts["missing"]["te"]["frames"] == {"missing": 21, "not defined": 7}
    assert list(frames) == list(PHASES)
    assert any("tB ends at frame 12, and the last image is 10" in note for note in facts["notes"])
    assert "MRA165-7T has no phases" in facts["notes"]


def test_the_frames_nearest_to_every_hour_are_kept_where_hours_are_known(root):
    columns = look(root, planes=(0.0, 15.0)).dataset.columns
    own = [name for name in columns["id"].tolist() if name.startswith("AA83-7/")]
    assert own == ["AA83-7/RUN3", "AA83-7/RUN6", "AA83-7/RUN9"]  # at 101, 102 and 103 hours
    assert len(columns["id"]) == 3 + 20
    assert columns["images"].shape[1:] == (8, 8, 2)
    np.testing.assert_allclose(columns["hpi"][columns["frame"] == 9][1], 103, rtol=1e-6)


def test_damaged_images_are_left_out_and_wrong_lists_refused_with_their_line(root):
    (root / "embryo_dataset" / "AA83-7" / "D2013_WELL7_RUN3.jpeg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError, match=r"cannot read the image .*RUN3\.jpeg"):
        look(root)
    assert inspection.facts(look(root, bad="skip"))["unreadable"] == 1
    (root / LISTS[0] / "AA83-7_phases.csv").write_text("tPB2,2,4\nt99,5,8\n")
    with pytest.raises(UserError, match=r"AA83-7_phases\.csv, line 2: t99,5,8 is no phase, first frame and last frame"):
        look(root, bad="skip")
