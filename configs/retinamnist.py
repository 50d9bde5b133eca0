"""Diabetic retinopathy in five grades from 28 x 28 photographs: RetinaMNIST, official splits (1080 / 120 / 400).

Data      retinamnist.npz of MedMNIST (CC BY 4.0) in $ORDINAL_BLAST_DATA/retinamnist or ./data/retinamnist,
          or --config.data.root=FOLDER
Command   ordinal-blast ablate ablations/losses.py --config configs/retinamnist.py --workdir runs/retinamnist --seeds 5
Hardware  2 CPU cores
Score     published accuracy .49 to .53 (MedMNIST v2 benchmarks, ResNet-18 to Google AutoML);
          here .51 to .53, see reports/retinamnist, and reports/roundoff for what another number of threads changes
"""

import os

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """What differs from the defaults."""
    config = ConfigDict(dict(name="retinamnist", tasks=("grade",), chain=("cnn",), objective="ordinal_cross_entropy"))
    config.data = dict(
        source="medmnist", root=os.path.join(os.environ.get("ORDINAL_BLAST_DATA", "data"), "retinamnist")
    )
    config.data.options = dict(
        name="retinamnist",
        task="grade",
        grades=("0", "1", "2", "3", "4"),
        licence="CC BY 4.0",
        citation="MedMNIST v2, Yang et al. 2023, doi:10.1038/s41597-022-01721-8; source images: DeepDRiD, Liu et al. "
        "2022, doi:10.1016/j.patter.2022.100512",
    )
    config.cnn = dict(network=dict(name="xception"))
    config.cnn.network.options = dict(
        stem=(16, 32), entry=(48, 96), middle=1, exit=(96, 128, 128, 128), momentum=0.9, dtype="auto"
    )
    config.cnn.augment = dict(name="affine")
    config.cnn.augment.options = dict(
        flip_horizontal=True, flip_vertical=True, rotation=20.0, shift=0.05, zoom=(0.9, 1.1)
    )
    config.cnn.optimizer = dict(name="adamw", options=dict(weight_decay=1e-4))
    config.cnn.schedule = dict(name="plateau", options=dict(factor=0.5, patience=5))
    config.cnn.training = dict(epochs=40, checkpoint_every=5)
    config.report = dict(examples=12)
    return config
