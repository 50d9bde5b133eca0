"""The documents tell the truth: code runs as pasted, files that they name exist, generated pages are up to date."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

import ordinal_blast
from ordinal_blast import cli, objectives, settings
from ordinal_blast.embryo import recordings
from ordinal_blast.objectives.__main__ import exports, page

pytestmark = pytest.mark.usefixtures("compile_quickly")

ROOT = Path(__file__).parents[1]


def block_with(text: str) -> str:
    (block,) = (block for block in blocks("python") if text in block)
    return block


def blocks(language: str, document: str = "README.md") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)


def test_the_losses_in_an_own_loop_run_as_pasted():
    own_loop = block_with("objectives.get")
    names: dict = {}
    exec(own_loop, names)
    assert names["losses"].shape == (8,)
    assert float(names["loss"]) == pytest.approx(float(names["losses"].mean()), rel=1e-6)
    assert names["outputs"].shape == (8, 2)


def test_the_document_on_an_own_loop_trains_as_pasted(capsys):
    (loop,) = blocks("python", "docs/own_loop.md")
    names: dict = {}
    exec(loop, names)
    assert list(names["results"]) == ["cross_entropy", "ordinal_cross_entropy", "coral", "corn"]
    constant = float(np.abs(np.median(names["labels"][names["train"]]) - names["labels"][names["test"]]).mean())
    assert all(error < 0.6 * constant for error in names["results"].values()), (names["results"], constant)
    assert "coral" in capsys.readouterr().out


def test_the_document_on_probabilities_says_what_it_computes(capsys):
    names: dict = {}
    exec("\n".join(blocks("python", "docs/probabilities.md")), names)
    assert names["curves"].p_value < 0.01
    assert 1 / names["scaling"].slope[0] > 1.2
    assert names["mended"].miscalibration < 0.7 * names["parts"].miscalibration
    assert abs(names["covered"].overall - 0.9) < 0.05
    of_costs, of_modes = (
        names["costs"].mean_cost(names["labels"][names["test"]], names[chosen], names["matrix"], 3)
        for chosen in ("decided", "modes")
    )
    assert of_costs < of_modes
    assert names["curve"].at(0.5) < 0.8 * names["curve"].at(1.0)
    assert "B or A, 90 %" in capsys.readouterr().out


def test_the_document_on_selection_runs_as_pasted(capsys):
    (code,) = blocks("python", "docs/selection.md")
    names: dict = {}
    exec(code, names)
    assert names["w"].groups == 60
    assert names["w"].estimate > names["w"].chance + 0.3
    assert names["twice"].ci[0] > names["twice"].chance
    assert "pairs in order 0." in capsys.readouterr().out


def test_the_document_on_raters_runs_as_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python", "docs/raters.md")
    names: dict = {}
    exec(code, names)
    says = names["panel"].raters.set_index("rater")["says"]
    assert says.to_dict() == {"Ann": "", "Ben": "", "Cora": "", "Dirk": "reversed", "Eve": "at random"}
    assert names["trusted"].left_out["accuracy"].min() > names["panel"].left_out["accuracy"].max()
    assert "icm by Dirk is reversed" in capsys.readouterr().out


def test_the_document_on_seeing_writes_a_recording_that_grade_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python", "docs/seeing.md")
    assert "side=120" in code
    exec(code.replace("side=120", "side=24"), {})
    recording = recordings.read(tmp_path / "embryo.npz")
    assert recording.frames.shape[1:] == (24, 24, len(recording.planes))
    assert 96 <= recording.hpi[0] < recording.hpi[-1] <= 120
    for line in (line for text in blocks("sh", "docs/seeing.md") for line in text.splitlines()):
        with pytest.raises(SystemExit) as stopped:
            cli.main([line.split()[1], "--help"])
        assert stopped.value.code == 0


def test_the_document_on_statistics_prints_what_it_says(capsys):
    text, names = (ROOT / "docs/statistics.md").read_text(), {}
    shown = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", text, flags=re.DOTALL)
    assert len(shown) == 13
    for code, printed in shown:
        exec(code, names)
        assert capsys.readouterr().out == printed
    assert names["shown"].p_value == pytest.approx(
        math.erfc((names["shown"].difference + 0.15) / names["shown"].standard_error / math.sqrt(2)) / 2, rel=1e-9
    )


def test_the_calls_from_python_run_as_pasted_on_smaller_data(tmp_path, monkeypatch, tiny_overrides):
    real = ordinal_blast.ablate

    def smaller(name, variants, seeds):
        chosen = settings.load(name, tiny_overrides | {"cnn.training.epochs": 1})
        return real(chosen, variants, seeds=min(seeds, 1), workdir=f"runs/{name}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ordinal_blast, "ablate", smaller, raising=False)
    names: dict = {}
    exec(block_with("ordinal_blast.ablate"), names)
    assert names["study"].variants == ("cross_entropy", "corn")
    assert (tmp_path / "reports/mine/report.html").is_file()


def test_the_ten_line_loss_trains_as_pasted(tmp_path, monkeypatch, capsys):
    loss = block_with("def squared_distance")
    assert len(loss.strip().splitlines()) <= 10
    (tmp_path / "my_losses.py").write_text(loss)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    objective = objectives.get("my_losses:squared_distance", num_classes=3, scale=2.0)
    assert objective.loss([[0.0, 0.0, 50.0]], [0]) == pytest.approx(2 * 4)


def test_every_command_of_the_readme_names_a_verb_and_files_that_exist():
    commands = [line for text in blocks("sh") for line in text.splitlines() if line.startswith("ordinal-blast")]
    assert len(commands) > 6
    for command in commands:
        words = command.split("#")[0].split()
        with pytest.raises(SystemExit) as stopped:
            cli.main([words[1], "--help"])
        assert stopped.value.code == 0
        for word in words:
            if word.startswith(("configs/", "ablations/")):
                assert (ROOT / word).is_file(), word


def test_links_and_pictures_of_the_documents_exist():
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        text = document.read_text()
        for target in re.findall(r"\]\(([^)#:<]+)\)", text):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
        for place in re.findall(r"\]\(#([^)]+)\)", text):
            assert f'id="{place}"' in text or place in headings(text), f"{document.name}: {place}"


def headings(text: str) -> list[str]:
    """The places that headings make, as web pages of repositories name them."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_the_page_of_objectives_is_up_to_date():
    assert (ROOT / "docs/objectives.md").read_text() == page()


def test_the_exports_of_the_objectives_are_up_to_date():
    assert (ROOT / "ordinal_blast/objectives/__init__.py").read_text() == exports()
