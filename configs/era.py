"""ERA, 9 grades of four numbers: 30 published stratified hold-outs of one table (750 / 250), validation from training.

Seed i is hold-out i: seeds vary the initialisation and the examples together. Hold-outs share most of their training
rows, so their results are not independent.

Data      train_ERA_0.csv, test_ERA_0.csv ... 29 (no header, last column 1 ... 9) in $ORDINAL_BLAST_DATA/tabular/ERA or
          ./data/tabular/ERA, or --config.data.root=FOLDER: the partitions that skordinal distributes (BSD-3-Clause)
Command   ordinal-blast ablate ablations/field.py --config configs/era.py --workdir runs/era --seeds 30
Hardware  1 CPU core
"""

import os

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """What differs from the defaults."""
    config = ConfigDict(dict(name="era", seed_also_sets=("data.options.holdout",), tasks=("grade",), chain=("mlp",)))
    config.objective = "ordinal_cross_entropy"
    config.data = dict(
        source="table", root=os.path.join(os.environ.get("ORDINAL_BLAST_DATA", "data"), "tabular", "ERA")
    )
    config.data.options = dict(
        name="era",
        task="grade",
        grades=tuple(map(str, range(1, 10))),
        train="train_ERA_{holdout}.csv",
        test="test_ERA_{holdout}.csv",
        lowest=1,
        licence="BSD-3-Clause",
        citation="partitions of skordinal; Gutiérrez et al. 2016, doi:10.1109/TKDE.2015.2457911",
    )
    config.mlp = dict(standardize=True)  # by the training rows
    config.mlp.network = dict(
        name="mlp", options=dict(widths=(64, 64), activation="relu", dropout=0.1, batch_norm=False)
    )
    config.mlp.optimizer = dict(name="adamw", learning_rate=3e-3, options=dict(weight_decay=1e-4))
    config.mlp.schedule = dict(name="plateau", options=dict(factor=0.5, patience=8))
    config.mlp.training = dict(
        batch_size=50,
        epochs=60,
        select="val_mae",
        checkpoint_every=60,
        steps_per_dispatch=100,  # an epoch in one call
        threads=0,
    )
    return config
