"""What does not fit the bound on memory is read from disk batch by batch, and trained alike to the last bit."""

import numpy as np
import pytest

import ordinal_blast
from ordinal_blast import settings
from ordinal_blast.data import material, memory
from ordinal_blast.data.store import Records

SMALL = {"name": "xception", "options": {"stem": (4, 4), "entry": (4, 4), "middle": 1, "exit": (4, 4, 4, 4)}}
NETWORKS = {"images": SMALL, "sequences": {"name": "lstm"}, "numbers": {"name": "mlp"}}


def drawn(kind: str) -> dict[str, object]:
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    shapes = {"images": (60, 16, 16, 3), "sequences": (60, 4, 6), "numbers": (60, 5)}
    values = rng.integers(0, 256, shapes[kind]) if kind == "images" else rng.standard_normal(shapes[kind])
    values = values.astype(np.uint8 if kind == "images" else np.float32)
    return {kind: values, "y": labels, "split": np.repeat(["train", "val", "test"], [40, 10, 10])}


@pytest.mark.parametrize("kind", ["images", "sequences", "numbers"])
def test_a_bound_on_memory_changes_no_prediction_and_no_identity(kind, tmp_path):
    said, identities = [], []
    for bound in (0, 1024):
        root = tmp_path / f"{bound}"
        config = {"name": "bound", "data": {"memory": bound}}
        config |= {"grader": {"network": NETWORKS[kind], "training": {"batch_size": 8, "epochs": 2}}}
        study = ordinal_blast.ablate(config, ["cross_entropy"], data=drawn(kind), workdir=root)
        said.append(study.predictions())
        identities.append((study.cells[0].data, study.cells[0].record.provenance["settings"]))
        chosen = settings.override(settings.resolve(config, "bound"), memory.save(root / "data", drawn(kind)))
        assert isinstance(material.open(chosen.data).dataset.columns[kind], Records) == (bound == 0)
    assert identities[0] == identities[1]
    numbers = [frame.select_dtypes("number").to_numpy() for frame in said]
    np.testing.assert_array_equal(*numbers)
