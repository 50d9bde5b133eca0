"""What `data inspect` says of a dataset, and that no other dataset is taken for the one that is asked for."""

import json

import pytest

from ordinal_blast import cli
from ordinal_blast.data import store
from ordinal_blast.study import configuration, grid, runner, session


@pytest.fixture
def asked(tmp_path):
    """Two hold-outs of a table of 40 rows; grade 3 of ERA's nine and those above have no example."""
    for holdout in (0, 1):
        for kind, count in (("train", 40), ("test", 8)):
            rows = "".join(f"{holdout},{row},0,0,{1 + row % 2}\n" for row in range(count))
            (tmp_path / f"{kind}_ERA_{holdout}.csv").write_text(rows)
    return {"data.root": str(tmp_path), "data.cache": str(tmp_path / "cache"), "devices": 1}


def inspect(asked, *more):
    return cli.main(["data", "inspect", "era", *(f"--config.{key}={value}" for key, value in asked.items()), *more])


def test_grades_that_a_split_lacks_are_told_as_text_and_as_json(asked, capsys):
    assert inspect(asked, "--json") == 0
    told = json.loads(capsys.readouterr().out)["warnings"]
    assert len(told) == 7 * 3
    assert told[0] == "grade 3 of task grade has no example in the train split: a model cannot learn it"
    assert inspect(asked) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")] == [
        f"warning: {sentence}" for sentence in told
    ]


@pytest.mark.parametrize(
    "change",
    [
        "data.options.holdout=1",
        "data.options.val_share=0.5",
        "data.options.val_seed=3",
        "data.options.task=severity",
        "data.options.grades=('1','2')",
    ],
)
def test_a_built_copy_of_other_options_is_never_inspected(asked, capsys, change):
    assert inspect(asked) == 0
    gone = asked | {"data.root": asked["data.root"] + "/gone"}
    capsys.readouterr()
    assert inspect(gone) == 0  # the very same is
    assert inspect(gone, f"--config.{change}", *(["--config.tasks=severity"] if "task" in change else [])) == 1
    assert "does not exist: name the folder of its table" in capsys.readouterr().err


def test_seeds_that_are_holdouts_never_run_on_another_holdout(asked, tmp_path):
    config = configuration.load("configs/era.py", asked | {"seed_also_sets": ("data.options.holdout",)})
    runner.chain.material(config)  # builds hold-out 0
    gone = configuration.override(config, {"data.root": str(tmp_path / "gone")})
    file = tmp_path / "question.py"
    file.write_text('"""A question?"""\ndef variants():\n    yield "a", {}\n')
    with pytest.raises(store.SourceMissingError, match=r"train_ERA_1.csv does not exist"):
        runner.run(grid.ablation(str(file), gone, 2), tmp_path / "run", "the command", session.begin(1))
    assert not list((tmp_path / "run").rglob("result.json"))
    assert not (tmp_path / "run" / "plan.json").exists()
