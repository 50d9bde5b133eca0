"""Fireman, 16 grades from 10 numbers, published splits (30,922 / 1,628 / 8,138): the tabular study of the CORN paper.

Network and protocol of Shi, Cao & Raschka 2023: 10-300-300, LeakyReLU, dropout 0.2, batch normalisation of torch,
features as they are (in 0 ... 1), 200 epochs, tested at the epoch with the smallest validation RMSE. The paper says
Adam; the authors' code is AdamW with weight decay 0.2, and so are its logs: CORAL's training loss there ends at 2.5,
here without decay at 1.9. As in that code, every batch has equal numbers of every grade, so that batch normalisation
sees the same mix at every step: on batches drawn at random, cross-entropy ended at a training loss of 1.64, not 1.54.
Unlike that code: 300 units in every second layer (200 there for cross-entropy and CORAL), and other batches in every
epoch.

Data      train.csv, valid.csv and test.csv (columns response, V1 ... V10) in $ORDINAL_BLAST_DATA/fireman or
          ./data/fireman, or --config.data.root=FOLDER: the balanced version in the CORN repository (MIT)
Command   ordinal-blast ablate ablations/corn_paper.py --config configs/fireman.py --workdir runs/fireman --seeds 5
Hardware  2 CPU cores
Wall time 80 min for the 20 cells on one core, other work on the other; 2 min a cell alone
Score     test MAE, five seeds, here (published): .795 (.798) cross-entropy, .757 (.756) Niu, .798 (.820) CORAL,
          .762 (.764) CORN; see reports/fireman
"""

import os

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """What differs from the defaults."""
    config = ConfigDict(dict(name="fireman", tasks=("response",), chain=("mlp",), objective="corn"))
    config.data = dict(source="table", root=os.path.join(os.environ.get("ORDINAL_BLAST_DATA", "data"), "fireman"))
    config.data.options = dict(
        name="fireman",
        task="response",
        grades=tuple(map(str, range(16))),
        train="train.csv",
        val="valid.csv",
        test="test.csv",
        label="response",
        licence="MIT",
        citation="Shi, Cao & Raschka 2023, doi:10.1007/s10044-023-01181-9",
    )
    config.mlp = dict(network=dict(name="mlp", options=dict(momentum=0.9, epsilon=1e-5)))
    config.mlp.optimizer = dict(name="adamw", options=dict(weight_decay=0.2))
    config.mlp.training = dict(
        batch_size=128,
        epochs=200,
        select="val_rmse",
        balance="response",
        checkpoint_every=20,
        steps_per_dispatch=1000,  # an epoch in one call
        threads=1,
    )
    config.report = dict(published=PUBLISHED)
    return config


PUBLISHED = dict(
    source="Shi, Cao & Raschka 2023: mean and s.d. over five seeds, from the logs in their repository",
    values=dict(
        cross_entropy=dict(mae=(0.798, 0.004), rmse=(1.144, 0.011), accuracy=(0.4098, 0.0015)),
        binary_decomposition=dict(mae=(0.756, 0.011), rmse=(1.080, 0.012), accuracy=(0.4190, 0.0054)),
        coral=dict(mae=(0.820, 0.007), rmse=(1.148, 0.013), accuracy=(0.3908, 0.0034)),
        corn_per_question=dict(mae=(0.764, 0.005), rmse=(1.084, 0.005), accuracy=(0.4164, 0.0027)),
    ),
)
