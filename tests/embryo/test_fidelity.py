"""What the report on the simulator's frames is made of, on pictures whose answer is known."""

import numpy as np
import pytest

from ordinal_blast.embryo import fidelity
from ordinal_blast.embryo.simulator import Simulation, population


def test_power_is_that_of_a_wave_in_its_band():
    x = np.arange(64)
    waves = {
        count: np.broadcast_to(100 * np.sin(2 * np.pi * count * x / 64)[None, None], (1, 64, 64)) for count in (6, 24)
    }
    low, high = (fidelity.power(waves[count]) for count in (6, 24))
    assert len(low) == 4  # 32 waves and more are none of 64 pixels
    assert (low.argmax(), high.argmax()) == (1, 3)
    np.testing.assert_allclose(fidelity.power(2 * waves[6] + 5), 4 * low, rtol=1e-9)


def test_grey_levels_and_slopes_of_a_ramp():
    ramp = np.broadcast_to((np.arange(fidelity.SIDE) // 2)[None, None], (2, fidelity.SIDE, fidelity.SIDE)).astype(
        np.uint8
    )
    seen = fidelity.looks(ramp)
    assert seen["mean"] == pytest.approx(69.5)
    assert (seen["slope down"], seen["slope across"]) == pytest.approx((0, 0.5), abs=0.004)
    assert seen["s.d. in the centre"] == pytest.approx(0.4 * seen["s.d."], rel=1e-3)


def test_a_frame_drawn_small_is_the_recorded_one_shrunk_but_for_noise_and_edges():
    simulation = Simulation(seed=1, embryos=2)
    people = population(simulation)
    seen = fidelity.pictures(simulation, people, people["tA"])
    drawn, shrunk = (seen.frames[way].astype(float) for way in fidelity.WAYS)
    assert drawn.shape == shrunk.shape == (2, 280, 280, 3)
    assert np.sqrt(np.mean((drawn - shrunk) ** 2)) < 6  # of an s.d. of 60; another embryo is ten times as far
    assert np.sqrt(np.mean((drawn - shrunk[::-1]) ** 2)) > 30
    np.testing.assert_allclose(fidelity.power(drawn[..., 1]) / fidelity.power(shrunk[..., 1]), 1, atol=0.35)
