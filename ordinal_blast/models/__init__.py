"""Who grades: networks as pure `init` and `apply`, every one called as `module(x, train=..., keys=None, mask=None)`.

x: `[B, ...]`; train: batch statistics and dropout on; keys: typed PRNG keys `[B]` of the examples (nothing is dropped
without them); mask: bool `[B]`, False on padding rows. Parameters are float32, `dtype` is what the network computes in.
"""

from ordinal_blast.models.heads import GradingNetwork, count_parameters
from ordinal_blast.models.lstm import LSTM
from ordinal_blast.models.mlp import MLP
from ordinal_blast.models.sequence import FrameSequence
from ordinal_blast.models.unet import UNet
from ordinal_blast.models.xception import Xception

__all__ = ["LSTM", "MLP", "FrameSequence", "GradingNetwork", "UNet", "Xception", "count_parameters"]
