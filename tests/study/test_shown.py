"""The images that a person looks at are those that a run graded."""

import json
import re
import shutil

import numpy as np
import pytest

from ordinal_blast import record, settings
from ordinal_blast.cli import main
from ordinal_blast.errors import UserError
from ordinal_blast.study import plan as plans
from ordinal_blast.study import runner, session, shown

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_overrides):
    chosen = settings.load("configs/retinamnist.py", tiny_overrides | {"cnn.training.epochs": 1})
    plan = plans.of_variants("", [("a", {}), ("b", {"objective.name": "corn"})], chosen, 1)
    root = tmp_path_factory.mktemp("shown") / "run"
    assert runner.run(plan, root, "the command", session.begin(1)) == []
    return root


def test_images_of_data_come_by_their_ids_as_they_were_stored(run, tiny_root):
    with np.load(tiny_root / "tiny.npz") as arrays:
        stored = arrays["test_images"]
    kept = record.read(run / "cells" / "a-s0").examples
    with shown.images(run / "cells" / "a-s0") as look:
        np.testing.assert_array_equal(look(kept.ids), kept.frames)
        np.testing.assert_array_equal(look(kept.ids[::-1])[0], stored[1])


def test_a_run_is_reviewed_with_what_its_cells_said(run, tmp_path, capsys):
    assert main(["review", "--run", str(run), "--out", str(tmp_path / "r.html"), "--most", "5"]) == 0
    printed = capsys.readouterr().out
    assert "the first 5 of" in printed
    data = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "r.html").read_text(), re.S)[1])
    results = [record.read(run / "cells" / f"{name}-s0").by_id().models["cnn"].splits["test"] for name in "ab"]
    assert [item["id"] for item in data["items"]] == results[0].ids[:5].tolist()
    mean = np.mean([split.tasks["grade"].probs[3] for split in results], axis=0)
    np.testing.assert_allclose(data["items"][3]["tasks"][0]["probs"], mean, atol=1e-4)
    assert data["items"][3]["tasks"][0]["people"] == [["label", int(results[0].tasks["grade"].labels[3])]]
    assert main(["review", "--run", str(run / "cells" / "b-s0"), "--out", str(tmp_path / "r.html")]) == 0


def test_data_that_changed_since_are_refused(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    kept = record.read(copy / "cells" / "a-s0")
    kept.identity["data"] = "0" * 12
    record.write(copy / "cells" / "a-s0", kept)
    with pytest.raises(UserError, match="are not those that it was made of"), shown.images(copy / "cells" / "a-s0"):
        pass
