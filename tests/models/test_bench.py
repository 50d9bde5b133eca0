import json
from dataclasses import asdict

import numpy as np
import pytest

from ordinal_blast import bench
from ordinal_blast.models import LSTM

SEQUENCES = np.ones((3, 4, 2), np.float32)


@pytest.mark.parametrize("work", [bench.forward, bench.training_step])
def test_every_variant_is_timed_against_the_first(work):
    variants = [LSTM(2, dtype=dtype) for dtype in ("float32", "bfloat16")]
    base, other = bench.race(variants, work, SEQUENCES, 1)
    assert [row.dtype for row in (base, other)] == ["float32", "bfloat16"]
    assert {(row.network, row.batch, row.inputs, row.depthwise) for row in (base, other)} == {("LSTM", 3, (4, 2), "")}
    # The ratio of one round is that of its two times.
    assert base.speedup == 1
    assert other.speedup == pytest.approx(base.milliseconds / other.milliseconds)
    assert len(bench.table([base, other]).splitlines()) == 4
    assert json.loads(json.dumps(asdict(base)))["work"] == base.work


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds"):
        bench.bench(rounds=0)
