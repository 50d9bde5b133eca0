"""Stages in a row: what one reads, another makes; what cannot be is refused before any work, and named."""

import pytest

from ordinal_blast import record, settings
from ordinal_blast.errors import UsageError
from ordinal_blast.report.measures import PRIMARY, SECONDARY
from ordinal_blast.study import plan as plans
from ordinal_blast.study import recipe, runner, session
from ordinal_blast.study.grader import MEASURES
from ordinal_blast.training.selection import HIGHER, LOWER

pytestmark = pytest.mark.usefixtures("compile_quickly")  # tests/training checks the optimised code
OWN_STAGE = '''
import numpy as np
from ordinal_blast.schema import setting
from ordinal_blast.settings import StageSettings
from ordinal_blast.study.recipe import Stage
import dataclasses

@dataclasses.dataclass(frozen=True)
class BrightnessSettings(StageSettings):
    """Mean colour of an image."""
    scale: float = setting(1.0, "what it is multiplied by")

class Brightness(Stage):
    Settings = BrightnessSettings
    reads, makes = ("images",), ("numbers",)

    def build(self, inputs, folder, work):
        rows = np.arange(len(work.material.dataset))
        np.save(folder / "numbers.npy", self.of(inputs["images"](rows, None)))
        return {"rows": len(rows)}

    def of(self, images):
        return (self.settings.scale * images.mean(axis=(1, 2)) / 255).astype(np.float32)

    def open(self, inputs, folder, work):
        numbers = np.load(folder / "numbers.npy")
        return {"numbers": lambda rows, rng: numbers[rows]}

    def restore(self, folder, record):
        return lambda values: {**values, "numbers": self.of(values["images"])}
'''


@pytest.fixture
def brightness(tmp_path, tiny_overrides):
    """Settings of a study whose network reads what a stage of one's own makes of the images."""
    (tmp_path / "brightness.py").write_text(OWN_STAGE)
    config = {
        "name": "own",
        "devices": 1,
        "data": {
            "source": "medmnist",
            "root": tiny_overrides["data.root"],
            "cache": tiny_overrides["data.cache"],
            "options": {"name": "tiny", "task": "grade", "grades": ("C", "B", "A"), "licence": "", "citation": ""},
        },
        "chain": ("brightness", "mlp"),
        "brightness": {"stage": f"{tmp_path / 'brightness.py'}:Brightness"},
        "mlp": {
            "network": {"name": "mlp", "options": {"widths": (8,), "dropout": 0.0, "batch_norm": False}},
            "optimizer": {"learning_rate": 0.03},
            "training": {"epochs": 30},
        },
    }
    return settings.resolve(config, "a test")


def test_a_stage_of_ones_own_feeds_a_network_and_is_built_once(tmp_path, brightness):
    plan = plans.of_variants("", [("a", {}), ("b", {"objective": "corn"})], brightness, 1)
    assert runner.run(plan, tmp_path / "run", "the command", session.begin(1)) == []
    (stage,) = (tmp_path / "run/stages").iterdir()
    accuracy = {}
    for name in ("a", "b"):
        result = record.read(tmp_path / f"run/cells/{name}-s0")
        assert result.stages["brightness"]["folder"] == stage.name
        accuracy[name] = result.models["mlp"].splits["test"].tasks["grade"].measures["accuracy"]
    assert accuracy["a"] == 1


def test_a_stage_before_what_it_reads_is_made_is_refused_and_says_where_it_goes(brightness):
    turned = settings.override(brightness, {"chain": ("mlp", "brightness")})
    with pytest.raises(UsageError, match=r"mlp reads numbers, .*; brightness makes it, so put mlp after that"):
        recipe.check(recipe.stages(turned), {"images": None, "id": None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cnn.training.select": "seconds"}, "training.select is 'seconds': it takes one of 'val_loss', 'val_qwk'"),
        ({"cnn.training.balance": "icm"}, "cnn.training.balance is icm: the tasks are grade"),
        ({"cnn.standardize": True}, "cnn.standardize is for numbers, and cnn reads images"),
        ({"cnn.network.options.middle": -1}, "middle is -1: it takes a whole number from 0"),
        ({"cnn.network.options.depthwise": "fast"}, "'fast'"),
        ({"cnn.network.options.stemm": (4, 8)}, "stemm: it takes stem"),
        ({"cnn.augment": "affin"}, "'affin' (did you mean affine"),
        ({"cnn.optimizer": "adm"}, "'adm' (did you mean adam"),
        ({"cnn.schedule": "plato"}, "'plato' (did you mean plateau"),
        ({"cnn.network": "xceptoin"}, "'xceptoin' (did you mean xception"),
        ({"objective": "korn"}, "'korn' (did you mean corn"),
        ({"objective.rule": "mod"}, "'mod' (did you mean mode"),
        ({"cnn.network": "nets.py:Net"}, "there is no file"),
        ({"measures": ("mine.py:missed",)}, "measures[0] is mine.py:missed: there is no file"),
    ],
)
def test_a_setting_that_cannot_be_is_named_before_any_work(tmp_path, tiny_overrides, changes, message):
    def go():
        chosen = settings.load("configs/retinamnist.py", tiny_overrides | changes)
        runner.run(plans.single(chosen), tmp_path / "run", "the command", session.begin(1))

    with pytest.raises(UsageError) as refused:
        go()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_measure_that_selects_is_better_where_the_report_says_so():
    higher = {f"val_{measure.key}": measure.higher for measure in (*PRIMARY, *SECONDARY)}
    for name, direction in MEASURES.items():
        assert direction == (HIGHER if higher[name] else LOWER)


@pytest.mark.parametrize("devices", [-1, 1.5])
def test_a_number_of_devices_that_means_nothing_is_refused(devices):
    with pytest.raises(UsageError, match=rf"^devices is {devices}: it takes a whole number from 0 on"):
        session.begin(devices)
