"""Work that cells share: made once, whole or not at all, and named by all that it is made of."""

import numpy as np
import pytest

from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.storage import read_npy
from ordinal_blast.study import shared


def test_a_stage_is_built_once_and_again_where_its_key_differs(tmp_path):
    built = []

    def build(folder):
        built.append(folder)
        return {"number": len(built)}

    first = shared.stage(tmp_path, "crops", {"code": {"a.py": "1"}}, {"size": 8}, build)
    assert shared.stage(tmp_path, "crops", {"code": {"a.py": "1"}}, {"size": 8}, build) == first
    second = shared.stage(tmp_path, "crops", {"code": {"a.py": "2"}}, {"size": 8}, build)
    assert built == [first, second]
    assert shared.facts(second) == {"number": 2}


def test_a_stage_is_not_taken_for_one_that_was_built_under_another_default(tmp_path):
    was, new = {"size": 8}, {"size": 16, "blur": 0.0}
    shared.stage(tmp_path, "crops", {}, was, lambda folder: {})
    with pytest.raises(UsageError, match=r"was built with crops.size=8, which is 16 by default now: use another"):
        shared.stage(tmp_path, "crops", {}, new, lambda folder: {})
    assert shared.stage(tmp_path, "crops", {}, {"size": 8, "blur": 0.0}, lambda folder: {})  # a new one changes nothing


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": {}}', b"\xff\x00"])
def test_a_damaged_stage_is_one_line_that_names_its_file(tmp_path, content):
    (tmp_path / "stage.json").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*stage.json: .*; delete it and run the command") as caught:
        shared.facts(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "empty", "pickled", "gone"])
def test_a_damaged_array_of_a_stage_is_one_line_that_says_what_to_delete(tmp_path, damage):
    path = tmp_path / "areas.npy"
    np.save(path, np.arange(100.0))
    if damage == "pickled":
        np.save(path, np.asarray([{}], object), allow_pickle=True)
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 300 if damage == "cut" else 0])
    with pytest.raises(UserError, match=rf"cannot read {path}: .*; delete {tmp_path} and run the same command again"):
        read_npy(path)
