"""The networks, losses and training of Kragh et al. 2019 at the paper's size, on simulated blastocysts.

Unlike the paper: the CNN starts from random weights, not from ImageNet; frames are 30 minutes apart, not 10 to 15, in 9
focal planes, not 7 or 11, of 500 x 500 pixels for both instruments, where the EmbryoScope+ has 800 x 800; a treatment
is never divided among training, validation and test, which the paper draws at random; 5 % of the wells are empty, and
the cropper learns from one frame of each well of these sets at a rate of 0.001, not from images of its own, 29 % of
them empty, at 0.5; a weighted loss is divided by the sum of the weights; the CNN's time moves by 0 or 30 minutes in
training, not by anything up to 30, and with cnn_time tMEB not at all.

Command   ordinal-blast ablate ablations/losses.py --config configs/blastocyst.py --workdir runs/blastocyst --seeds 3
Hardware  one GPU with 40 GB or more; 1.1 TB of disk for the frames (128 MB an embryo); not meant for a CPU
Wall time not measured: the only run of this size had 8 embryos, one epoch a network and one CPU core (10 min).
          Simulating takes 45 s of a core an embryo, 110 core hours for all 8,664; --config.data.options.size=280
          has a third of the pixels
Score     not measured; the paper, on its private data, has CNN accuracy .639 (ICM) and .652 (TE) with the ordinal
          cross-entropy at tA
"""

import os

from ml_collections import ConfigDict


def training(**changes):
    """The `training` section: what the paper states, and how the machine is used."""
    section = dict(
        batch_size=24,
        epochs=30,
        learning_rate=1e-3,
        weight_decay=0.0,
        plateau_factor=0.5,
        plateau_patience=5,
        select="val_loss",
        steps_per_dispatch=1,
        checkpoint_every=1,
        threads=2,
    )
    return {**section, **changes}


def get_config() -> ConfigDict:
    """Every setting of the study."""
    return ConfigDict(
        dict(
            name="blastocyst",
            seed=0,
            seed_also_sets=(),  # keys that take the cell's seed too, such as data.options.seed for new embryos each
            devices=0,  # 0: all there are
            tasks=("icm", "te"),
            chain=("cropper", "cnn", "rnn"),
            class_weights="inverse_frequency",
            objective=dict(name="ordinal_cross_entropy", options=dict(), rule="native", correct_weights=False),
            data=dict(
                source="ordinal_blast.embryo.simulated:source",
                root="",  # nothing is read
                cache=os.environ.get("ORDINAL_BLAST_CACHE", "~/.cache/ordinal_blast"),
                options=dict(
                    embryos=8664,
                    size=500,
                    hours=tuple(90 + 0.5 * step for step in range(77)),
                    planes=(-60.0, -45.0, -30.0, -15.0, 0.0, 15.0, 30.0, 45.0, 60.0),
                    seed=0,
                    empty_share=0.05,
                ),
                split=dict(by="group", fractions=(0.8, 0.1, 0.1), seed=0),
            ),
            frames=dict(
                start_hpi=90.0,
                stop_hpi=128.0,
                step_h=1.0,
                max_frames=30,
                planes=(-45.0, 0.0, 45.0),
                cnn_time="tA",  # or tMEB, or an hour such as 110
                time_shifts_h=(-0.5, 0.0, 0.5),
                crop_share=0.8,
                size=224,
            ),
            cropper=dict(
                seed=0,
                size=64,
                frames_per_embryo=1,
                model=dict(widths=(32, 64, 128), momentum=0.99, epsilon=1e-3, dtype="float32"),
                # The paper prints an initial learning rate of 0.5, almost surely a slip: with it the demo's cropper
                # learns nothing (its Dice loss stays at .60 from the first epoch; with 0.003 it reaches .06).
                training=training(batch_size=16, epochs=200),
                augment=dict(
                    name="affine",
                    options=dict(flip_horizontal=True, flip_vertical=False, rotation=15.0, shift=0.1, zoom=(0.8, 1.1)),
                ),
            ),
            cnn=dict(
                model=dict(
                    stem=(32, 64),
                    entry=(128, 256, 728),
                    middle=8,
                    exit=(728, 1024, 1536, 2048),
                    stem_stride=2,
                    depthwise="auto",
                    momentum=0.99,
                    epsilon=1e-3,
                    dtype="auto",  # bfloat16 on accelerators, float32 on a CPU
                ),
                training=training(batch_size=24),
                views=dict(focal_planes=1, plane_um=15.0),
                augment=dict(name="none", options=dict()),
            ),
            rnn=dict(
                model=dict(units=64, dropout=0.5, recurrent_dropout=0.5, masking=False, dtype="float32"),
                training=training(batch_size=32, steps_per_dispatch=16),
            ),
            report=dict(examples=12),
        )
    )
