"""Every part that can be replaced, from files in a folder that is no package: trained, stopped, resumed and graded."""

import json
import shlex
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ordinal_blast import cli, record
from ordinal_blast.training import journal

pytestmark = pytest.mark.usefixtures("compile_quickly")

FILES = {
    "mine/scales.py": """
        width = 4
        brightest = 255
    """,
    "mine/losses.py": """
        import jax
        import jax.numpy as jnp

        def distance(logits, labels, *, power: float = 1.0):
            \"\"\"The expected distance of the softmax from the grade, to a power.\"\"\"
            away = jnp.abs(jnp.arange(logits.shape[-1])[None, :] - labels[:, None]) ** power
            return jnp.sum(jax.nn.softmax(logits) * away, axis=-1)
    """,
    "mine/nets.py": """
        import flax.linen as nn
        import scales

        class Small(nn.Module):
            width: int = scales.width
            rate: float = 0.1
            reads = "images"

            @nn.compact
            def __call__(self, x, train):
                x = nn.Conv(self.width, (3, 3), use_bias=False)(x)
                x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.8)(x))
                return nn.Dropout(self.rate, deterministic=not train)(x.mean(axis=(1, 2)))
    """,
    "mine/moves.py": """
        import optax

        def clipped(learning_rate, *, momentum: float = 0.9):
            return optax.chain(optax.clip(1.0), optax.sgd(learning_rate, momentum))

        def falling(progress, *, end: float = 0.5):
            return 1 + (end - 1) * progress
    """,
    "mine/views.py": """
        import jax
        import jax.numpy as jnp

        def mirrored(keys, images, *, share: float = 0.5):
            flip = jax.vmap(lambda key: jax.random.bernoulli(key, share))(keys)
            return jnp.where(flip[:, None, None, None], images[:, :, ::-1], images)
    """,
    "mine/sources.py": """
        from functools import partial

        import numpy as np
        import tensorflow_datasets as tfds
        from ordinal_blast.data.store import Source, pixels
        from ordinal_blast.types import Task
        from scales import brightest

        def source(root, *, count: int = 40):
            def records(split, seed):
                rng = np.random.default_rng(seed)
                for number in range(count):
                    light = 60 + 60 * (number % 3) + rng.normal(0, 25, (10, 10, 3))
                    name = f"{split}-{number}"
                    yield {
                        "id": name,
                        "group": name,
                        "images": light.clip(0, brightest).astype(np.uint8),
                        "label/light": number % 3,
                    }

            return Source(
                name="lights",
                tasks=(Task("light", ("dim", "fair", "bright")),),
                summary="Lights",
                licence="",
                citation="",
                identity={"count": count},
                features={
                    "id": tfds.features.Text(),
                    "group": tfds.features.Text(),
                    "images": pixels(10, 10, 3),
                    "label/light": np.int32,
                },
                splits={
                    split: partial(records, split, seed) for seed, split in enumerate(("train", "val", "test"))
                },
            )
    """,
    "mine/decisions.py": """
        import numpy as np

        def cautious(probs):
            return (np.cumsum(probs, axis=1) < 0.3).sum(axis=1)

        def missed(labels, grades, *, num_classes, probs):
            return float((labels != grades).sum())

        missed.higher_is_better = False
    """,
    "mine/stages.py": """
        import dataclasses
        from typing import ClassVar

        import numpy as np
        from ordinal_blast.data import images
        from ordinal_blast.schema import setting
        from ordinal_blast.settings import StageSettings
        from ordinal_blast.study.recipe import Stage

        @dataclasses.dataclass(frozen=True)
        class CentreSettings(StageSettings):
            margin: int = setting(1, "pixels that are cut from every side")

        class Centre(Stage):
            Settings: ClassVar = CentreSettings
            suffixes = images.SUFFIXES
            reads = ("images",)
            makes = ("images",)

            def build(self, inputs, folder, work):
                side = inputs["images"](np.arange(1), None).shape[1]
                return {"shape": [side, side, 3]}

            def open(self, inputs, folder, work):
                return {"images": lambda rows, rng: self.centre(inputs["images"](rows, rng))}

            def restore(self, folder, record):
                return lambda values: {**values, "images": self.centre(values["images"])}

            def read(self, path, record):
                pixels, notes = images.fit(images.read(path), record.stages[self.name]["shape"])
                return {"names": [str(path)], "notes": notes, "images": pixels[None]}

            def centre(self, images):
                kept = slice(self.settings.margin, -self.settings.margin)
                return images[:, kept, kept]
    """,
    "study.py": """
        from ml_collections import ConfigDict

        def get_config():
            config = ConfigDict(dict(name="lights", chain=("centre", "net"), measures=("mine/decisions.py:missed",)))
            config.data = dict(source="mine/sources.py:source", cache="cache", options=dict(count=42))
            config.centre = dict(stage="mine/stages.py:Centre", margin=1)
            config.net = dict(network="mine/nets.py:Small", augment="mine/views.py:mirrored")
            config.net.optimizer = dict(name="mine/moves.py:clipped", learning_rate=0.1)
            config.net.schedule = dict(name="mine/moves.py:falling", options=dict(end=0.1))
            config.net.training = dict(epochs=3, batch_size=14, threads=0)
            return config
    """,
    "question.py": '''
        """Is a loss, and a decision, of one's own better?"""

        def variants():
            yield "cross_entropy", {}
            loss = {"name": "mine/losses.py:distance", "options": {"power": 2.0}, "rule": "mine/decisions.py:cautious"}
            yield "distance", {"objective": loss}
    ''',
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that is no package, with every part in a file of its own, and a picture to grade."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text).lstrip())
    light = np.random.default_rng(9).normal(180, 25, (10, 10, 3)).clip(0, 255)
    Image.fromarray(light.astype(np.uint8)).save(tmp_path / "new.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ordinal_blast(line):
    return cli.main(shlex.split(line))


@pytest.mark.parametrize("devices", [1, 4])
def test_every_part_by_its_file_is_trained_resumed_after_a_kill_and_graded(folder, monkeypatch, capsys, devices):
    line = f"ablate question.py --config study.py --config.devices={devices}"
    assert ordinal_blast(f"{line} --workdir whole") == 0
    keep = journal.Journal.keep

    def killed(self, history, state, best, *, seal):
        keep(self, history, state, best, seal=seal)
        if len(history) == 2 and "distance" in str(self._directory):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "keep", killed)
        assert ordinal_blast(f"{line} --workdir cut") == 130
    assert [path.parent.name for path in Path("cut").glob("cells/*/result.json")] == ["cross_entropy-s0"]
    capsys.readouterr()
    assert ordinal_blast(f"{line} --workdir cut") == 0
    assert "distance-s0 net: goes on after epoch 2" in capsys.readouterr().err
    for name in ("cross_entropy-s0", "distance-s0"):
        whole, cut = (np.load(f"{root}/cells/{name}/predictions.npz") for root in ("whole", "cut"))
        assert set(whole) == set(cut)
        for array in whole:
            np.testing.assert_array_equal(cut[array], whole[array], err_msg=array)
    distance = record.read(Path("cut/cells/distance-s0"))
    of_mine = {name for name in distance.identity["code"] if not name.startswith("ordinal_blast/")}
    assert of_mine == {Path(name).name for name in FILES if name.startswith("mine/")}
    model = distance.models["net"]
    rates = [line["learning_rate"] for line in model.training["history"]]
    np.testing.assert_allclose(rates, [0.1 * (1 - 0.9 * update / 9) for update in (2, 5, 8)], rtol=1e-6)
    light = model.splits["test"].tasks["light"]
    np.testing.assert_array_equal(light.grades, (np.cumsum(light.probs, axis=1) < 0.3).sum(axis=1))
    assert light.measures["missed"] == (light.labels != light.grades).sum()
    assert model.inputs == (8, 8, 3)
    capsys.readouterr()
    assert ordinal_blast("grade --run cut/cells/distance-s0 new.png --json") == 2
    assert "--trust FOLDER" in capsys.readouterr().err
    assert ordinal_blast("grade --run cut/cells/distance-s0 new.png --json --trust .") == 0
    (graded,) = json.loads(capsys.readouterr().out)
    assert (graded["task"], graded["decides_by"]) == ("light", "cautious")
