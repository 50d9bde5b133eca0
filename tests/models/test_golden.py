import golden_outputs
import numpy as np
import pytest

GOLDEN = np.load(golden_outputs.FILE)
PARTS = ("evaluated", "trained", "stats")


def largest_error(values, name):
    expected = GOLDEN[name]
    assert values.shape == expected.shape
    return np.abs(values - expected).max(initial=0) / np.abs(expected).max(initial=1e-30)


def gradient_error(gradients, name):
    """The largest error of a leaf's norm and projection, beside its norm."""
    expected = GOLDEN[name]
    return (np.abs(gradients - expected) / np.maximum(expected[:, :1], 1e-6 * expected[:, 0].max())).max()


@pytest.mark.parametrize("case", golden_outputs.CASES)
def test_values_and_gradients_are_those_of_before(case):
    got = golden_outputs.outputs(*golden_outputs.CASES[case])
    for part in PARTS:
        assert largest_error(got[part], f"{case}/{part}") < 1e-5, part
    assert gradient_error(got["gradients"], f"{case}/gradients") < 1e-4


def test_the_papers_network_is_that_of_before():
    """Its gradients less exactly: rounding turns single ReLUs and maxima over, and 36 layers carry that on."""
    got = golden_outputs.shortened(golden_outputs.outputs(*golden_outputs.PAPER))
    for part in PARTS:
        assert largest_error(got[part], f"paper/{part}") < 1e-5, part
    assert gradient_error(got["gradients"], "paper/gradients") < 2e-2
