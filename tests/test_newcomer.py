"""What a newcomer reads is what runs: every block of a document, in order, in an empty folder.

A block of Python that begins with `# NAME.py` is the file of that name, another is run; a line of a block of shell is a
command, `ordinal-blast ...` or `python NAME.py`.
"""

import json
import re
import runpy
import shlex
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest

from ordinal_blast import cli, objectives
from ordinal_blast.data.batches import Examples, fixed
from ordinal_blast.models import networks
from ordinal_blast.models.heads import GradingNetwork
from ordinal_blast.settings import NetworkSettings, OptimizerSettings, ScheduleSettings, TrainingSettings
from ordinal_blast.training import journal, loop, optimizer
from ordinal_blast.training.problem import GradingLoss, Problem

pytestmark = pytest.mark.usefixtures("compile_quickly")

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.fixture
def follow(tmp_path, monkeypatch, capsys):
    """follow(document) runs its blocks; returns the names that Python then has, and what each block printed."""
    monkeypatch.setenv("ORDINAL_BLAST_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)

    def run(document):
        names, printed = {}, []
        for language, text in re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / document).read_text(), re.DOTALL | re.M):
            if file := re.match(r"# (\w+\.py)\n", text):
                Path(file[1]).write_text(text)
                continue
            if language == "sh":
                for line in text.splitlines():
                    command(line)
            else:
                assert language == "python"
                exec(compile(text, document, "exec"), names)
            printed.append(capsys.readouterr().out)
        return names, printed

    return run


def command(line):
    program, *arguments = shlex.split(line)
    if program == "python":
        runpy.run_path(*arguments, run_name="__main__")
    else:
        assert program == "ordinal-blast"
        assert cli.main(arguments) == 0, line


def metrics(cell):
    return map(json.loads, Path(f"runs/rates/cells/{cell}/metrics.jsonl").read_text().splitlines())


def code(file):
    """The lines of a file that are neither empty nor a comment."""
    return [line for line in Path(file).read_text().splitlines() if line.strip() and not line.startswith("#")]


def test_a_loss_of_ones_own_is_compared_with_others(follow):
    _, (compared, reported) = follow("docs/own_loss.md")
    assert "train: 180 examples" in compared
    for variant in ("cross_entropy (reference)", "corn", "distance", "squared"):
        assert f"\n{variant} " in reported
    assert Path("runs/wines/report/report.html").is_file()
    assert "Report: reports/wines/report.html" in reported


def test_a_network_of_ones_own_is_trained_on_own_images_and_grades_a_new_one(follow, monkeypatch):
    _, printed = follow("docs/own_network.md")
    assert len(code("my_nets.py")) <= 15
    assert len([line for line in code("my_study.py") if line.startswith("    config")]) <= 10
    assert re.match(r"new\.png +grade good ", printed[-1])
    again = "train --config my_study.py --config.objective=corn --workdir runs/killed"
    keep = journal.Journal.keep

    def killed(self, history, state, best, *, seal):
        keep(self, history, state, best, seal=seal)
        if len(history) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "keep", killed)
        assert cli.main(shlex.split(again)) != 0
    assert cli.main(shlex.split(again)) == 0
    (cell,) = Path("runs/killed/cells").iterdir()
    whole, resumed = (np.load(folder / "predictions.npz") for folder in (Path("runs/leaves/cells/corn-s0"), cell))
    assert set(whole) == set(resumed)
    for name in whole:
        np.testing.assert_array_equal(resumed[name], whole[name], err_msg=name)


def test_an_ablation_on_the_optimiser_is_read_from_python(follow):
    names, (_, gains, _, _) = follow("docs/optimizer.md")
    assert re.match(r"adam: [+-]\S+ ± \S+ over 2 seeds\nsgd: [+-]\S+ ± \S+ over 2 seeds\n$", gains)
    differences, mae = names["differences"].set_index("variant"), names["mae"]
    assert list(differences.index) == ["corn, adam", "cross_entropy, sgd", "corn, sgd"]
    for variant, mean in differences["mean"].items():
        assert mean == pytest.approx((mae[variant] - mae["cross_entropy, adam"]).mean())
    assert Path("reports/rates/report.html").is_file()
    rates = {name: [line["learning_rate"] for line in metrics(f"corn_{name}-s0")] for name in ("adam", "sgd")}
    np.testing.assert_allclose(rates["adam"], 0.01, rtol=1e-6)
    assert rates["sgd"] == sorted(rates["sgd"], reverse=True)
    assert rates["sgd"][-1] < 0.001 < 0.09 < rates["sgd"][0]


def test_the_network_of_the_recipe_trains_alike_on_one_device_and_on_four(tmp_path, monkeypatch):
    (recipe,) = re.findall(r"^   ```python\n(   \"\"\"Mean and.*?)^   ```", text("CONTRIBUTING.md"), re.DOTALL | re.M)
    (tmp_path / "pooled.py").write_text(textwrap.dedent(recipe))
    assert '`"pooled": "ordinal_blast.models.pooled:Pooled"`' in text("CONTRIBUTING.md")
    monkeypatch.setattr(networks, "NETWORKS", {**networks.NETWORKS, "pooled": f"{tmp_path}/pooled.py:Pooled"})
    settings, training = NetworkSettings("pooled"), TrainingSettings(batch_size=14, epochs=2, threads=0)
    assert networks.reads(settings) == "images"
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 42)
    images = (60 + 60 * labels[:, None, None, None] + rng.integers(0, 30, (42, 8, 8, 3))).astype(np.uint8)
    examples = Examples(np.arange(42).astype(str), fixed(images), {"grade": labels}, {"grade": np.ones(42, np.float32)})
    bound = (("grade", objectives.get("corn", num_classes=3)),)
    problem = Problem(
        GradingNetwork(networks.make(settings, "cnn.network"), bound),
        GradingLoss(bound),
        optimizer.make(OptimizerSettings(learning_rate=0.02), ScheduleSettings(), training, "cnn"),
    )
    one, four = (
        loop.fit(
            problem, examples, examples, training, seed=0, directory=None, devices=tuple(jax.devices()[:n]), name="it"
        )
        for n in (1, 4)
    )
    losses = [[line["val_loss"] for line in fitted.history] for fitted in (one, four)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    assert losses[0][1] < losses[0][0]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_a_document_names_are_there(document):
    for name in re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|bib|md))?)`", text(document)):
        if not name.startswith(("runs/", "reports/")):
            assert (ROOT / name).exists() or (ROOT / "ordinal_blast" / name).exists(), name


def text(document):
    return (ROOT / document).read_text()
