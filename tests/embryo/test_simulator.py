"""The simulator keeps the population of Kragh et al. (2019) and draws each embryo alone."""

import dataclasses
import importlib
import itertools

import jax
import numpy as np
import pytest
from scipy.stats import rankdata

from ordinal_blast.embryo import simulated
from ordinal_blast.embryo.simulator import Simulation, optics, population, records, render
from ordinal_blast.embryo.simulator.scene import scenes
from ordinal_blast.errors import UsageError

N = 4000
SMALL = Simulation(embryos=6, size=32, hours=(92.0, 118.0), planes=(-45.0, 0.0, 45.0), seed=5)


@pytest.fixture(scope="module", autouse=True)
def compiled_anew():
    """Programs that another module had compiled quickly (see `compile_quickly`) round otherwise."""
    jax.clear_caches()


@pytest.fixture(scope="module")
def people():
    return population(Simulation(embryos=N, size=32, hours=(118.0,), planes=(0.0,), seed=7, raters=6))


@pytest.fixture(scope="module")
def rendered():
    return render(SMALL, population(SMALL))


def first_of_treatment(people):
    return np.unique(people["treatment"], return_index=True)[1]


@pytest.mark.parametrize(
    ("name", "shares", "per_treatment"),
    [
        ("icm", (0.13, 0.40, 0.47), False),
        ("te", (0.17, 0.40, 0.43), False),
        ("icm_true", (0.13, 0.40, 0.47), False),
        ("te_true", (0.17, 0.40, 0.43), False),
        ("method", (1169 / 4032, 2534 / 4032, 329 / 4032), True),
        ("instrument", (4181 / 8664, 4483 / 8664), True),
        ("clinic", (0.4, 0.3, 0.2, 0.1), True),
    ],
)
def test_shares_of_the_paper(people, name, shares, per_treatment):
    values = people[name][first_of_treatment(people)] if per_treatment else people[name]
    shares = np.array(shares)
    # Grades cluster within treatments of about two: at most 1 + (m - 1) r = 1.6 times the binomial variance.
    error = np.sqrt(shares * (1 - shares) / len(values) * (1 if per_treatment else 1.6))
    np.testing.assert_array_less(np.abs(np.bincount(values) / len(values) - shares), 3.5 * error)


def test_treatments_group_consecutive_embryos_who_share_all_but_quality(people):
    treatment = people["treatment"]
    assert set(np.diff(treatment)) == {0, 1}
    assert treatment[0] == 0
    # Sizes are geometric with mean m: variance m (m - 1).
    m = 8664 / 4032
    treatments = treatment[-1] + 1
    assert abs(N / treatments - m) < 3.5 * np.sqrt(m * (m - 1) / treatments)
    starts = first_of_treatment(people)
    for name in ("clinic", "method", "instrument", "age"):
        np.testing.assert_array_equal(people[name], people[name][starts][treatment])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("latent_icm", "latent_te", 0.45), ("latent_icm", "next_icm", 0.25), ("latent_te", "next_te", 0.25)],
)
def test_correlations_of_quality(people, first, second, expected):
    if second.startswith("next"):
        pair = np.flatnonzero(np.diff(people["treatment"]) == 0)
        x, y = people[first][pair], people[first][pair + 1]
    else:
        x, y = people[first], people[second]
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(expected, abs=3.5 * 1.3 / np.sqrt(len(x)))


@pytest.mark.parametrize("task", ["icm", "te"])
def test_two_annotators_agree_on_two_thirds(people, task):
    raters = people[f"rater_{task}"]
    agreements = []
    for a, b in itertools.combinations(range(raters.shape[1]), 2):
        both = (raters[:, a] >= 0) & (raters[:, b] >= 0)
        agreements.append(np.mean(raters[both, a] == raters[both, b]))
    assert 0.65 < np.mean(agreements) < 0.70
    abstained = np.mean(raters == -1)
    assert abstained == pytest.approx(0.04, abs=3.5 * np.sqrt(0.04 * 0.96 / raters.size))


def test_heartbeats_follow_quality_groups(people):
    outcome = people["fetal_heartbeat"]
    known = outcome >= 0
    assert np.mean(known) == pytest.approx(287 / 851, abs=3.5 * np.sqrt(0.34 * 0.66 / N * 1.2))
    assert outcome[known].mean() == pytest.approx(87 / 287, abs=3.5 * np.sqrt(0.3 * 0.7 / known.sum() * 1.2))
    icm, te = people["icm_true"], people["te_true"]
    group = np.where((icm == 2) & (te == 2), 2, np.where((icm > 0) & (te > 0), 1, 0))[known]
    beats = outcome[known] == 1
    ranks, n1, n0 = rankdata(group), beats.sum(), (~beats).sum()
    auc = (ranks[beats].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
    assert 0.62 < auc < 0.72


def test_an_embryo_is_the_same_in_a_larger_set_and_another_with_another_seed(people):
    few = population(Simulation(embryos=50, size=64, hours=(100.0,), planes=(0.0,), seed=7, raters=6))
    assert people.keys() == few.keys()
    for name, values in few.items():
        np.testing.assert_array_equal(values, people[name][:50], err_msg=name)
    other = population(Simulation(embryos=50, size=64, hours=(100.0,), planes=(0.0,), seed=8))
    assert not np.any(other["latent_icm"] == few["latent_icm"])


def test_shapes_and_types(people, rendered):
    frames, masks, hpi = rendered
    assert (frames.shape, frames.dtype) == ((6, 2, 32, 32, 3), np.uint8)
    assert (masks.shape, masks.dtype) == ((6, 2, 32, 32), np.bool_)
    assert hpi.dtype == np.float32
    np.testing.assert_array_equal(hpi, SMALL.hours)
    assert {len(values) for values in people.values()} == {N}
    assert people["rater_icm"].shape == (N, 6)
    assert people["tA"].min() >= 115
    assert people["tA"].max() <= 120


def test_frames_do_not_depend_on_company_or_chunks(rendered):
    frames, masks, _ = rendered
    rows = population(SMALL)
    crowd = np.array([3] * 170 + [0, 1, 2, 4, 5])  # 350 frames: three programs' worth
    many, many_masks, _ = render(SMALL, {name: values[crowd] for name, values in rows.items()})
    np.testing.assert_array_equal(many, frames[crowd])
    np.testing.assert_array_equal(many_masks, masks[crowd])


def test_records_are_the_rendered_rows(rendered, monkeypatch):
    frames, masks, hpi = rendered
    rows = population(SMALL)
    module = importlib.import_module(render.__module__)
    monkeypatch.setattr(module, "BYTES_AT_ONCE", 4 * frames[0].nbytes)  # four recordings held at once
    for i, record in enumerate(records(SMALL)):
        np.testing.assert_array_equal(record["frames"], frames[i])
        np.testing.assert_array_equal(record["masks"], masks[i])
        np.testing.assert_array_equal(record["hpi"], hpi)
        assert all(np.array_equal(record[name], values[i]) for name, values in rows.items())
    assert i == SMALL.embryos - 1


@pytest.fixture(scope="module")
def development():
    """Six embryos at every hour from 90 to 139 hpi: rows, and scenes with `[6, 50]` in front."""
    rows = population(SMALL)
    repeated = {name: np.repeat(values, 50) for name, values in rows.items() if values.ndim == 1}
    hours = np.tile(np.arange(90, 140, dtype=np.float32), 6)
    return rows, scenes(SMALL.key, repeated, hours)[0]


def test_mask_is_the_disk_inside_the_zona(development):
    _, all_scenes = development
    size = 128
    area = np.asarray(jax.jit(jax.vmap(lambda scene: optics.mask(scene, size).sum()))(all_scenes))
    pixel = np.where(all_scenes.instrument == 1, 800 / 2.9, 500 / 1.7) / size
    # The number of grid points in a disk of radius r is π r² to well within a perimeter's tenth.
    np.testing.assert_allclose(area * pixel**2, np.pi * all_scenes.radius**2, rtol=0.02)


def test_embryos_grow_until_maximum_expansion_and_the_zona_thins(development):
    rows, all_scenes = development
    radius, zona, cells = (
        np.asarray(values).reshape(6, 50) for values in (all_scenes.radius, all_scenes.zona, all_scenes.cells)
    )
    # A brief collapse aside, the largest of the hourly radii is at tMEB to the hour.
    np.testing.assert_allclose(radius.argmax(1) + 90, rows["tmeb_true"], atol=1.0)
    assert np.all(radius.max(1) > radius[:, 0] + 3)
    assert np.all(zona[np.arange(6), radius.argmax(1)] < zona[:, 0])
    assert np.all(cells < radius - zona)


def test_empty_wells_have_no_embryo_and_no_labels():
    simulation = dataclasses.replace(SMALL, embryos=400, empty_share=0.29)
    rows = population(simulation)
    empty = rows["empty"]
    assert empty.mean() == pytest.approx(0.29, abs=3.5 * np.sqrt(0.29 * 0.71 / 400))
    for name in ("icm", "te", "icm_true", "te_true", "fetal_heartbeat"):
        assert np.all(rows[name][empty] == -1)
        assert np.all((name == "fetal_heartbeat") | (rows[name][~empty] >= 0))
    pick = np.array([np.flatnonzero(empty)[0], np.flatnonzero(~empty)[0]])
    frames, masks, _ = render(simulation, {name: values[pick] for name, values in rows.items()})
    assert not masks[0].any()
    assert masks[1].any((1, 2)).all()
    inside = (slice(None), slice(12, 20), slice(12, 20))
    assert frames[0][inside].std() < 0.5 * frames[1][inside].std()


def test_focal_planes_differ_only_by_focus(rendered):
    frames, masks, _ = rendered
    grey = frames[:, 1].astype(float)
    inside = masks[:, 1]
    # Same embryo, same place: planes correlate, but neighbours in depth more than the two extremes.
    for i in range(6):
        low, middle, high = (grey[i, ..., k][inside[i]] for k in range(3))
        near = np.corrcoef(low, middle)[0, 1], np.corrcoef(middle, high)[0, 1]
        assert 0.2 < min(near) < 1.0
        assert not np.array_equal(low, high)


@pytest.mark.parametrize(
    "change",
    [
        {"embryos": 0},
        {"embryos": -3},
        {"size": 0},
        {"clinics": 0},
        {"raters": -1},
        {"hours": ()},
        {"hours": (118.0, 92.0)},
        {"hours": (92.0, 92.0)},
        {"hours": (92.0, float("nan"))},
        {"hours": (-1.0, 92.0)},
        {"hours": (92.0, float("inf"))},
        {"planes": ()},
        {"planes": (0.0, 0.0)},
        {"planes": (float("nan"),)},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": 2**64},
        {"empty_share": 1.5},
        {"abstain_share": -0.1},
        {"heartbeat_share": float("nan")},
        {"treatment_correlation": 2.0},
        {"icm_te_correlation": -1.0},
        {"rater_bias": 1.1},
        {"icm_shares": (0.5, 0.5)},
        {"te_shares": (0.5, 0.4, 0.3)},
        {"method_shares": (1.0, 0.0, 0.0)},
        {"age_effect": float("inf")},
        {"embryos_per_treatment": 0.0},
    ],
)
def test_nothing_to_simulate_is_refused(change):
    with pytest.raises(UsageError, match=f"^data.options.{next(iter(change))} is .*: it takes ") as caught:
        simulated.source("", **(dataclasses.asdict(SMALL) | change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embryos": 1.5}, "data.options.embryos is 1.5: it takes a whole number"),
        ({"embryos": "6"}, "data.options.embryos is '6'"),
        ({"hours": 92.0}, "data.options.hours is 92.0: it takes values, each a number"),
        ({"planes": ("a",)}, "data.options.planes is"),
        ({"colour": 1}, "data.options has no colour: it takes embryos, size"),
    ],
)
def test_options_of_another_type_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        simulated.source("", **(dataclasses.asdict(SMALL) | change))


ODD = (None, -1, 0, 2**70, 1.5, float("nan"), float("inf"), True, "", "x", "\0", "a\nb", b"x", (), ("x",), [[]])


def is_refused(option, value):
    """Whether a simulation with this value is refused; any other exception fails the test."""
    small = dataclasses.asdict(Simulation(embryos=2, size=16, hours=(96.0,), planes=(0.0,), seed=0))
    try:
        simulated.source("", **small | {option: value})
    except UsageError:
        return True
    return False


def test_odd_values_are_taken_or_refused():
    options = [field.name for field in dataclasses.fields(Simulation)]
    taken = {(option, repr(value)) for option in options for value in ODD if not is_refused(option, value)}
    assert not {"embryos", "hours", "planes", "te_shares", "clinics"} & {option for option, _ in taken}
    assert {value for option, value in taken if option == "seed"} == {"0"}
