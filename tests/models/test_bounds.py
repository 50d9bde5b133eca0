"""Networks of numbers that mean nothing are refused where they are made, before anything is computed."""

import pytest

from ordinal_blast.errors import UsageError
from ordinal_blast.models import LSTM, MLP, UNet, Xception
from ordinal_blast.models.dropout import Dropout


@pytest.mark.parametrize(
    ("network", "field", "value"),
    [
        (MLP, "activation", "swish"),
        (MLP, "dropout", 2),
        (MLP, "dropout", 1.0),
        (MLP, "dropout", -0.1),
        (MLP, "dropout", float("nan")),
        (MLP, "widths", (64, 0)),
        (MLP, "widths", 64),
        (MLP, "momentum", 1.0),
        (MLP, "momentum", -0.5),
        (MLP, "epsilon", 0.0),
        (LSTM, "units", 0),
        (LSTM, "units", 2.5),
        (LSTM, "dropout", 1.5),
        (LSTM, "recurrent_dropout", "half"),
        (UNet, "widths", ()),
        (UNet, "widths", (8, -8)),
        (UNet, "momentum", 2.0),
        (UNet, "epsilon", -1e-3),
        (Xception, "stem", (32,)),
        (Xception, "entry", ()),
        (Xception, "middle", -1),
        (Xception, "exit", (8, 8, 8)),
        (Xception, "stem_stride", 0),
        (Xception, "momentum", float("inf")),
        (Xception, "epsilon", 0.0),
    ],
)
def test_a_number_that_means_nothing_is_refused(network, field, value):
    with pytest.raises(UsageError, match=rf"^options\.{field} is .*: it takes "):
        network(**{field: value})


def test_a_form_of_convolution_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match=r"options.depthwise is .fast.: it takes one of 'auto', 'grouped', 'shifted'"):
        Xception(depthwise="fast")


def test_a_dropout_layer_that_drops_everything_is_refused():
    with pytest.raises(UsageError, match=r"options.dropout is 1: it takes a number of at least 0 and below 1"):
        Dropout(1)


def test_the_ends_of_the_ranges_are_allowed():
    MLP(widths=(), dropout=0, momentum=0.0)
    MLP(widths=[8])
    Xception(middle=0)
