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
    """Every setting of the study."""
    return ConfigDict(
        dict(
            name="era",
            seed=0,
            seed_also_sets=("data.options.holdout",),
            devices=0,  # 0: all there are
            tasks=("grade",),
            chain=("mlp",),
            class_weights="none",
            objective=dict(name="ordinal_cross_entropy", options=dict(), rule="native", correct_weights=False),
            data=dict(
                source="table",
                root=os.path.join(os.environ.get("ORDINAL_BLAST_DATA", "data"), "tabular", "ERA"),
                cache=os.environ.get("ORDINAL_BLAST_CACHE", "~/.cache/ordinal_blast"),
                options=dict(
                    name="era",
                    task="grade",
                    grades=tuple(map(str, range(1, 10))),
                    train="train_ERA_{holdout}.csv",
                    val="",
                    test="test_ERA_{holdout}.csv",
                    label="",  # no header: the last column
                    lowest=1,
                    group="",  # the column of the patient; without one, every row is a group
                    drop=(),  # columns that are no features
                    holdout=0,
                    val_share=0.2,
                    val_stratified=True,
                    val_seed=0,
                    licence="BSD-3-Clause",
                    citation="partitions of skordinal; Gutiérrez et al. 2016, doi:10.1109/TKDE.2015.2457911",
                ),
                split=dict(by="official", fractions=(0.8, 0.1, 0.1), seed=0),
            ),
            mlp=dict(
                standardize=True,  # by the training rows
                model=dict(
                    widths=(64, 64),
                    activation="relu",
                    dropout=0.1,
                    batch_norm=False,
                    momentum=0.9,
                    epsilon=1e-5,
                    dtype="float32",
                ),
                training=dict(
                    batch_size=50,
                    epochs=60,
                    learning_rate=3e-3,
                    weight_decay=1e-4,
                    plateau_factor=0.5,
                    plateau_patience=8,
                    select="val_mae",
                    steps_per_dispatch=100,  # an epoch in one call
                    checkpoint_every=60,
                    threads=0,
                    balance="",  # a task: batches with equal numbers of its grades
                ),
            ),
            report=dict(examples=0),
        )
    )
