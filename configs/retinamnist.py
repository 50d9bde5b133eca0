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
    """Every setting of the study."""
    return ConfigDict(
        dict(
            name="retinamnist",
            seed=0,
            seed_also_sets=(),  # keys that take the cell's seed too
            devices=0,  # 0: all there are
            tasks=("grade",),
            chain=("cnn",),
            class_weights="none",  # as the published results, which report accuracy
            objective=dict(name="ordinal_cross_entropy", options=dict(), rule="native", correct_weights=False),
            data=dict(
                source="medmnist",
                root=os.path.join(os.environ.get("ORDINAL_BLAST_DATA", "data"), "retinamnist"),
                cache=os.environ.get("ORDINAL_BLAST_CACHE", "~/.cache/ordinal_blast"),
                options=dict(
                    name="retinamnist",
                    task="grade",
                    grades=("0", "1", "2", "3", "4"),
                    licence="CC BY 4.0",
                    citation="MedMNIST v2, Yang et al. 2023, doi:10.1038/s41597-022-01721-8; source images: DeepDRiD, "
                    "Liu et al. 2022, doi:10.1016/j.patter.2022.100512",
                ),
                split=dict(by="official", fractions=(0.8, 0.1, 0.1), seed=0),
            ),
            cnn=dict(
                model=dict(
                    stem=(16, 32),
                    entry=(48, 96),
                    middle=1,
                    exit=(96, 128, 128, 128),
                    stem_stride=2,
                    depthwise="auto",
                    momentum=0.9,
                    epsilon=1e-3,
                    dtype="auto",
                ),
                training=dict(
                    batch_size=32,
                    epochs=40,
                    learning_rate=1e-3,
                    weight_decay=1e-4,
                    plateau_factor=0.5,
                    plateau_patience=5,
                    select="val_loss",
                    steps_per_dispatch=1,
                    checkpoint_every=5,
                    threads=2,
                ),
                augment=dict(
                    name="affine",
                    options=dict(flip_horizontal=True, flip_vertical=True, rotation=20.0, shift=0.05, zoom=(0.9, 1.1)),
                ),
            ),
            report=dict(examples=12),
        )
    )
