"""Which epoch is kept: the right end of every measure, and nothing that is none."""

import math

import pytest

from ordinal_blast.errors import UsageError
from ordinal_blast.training.selection import HIGHER, LOWER, Monitor, check_selection

MONITOR = Monitor({"val_qwk": HIGHER, "val_mae": LOWER}, dict)


def history(*values, losses=None):
    losses = losses or [1.0] * len(values)
    return [
        {"epoch": number, "val_loss": loss, "val_qwk": value, "val_mae": value}
        for number, (value, loss) in enumerate(zip(values, losses, strict=True), start=1)
    ]


def test_a_measure_that_is_better_high_keeps_its_highest_epoch_and_one_that_is_better_low_its_lowest():
    assert MONITOR.best(history(0.1, 0.9, -0.3), "val_qwk") == 2
    assert MONITOR.best(history(0.1, 0.9, -0.3), "val_mae") == 3
    assert MONITOR.best(history(0, 0, 0, losses=[3.0, 1.0, 2.0]), "val_loss") == 2


def test_of_equal_epochs_the_first_is_kept():
    assert MONITOR.best(history(0.5, 0.5, 0.5), "val_qwk") == 1


@pytest.mark.parametrize("undefined", [None, math.nan])
def test_an_undefined_measure_is_never_the_best(undefined):
    for select in ("val_qwk", "val_mae"):
        assert MONITOR.best(history(undefined, -0.2, undefined), select) == 2


def test_where_a_measure_is_undefined_in_every_epoch_the_smallest_loss_decides():
    assert MONITOR.best(history(None, None, None, losses=[3.0, 1.0, 2.0]), "val_qwk") == 2


def test_before_any_epoch_none_is_the_best():
    assert MONITOR.best([], "val_qwk") == 0


@pytest.mark.parametrize("select", ["seconds", "learning_rate", "epoch", "train_loss", "val_kappa", "", 3])
def test_only_measures_of_the_validation_set_can_be_selected(select):
    with pytest.raises(UsageError, match=r"training.select is .*: it takes one of 'val_loss', 'val_qwk', 'val_mae'"):
        check_selection(select, MONITOR.directions)
