"""Seeds that are hold-outs take no other hold-out for the one that is asked for."""

import pytest

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
