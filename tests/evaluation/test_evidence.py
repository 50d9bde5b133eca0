"""Shares of evidence by counting."""

import numpy as np
import pytest

from ordinal_blast.evaluation import evidence

MASKS = np.zeros((3, 4, 4), bool)
MASKS[:, :2] = True  # half of the image


def test_the_share_inside_is_a_sum_over_a_sum_and_undefined_without_evidence():
    maps = np.zeros((3, 4, 4))
    maps[0, 0, 0], maps[0, 3, 3] = 3, 1
    maps[1] = 1
    np.testing.assert_allclose(evidence.share(maps, MASKS), [0.75, 0.5, np.nan])
    with pytest.raises(ValueError, match=r"maps and masks must be \[N, H, W\] alike"):
        evidence.share(maps, MASKS[:2])


def test_the_concentration_leaves_out_what_has_no_evidence_or_no_mask():
    maps = np.ones((4, 4, 4))
    maps[0, 2:], maps[2] = 0, 0
    masks = np.concatenate([MASKS, np.zeros((1, 4, 4), bool)])
    said = evidence.concentration(maps, masks)
    assert (said.n, said.without) == (2, 2)
    assert (said.inside, said.covered, said.excess) == (0.75, 0.5, 0.25)
    assert said.standard_error == pytest.approx(np.std([0.5, 0.0], ddof=1) / np.sqrt(2))
    assert np.isnan(evidence.concentration(maps[2:3], MASKS[:1]).inside)
