import numpy as np
import pytest

import ordinal_blast
from ordinal_blast.bench import drawn_studies, growth
from ordinal_blast.bench.drawn_studies import Drawn


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_the_larger_half(power):
    sizes = [1, 2, 4, 8]
    costs = [5.0, 5.0, *(np.array([4.0, 8.0]) ** power)]
    assert growth.fitted(sizes, costs) == pytest.approx(power)


def test_two_sizes_are_enough():
    assert growth.fitted([10, 100], [2.0, 200.0]) == pytest.approx(2.0)


def test_a_drawn_study_is_finished_and_asked_for_again_it_trains_nothing(tmp_path):
    study = Drawn(variants=2, seeds=1, examples=40, shared=2)
    drawn_studies.write(study, tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/*")}
    read = ordinal_blast.ablate(**study.asked, workdir=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/*")} == written
    assert len(read.cells) == 2
    assert read.scores["n"].tolist() == [100, 40] * 2
