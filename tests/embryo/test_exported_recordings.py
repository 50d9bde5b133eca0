"""The whole chain, from raw frames to grades, as one program: cropper, crops, CNN, sequences and LSTM."""

import dataclasses
import itertools
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import export as jax_export

from ordinal_blast import settings
from ordinal_blast.data import material
from ordinal_blast.embryo import timelapse
from ordinal_blast.errors import UserError
from ordinal_blast.study import exporting, grading

RECORDED = "tests/embryo/recorded_config.py"
TRUSTED = Path(__file__).parents[2]  # the data come from a file beside this one
pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code


@pytest.fixture(scope="module")
def wells(tmp_path_factory, small, ran):
    """Cells of the whole chain and of one that ends with the CNN, `saved(row, tA)` of a recording, and its arrays."""
    folder = tmp_path_factory.mktemp("wells")
    overrides = small | {
        "data.cache": str(folder / "cache"),
        "data.options.embryos": 48,
        "data.options.hours": (94.5, 103.0, 112.0, 119.0),
        "data.options.empty_share": 0.1,
        "crops.start_hpi": 95.0,
        "crops.stop_hpi": 119.5,
        "crops.step_h": 3.5,
        "sequences.max_frames": 3,
        "rnn.network.options": {"units": 4},
        "rnn.training.epochs": 1,
        "rnn.training.batch_size": 8,
        "objective": "cross_entropy",
    }
    ends = {"chain": ("cropper", "crops", "cnn")}
    parts = {"frame": {"name": "xception", "options": small["cnn.network.options"]}, "sequence": {"name": "lstm"}}
    joint = {
        "chain": ("cropper", "crops", "clips", "rnn"),
        "crops.around": "centre",
        "clips": {"stage": "ordinal_blast.embryo.clips:Clips", "max_frames": 3},
        "rnn.network": {"name": "frames", "options": parts},
    }
    variants = [
        ("whole", {}),
        ("reversed", {"sequences.order": "reversed"}),
        ("joint", joint),
        *((name, ends | {"crops.cnn_time": name}) for name in ("tA", "tMEB", "109")),
    ]
    cells = ran(folder, variants, overrides, RECORDED) / "cells"
    dataset = material.open(settings.load(RECORDED, overrides).data).dataset
    rows = np.arange(4)
    arrays = {
        name: np.asarray(dataset.columns[name][rows], np.uint8 if name == "frames" else np.float32)
        for name in ("frames", "hpi", "tA")
    }
    arrays["tA"][1] = np.nan
    files = []
    for row in rows:
        files.append(folder / f"{row}.npz")
        known = {} if np.isnan(arrays["tA"][row]) else {"tA": arrays["tA"][row]}
        one = {name: arrays[name][row] for name in ("frames", "hpi")}
        np.savez(files[-1], planes=np.asarray(dataset.extras["planes"]), **one, **known)
    return cells, files, arrays


@pytest.mark.parametrize("name", ["whole", "reversed", "joint", "tA", "tMEB", "109"])
def test_recordings_are_graded_as_grade_does_it(wells, tmp_path, name):
    cells, files, arrays = wells
    facts = exporting.export(cells / f"{name}-s0", tmp_path / "grader.jax", trust=TRUSTED)
    frames = arrays["frames"].shape[2:]
    assert facts["inputs"]["frames"] == {"shape": f"[b, t, {', '.join(map(str, frames))}]", "dtype": "uint8"}
    assert list(facts["inputs"]) == ["frames", "hpi", *([] if name in ("tMEB", "109") else ["tA"])]
    assert facts["model"] == ("rnn" if name in ("whole", "reversed", "joint") else "cnn")
    program = jax_export.deserialize(bytearray((tmp_path / "grader.jax").read_bytes()))
    said = program.call(*(arrays[name] for name in facts["inputs"]))
    graded = grading.grade(cells / f"{name}-s0", files, trust=TRUSTED)
    for task in ("icm", "te"):
        lines = [line for line in graded if line["task"] == task]
        np.testing.assert_allclose(
            said[f"{task}/probs"], [list(line["probs"].values()) for line in lines], rtol=1e-5, atol=1e-7
        )
        assert said[f"{task}/grade"].tolist() == [list(line["probs"]).index(line["grade"]) for line in lines]
    fewer = program.call(*(arrays[name][:3, :3] if name != "tA" else arrays[name][:3] for name in facts["inputs"]))
    assert fewer["icm/probs"].shape == (3, 3)


def test_what_is_traced_is_what_is_computed():
    rng = np.random.default_rng(0)
    times = rng.choice(np.arange(88, 122, 0.25, np.float32), (5, 12))
    hpi = np.stack([np.sort(rng.permutation(np.arange(90, 120, 0.5, np.float32))[:9]) for _ in times])
    want = np.stack([timelapse.nearest(row, wanted) for row, wanted in zip(hpi, times, strict=True)])
    np.testing.assert_array_equal(timelapse.nearest_traced(hpi, times), want)
    features, last = rng.normal(size=(6, 5, 2)).astype(np.float32), np.array([0, 1, 2, 3, 4, 4])
    for frames, backwards in itertools.product((1, 3, 5, 8), (False, True)):
        taken = timelapse.sequences(last, frames, backwards=backwards)
        want = np.where((taken >= 0)[..., None], np.take_along_axis(features, taken[..., None], axis=1), 0)
        got = jax.jit(partial(timelapse.sequences_traced, max_frames=frames, backwards=backwards))(features, last)
        np.testing.assert_array_equal(got, want)


def test_a_run_that_does_not_say_the_size_of_its_frames_is_run_again(wells):
    cells, _, _ = wells
    with grading.opened(cells / "tA-s0", TRUSTED) as opened:
        (crops, folder) = opened.chain[1]
        facts = {name: fact for name, fact in opened.record.stages["crops"].items() if name != "pixels"}
        old = dataclasses.replace(opened.record, stages={**opened.record.stages, "crops": facts})
        with pytest.raises(
            UserError, match=r"^the stage crops does not say of which size its frames were: run it again"
        ):
            crops.traced(folder, old)
