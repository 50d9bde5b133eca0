"""Weights to start from: what fits is taken, heads that do not stay new, and what is missing is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.models import MLP, GradingNetwork
from ordinal_blast.objectives import get
from ordinal_blast.settings import NetworkSettings
from ordinal_blast.training import initial
from ordinal_blast.training.checkpoints import FOLDER, Checkpoints

X = np.ones((2, 3), np.float32)


def random(seed, grades=3, widths=(5, 4), task="grade"):
    model = GradingNetwork(MLP(widths), ((task, get("cross_entropy", num_classes=grades)),))
    variables = model.init(jax.random.key(seed), X, train=False)
    return jax.tree.map(lambda leaf: leaf + jax.random.normal(jax.random.key(seed), leaf.shape), variables)


@pytest.fixture
def trained(tmp_path):
    """A folder with the best variables `random(0)`."""
    checkpoints = Checkpoints(tmp_path / "cell" / FOLDER)
    checkpoints.save(1, {"state": {"step": jnp.int32(3)}, "best": random(0)}, [{"epoch": 1}])
    checkpoints.close()
    return tmp_path / "cell"


def start(place, **options):
    """The settings of a network that starts from these weights."""
    return NetworkSettings(init_from=str(place), **options)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_network_starts_from_the_best_variables_of_a_trained_one(trained):
    same(initial.variables(start(trained), random(1)), random(0))


@pytest.mark.parametrize(("grades", "task"), [(5, "grade"), (3, "te")])
def test_heads_that_do_not_fit_stay_as_they_are(trained, grades, task):
    like = random(1, grades, task=task)
    got = initial.variables(start(trained), like)
    same(got["params"]["backbone"], random(0)["params"]["backbone"])
    same(got["batch_stats"], random(0)["batch_stats"])
    same(got["params"][f"{task}_head"], like["params"][f"{task}_head"])


def test_what_does_not_fit_is_named_in_one_line(trained):
    message = (
        r"cell does not fit the network: batch_stats/backbone/bn1/mean is \[5\], not \[6\]; .*; and 3 more; it holds "
        r"batch_stats/backbone/bn1/mean, .* \(12 in all\)$"
    )
    with pytest.raises(UserError, match=message):
        initial.variables(start(trained), random(1, widths=(6, 4)))
    with pytest.raises(UserError, match=r"batch_stats/backbone/bn3/mean is missing; .*; and 2 more"):
        initial.variables(start(trained), random(1, widths=(5, 4, 4)))


def test_other_weights_have_another_digest(trained, tmp_path):
    before = initial.digest(str(trained))
    assert len(before) == 12
    assert initial.digest(str(trained)) == before
    other = Checkpoints(tmp_path / "other" / FOLDER)
    other.save(1, {"best": random(2)}, [{"epoch": 1}])
    other.close()
    assert initial.digest(str(tmp_path / "other")) != before


@pytest.mark.parametrize("use", [initial.digest, lambda place: initial.variables(start(place), random(0))])
def test_a_place_without_weights_is_refused(tmp_path, use):
    with pytest.raises(UsageError, match=r"^init_from is .*nowhere: it has to be a folder where a model was trained"):
        use(str(tmp_path / "nowhere"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "rename",
    [
        lambda path: "/".join(path),
        lambda path: ".".join(path),
        lambda path: ".".join(path[1:]),
        lambda path: ".".join(path[2:]) if path[1] == "backbone" else "other_head." + path[-1],
    ],
)
def test_safetensors_are_read_by_the_paths_of_their_names(tmp_path, rename):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    flat = {path: np.asarray(leaf) for path, leaf in initial.flatten_dict(random(0)).items()}
    file = tmp_path / "weights.safetensors"
    save_file({rename(path): leaf for path, leaf in flat.items()}, file)
    got = initial.variables(start(file), random(1))
    same(got["params"]["backbone"], random(0)["params"]["backbone"])
    same(got["batch_stats"], random(0)["batch_stats"])
    assert len(initial.digest(str(file))) == 12


def test_weights_of_another_precision_become_those_of_the_network_and_a_head_alone_is_no_network(tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    file = tmp_path / "weights.safetensors"
    save_file({"params.head_in.kernel": np.float16([[0.5, 2]]), "params.grade_head.kernel": np.zeros((4, 3))}, file)
    got = initial.variables(start(file), {"params": {"head_in": {"kernel": jnp.zeros((1, 2))}}})["params"]["head_in"]
    assert (got["kernel"].dtype, got["kernel"].tolist()) == (jnp.float32, [[0.5, 2]])
    save_file({"params.grade_head.kernel": np.zeros((4, 3))}, file)
    with pytest.raises(
        UserError, match=r"weights.safetensors does not fit the network: nothing of it; it holds params/"
    ):
        initial.variables(start(file), {"params": {"grade_head": {"kernel": jnp.zeros((4, 2))}}})


def test_a_damaged_or_missing_safetensors_file_is_one_line(tmp_path):
    pytest.importorskip("safetensors.numpy")
    file = tmp_path / "weights.safetensors"
    with pytest.raises(UserError, match=r"^cannot read the weights .*weights.safetensors: "):
        initial.digest(str(file))
    file.write_bytes(b"not tensors")
    with pytest.raises(UserError, match=r"^cannot read the weights .*weights.safetensors: "):
        initial.variables(start(file), random(0))
