"""What a newcomer reads is what runs: every block of a document, in order, in an empty folder.

A block of Python that begins with `# NAME.py` is the file of that name, another is run; a line of a block of shell is a
command, `ordinal-blast ...` or `python NAME.py`.
"""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

from ordinal_blast import cli

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def follow(tmp_path, monkeypatch, capsys):
    """follow(document) runs its blocks in an empty folder; returns the names that Python has, and what was printed."""
    monkeypatch.setenv("ORDINAL_BLAST_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)

    def run(document):
        names, printed = {}, []
        for language, text in re.findall(r"^```(\w+)\n(.*?)^```", (DOCS / document).read_text(), re.DOTALL | re.M):
            if language == "sh":
                for command in text.splitlines():
                    _command(shlex.split(command))
                    printed.append(capsys.readouterr().out)
            elif file := re.match(r"# (\w+\.py)\n", text):
                Path(file[1]).write_text(text)
            else:
                exec(compile(text, document, "exec"), names)
                printed.append(capsys.readouterr().out)
        return names, printed

    return run


def _command(words):
    program, *arguments = words
    if program == "python":
        runpy.run_path(*arguments, run_name="__main__")
    else:
        assert program == "ordinal-blast"
        assert cli.main(arguments) == 0


def test_own_loss(follow):
    _, (_, inspected, compared, reported) = follow("own_loss.md")
    assert "train: 180 examples" in inspected
    assert "distance" in compared
    assert "squared" in compared
    assert Path("runs/wines/report/report.html").is_file()
    assert Path("reports/wines/report.html").is_file()
    assert str(Path("reports/wines/report.html")) in reported


def test_own_network(follow):
    _, printed = follow("own_network.md")
    assert "good" in printed[-1]


def test_optimizer(follow):
    names, printed = follow("optimizer.md")
    assert set(names["differences"]["variant"]) == {
        "corn, adam",
        *(f"{loss}, {optimizer}" for loss in ("cross_entropy", "corn") for optimizer in ("adam cosine", "sgd")),
    }
    assert len(names["scores"]) == 6 * 2
    assert Path("reports/rates/report.html").is_file()
    rates = [json.loads(line)["learning_rate"] for line in _metrics("corn, adam cosine")]
    assert rates == sorted(rates, reverse=True) and rates[0] > 10 * rates[-1]
