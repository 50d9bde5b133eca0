"""Xception's weights as Keras and timm write them: all placed, or the misfit named; a hostile file is one line."""

import importlib.util
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.models import GradingNetwork, Xception, xception_names
from ordinal_blast.objectives import get
from ordinal_blast.settings import NetworkSettings
from ordinal_blast.training import initial, weight_files

h5py = pytest.importorskip("h5py", reason="the extra pretrained is not installed")
save_file = pytest.importorskip("safetensors.numpy").save_file
HERE = Path(__file__).parent
SMALL = {"stem": (4, 6), "entry": (8, 10), "middle": 1, "exit": (10, 12, 14, 16)}
NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def graded(**options):
    return GradingNetwork(Xception(**options), (("grade", get("cross_entropy", num_classes=3)),))


def random(seed, channels=3, **options):
    """Variables of the small Xception, none of them alike."""
    shape = (1, 32, 32, channels)
    shapes = jax.eval_shape(
        lambda: graded(**SMALL | options).init(jax.random.key(0), jnp.zeros(shape, jnp.uint8), train=False)
    )
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32), shapes)


def start(path, **fields):
    return NetworkSettings(name="xception", init_from=str(path), **fields)


def same_backbone(got, want):
    for collection in ("params", "batch_stats"):
        jax.tree.map(np.testing.assert_array_equal, got[collection]["backbone"], want[collection]["backbone"])


def keras_layers(variables):
    """Arrays of each layer as Keras has them, in the order of its model."""
    params, moving = variables["params"]["backbone"], variables["batch_stats"]["backbone"]
    layers = {}
    for block in range(1, 7):
        names = sorted(name for name in params if name.startswith(f"block{block}_") and not name.endswith("_bn"))
        for name in sorted(names, key=lambda name: "shortcut" in name):
            arrays = params[name]
            layers[name] = (
                [arrays["kernel"]]
                if "kernel" in arrays
                else [np.swapaxes(arrays["depthwise_kernel"], 2, 3), arrays["pointwise_kernel"]]
            )
            norm, running = params[f"{name}_bn"], moving[f"{name}_bn"]
            layers[f"{name}_bn"] = [norm["scale"], norm["bias"], running["mean"], running["var"]]
    return layers


def automatic(name, count):
    """The name of a shortcut's layer in Keras, which numbers it from `count` on."""
    if "shortcut" not in name:
        return name
    number = int(name[5]) + count - (2 if name[5] < "4" else 3)  # of blocks 2, 3 and 5
    return ("batch_normalization" if name.endswith("_bn") else "conv2d") + (f"_{number}" if number else "")


def write_legacy(root, layers, count=0, bias=True):
    named = {automatic(name, count): arrays for name, arrays in layers.items()}
    named |= {"add": [], **({"predictions": [np.zeros((16, 5)), np.zeros(5)]} if bias else {})}
    root.attrs["layer_names"] = [name.encode() for name in named]
    for name, arrays in named.items():
        group = root.create_group(name)
        group.attrs["weight_names"] = [f"{name}/{number}:0".encode() for number in range(len(arrays))]
        for number, array in enumerate(arrays):
            group[f"{name}/{number}:0"] = array


def write_current(file, layers, names):
    """As Keras 3 has it: layers by their class and a number, which say their name or, in its first versions, do not."""
    counts = {}
    for name, arrays in layers.items():
        kind = {1: "conv2d", 2: "separable_conv2d", 4: "batch_normalization"}[len(arrays)]
        count = counts[kind] = counts.get(kind, -1) + 1
        group = file.create_group(f"layers/{kind}{f'_{count}' if count else ''}/vars")
        if names:
            group.attrs["name"] = automatic(name, 1)
        for number, array in enumerate(arrays):
            group[str(number)] = array


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The small Xception in every layout that Keras has had."""
    folder, layers = tmp_path_factory.mktemp("keras"), keras_layers(random(0))
    with h5py.File(folder / "weights.h5", "w") as file:
        write_legacy(file, layers)
    with h5py.File(folder / "model.h5", "w") as file:
        write_legacy(file.create_group("model_weights"), layers, count=9, bias=False)
        file.create_group("optimizer_weights/adam")
    for name in ("unnamed", "named"):
        with h5py.File(folder / f"{name}.weights.h5", "w") as file:
            write_current(file, layers, name == "named")
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(folder / "named.weights.h5", "model.weights.h5")
    with zipfile.ZipFile(folder / "packed.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "unnamed.weights.h5", "model.weights.h5")
    return folder


NAMES = ("weights.h5", "model.h5", "named.weights.h5", "unnamed.weights.h5", "model.keras", "packed.keras")


@pytest.mark.parametrize("name", NAMES)
def test_every_layout_of_keras_is_read_to_the_last_bit_and_its_classifier_left_out(files, name):
    like = random(1)
    got = initial.variables(start(files / name), like)
    same_backbone(got, random(0))
    np.testing.assert_array_equal(got["params"]["grade_head"]["kernel"], like["params"]["grade_head"]["kernel"])
    assert len(initial.digest(str(files / name))) == 12


def timm_arrays(variables):
    """The arrays by timm's names and in PyTorch's layouts, for the small Xception: blocks 1 to 4, conv3 and conv4."""
    arrays = {}

    def norm(name, here):
        of = {**variables["params"]["backbone"][here], **variables["batch_stats"]["backbone"][here]}
        theirs = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
        arrays.update({f"{name}.{their}": of[our] for their, our in theirs.items()})
        arrays[f"{name}.num_batches_tracked"] = np.asarray(7)

    def filters(name, here, kernel):
        arrays[name] = variables["params"]["backbone"][here][kernel].transpose(3, 2, 0, 1).copy()

    def separable(name, norm_name, here):
        filters(f"{name}.conv1.weight", here, "depthwise_kernel")
        filters(f"{name}.pointwise.weight", here, "pointwise_kernel")
        norm(norm_name, f"{here}_bn")

    for number in (1, 2):
        filters(f"conv{number}.weight", f"block1_conv{number}", "kernel")
        norm(f"bn{number}", f"block1_conv{number}_bn")
        separable(f"conv{number + 2}", f"bn{number + 2}", f"block6_sepconv{number}")
    positions = {1: ((0, 1), (3, 4)), 2: ((1, 2), (4, 5)), 3: ((1, 2), (4, 5), (7, 8)), 4: ((1, 2), (4, 5))}
    for block, places in positions.items():
        for number, (layer, normed) in enumerate(places, start=1):
            separable(f"block{block}.rep.{layer}", f"block{block}.rep.{normed}", f"block{block + 1}_sepconv{number}")
        if block != 3:
            filters(f"block{block}.skip.weight", f"block{block + 1}_shortcut", "kernel")
            norm(f"block{block}.skipbn", f"block{block + 1}_shortcut_bn")
    return {**arrays, "fc.weight": np.zeros((5, 16), np.float32), "fc.bias": np.zeros(5, np.float32)}


def test_timms_arrays_are_placed_to_the_last_bit_where_the_epsilon_is_stated(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file(timm_arrays(random(0)), file)
    same_backbone(initial.variables(start(file, options={"epsilon": 1e-5}), random(1)), random(0))
    message = (
        r"model.safetensors is of timm, whose batch normalisation has an epsilon of 1e-05, and Keras, where .* come "
        r"from, 0.001: state one in the network's options.epsilon$"
    )
    with pytest.raises(UsageError, match=message):
        initial.variables(start(file), random(1))


def test_what_is_missing_unexpected_or_of_another_shape_is_named_in_one_line(files, tmp_path):
    message = (
        r"weights.h5 does not fit the network: batch_stats/backbone/block4_sepconv3_bn/mean is missing; .*/var is "
        r"missing; .*/bias is missing; and 1 more; it holds block1_conv1/kernel, .* \(\d+ in all\)$"
    )
    arrays = keras_layers(random(0))
    del arrays["block4_sepconv3_bn"]
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        write_legacy(file, arrays)
    with pytest.raises(UserError, match=message):
        initial.variables(start(tmp_path / "weights.h5"), random(1))
    more = {**keras_layers(random(0)), "block9_sepconv1": [np.zeros((3, 3, 4, 1)), np.zeros((1, 1, 4, 4))]}
    with h5py.File(tmp_path / "more.h5", "w") as file:
        write_legacy(file, {**more, "normalization": [np.zeros(3), np.zeros(3), np.zeros(())]})
    message = r"network: block9_sepconv1/0 is unexpected; block9_sepconv1/1 is unexpected; normalization/0 is .* 2 more"
    with pytest.raises(UserError, match=message):
        initial.variables(start(tmp_path / "more.h5"), random(1))
    with pytest.raises(UserError, match=r"block6_sepconv2_bn/mean is \[16\], not \[18\]; "):
        initial.variables(start(files / "weights.h5"), random(1, exit=(10, 12, 14, 18)))


def test_other_channels_are_refused_or_spread_so_that_equal_planes_give_what_a_grey_image_gave(files):
    like = random(1, channels=5)
    message = (
        r"params/backbone/block1_conv1/kernel is \[3, 3, 3, 4\], not \[3, 3, 5, 4\] \(for 5 channels instead of 3, set "
        r"the network's init_channels\); it holds"
    )
    with pytest.raises(UserError, match=message):
        initial.variables(start(files / "model.keras"), like)
    got = initial.variables(start(files / "model.keras", init_channels="spread"), like)
    grey = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), np.uint8)
    features = [
        graded(**SMALL, epsilon=1e-3).apply(variables, grey.repeat(channels, -1), method="features")
        for variables, channels in ((random(0), 3), (got, 5))
    ]
    np.testing.assert_allclose(*features, rtol=2e-5)
    other = random(1, channels=5, exit=(10, 12, 14, 18))
    with pytest.raises(UserError, match=r"block6_sepconv2_bn/mean is \[16\], not \[18\]; "):
        initial.variables(start(files / "model.keras", init_channels="spread"), other)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("x.safetensors", "model.safetensors of https://huggingface.co/timm/legacy_xception.tf_in1k"),
        ("x.keras", "https://keras.io/api/applications/xception names those of ImageNet"),
        ("x.weights.h5", "https://keras.io/api/applications/xception names those of ImageNet"),
    ],
)
def test_a_missing_file_says_where_it_comes_from_and_where_it_goes(tmp_path, name, source):
    message = rf"^cannot read the weights {tmp_path}/{name}: there is no such file, and none is downloaded: put one"
    with pytest.raises(UserError, match=message) as told:
        initial.digest(str(tmp_path / name))
    assert source in str(told.value)
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="it is no regular file"):
        initial.variables(start(tmp_path / name), random(1))


def safetensors_of(header, payload=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


def one(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"block1_conv1_bn.scale": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10**9) + b"{}",
        safetensors_of(b"not json"),
        safetensors_of(b"[" * 100_000),
        safetensors_of(one(offsets=(-8, 0)), b"\0" * 8),
        safetensors_of(one(offsets=(0, 2**62)), b"\0" * 8),
        safetensors_of(one(shape=(2**40,), offsets=(0, 2**42)), b"\0" * 8),
        safetensors_of(one(shape=(2**62, 8)), b"\0" * 8),
        safetensors_of(one(), b"\0" * 4),
        safetensors_of(one("X9"), b"\0" * 8),
    ],
)
def test_hostile_safetensors_are_one_line(tmp_path, content):
    file = tmp_path / "w.safetensors"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"^cannot read the weights .*w.safetensors: .*; get a fresh copy$") as told:
        initial.variables(start(file), random(1))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [(np.full(4, np.nan, np.float32), "has values that are not finite"), (np.ones(4, np.int32), "is int32, and")],
)
def test_weights_that_are_no_numbers_are_refused(tmp_path, array, message):
    flat = {"/".join(path): leaf for path, leaf in flatten_dict(random(0)).items()}
    save_file({**flat, "params/backbone/block1_conv1_bn/scale": array}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=rf"params/backbone/block1_conv1_bn/scale {message}"):
        initial.variables(start(tmp_path / "w.safetensors"), random(1))


def test_truncated_files_of_keras_are_one_line_at_any_length(files, tmp_path):
    for name in NAMES:
        content = (files / name).read_bytes()
        for share in (0, 0.5, 0.999):
            (tmp_path / name).write_bytes(content[: int(share * len(content))])
            with pytest.raises(UserError, match=rf"^cannot read the weights .*{name}: .*; get a fresh copy$"):
                initial.variables(start(tmp_path / name), random(1))


def test_links_to_other_files_huge_arrays_and_other_layouts_of_hdf5_are_refused(tmp_path):
    np.full(3, 7, np.float32).tofile(tmp_path / "secret")
    broken = {
        "external.h5": lambda group: group.create_dataset(
            "0", (3,), "f4", external=[(str(tmp_path / "secret"), 0, h5py.h5f.UNLIMITED)]
        ),
        "linked.h5": lambda group: group.__setitem__("0", h5py.ExternalLink("other.h5", "/0")),
        "soft.h5": lambda group: group.__setitem__("0", h5py.SoftLink("/elsewhere")),
        "null.h5": lambda group: group.create_dataset("0", data=h5py.Empty("f4")),
        "chunks.h5": lambda group: group.create_dataset("0", (3,), "f4", maxshape=(None,), chunks=(10**7,)),
        "word.h5": lambda group: group.create_dataset("zero", data=np.zeros(3)),
        "nested.h5": lambda group: group.create_group("0"),
    }
    for name, write in broken.items():
        with h5py.File(tmp_path / name, "w") as file:
            write(file.create_group("layers/conv2d/vars"))
        with pytest.raises(UserError, match=rf"^cannot read the weights .*{name}: .*; get a fresh copy$"):
            initial.variables(start(tmp_path / name), random(1))
    with h5py.File(tmp_path / "huge.h5", "w") as file:  # 4 TB that take no room: never read
        file.create_group("layers/conv2d/vars").create_dataset("0", (10**12,), "f4", chunks=(1000,))
    with pytest.raises(UserError, match=r"huge.h5: ValueError: its arrays declare 3.73e\+03 GiB, and 1 may be; get"):
        initial.variables(start(tmp_path / "huge.h5"), random(1))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(UserError, match=r"it holds neither a model of Keras nor weights of one; get"):
        initial.variables(start(tmp_path / "other.h5"), random(1))


def test_a_file_that_keeps_hdf5_busy_for_ever_or_brings_it_down_is_one_line(files, tmp_path, monkeypatch):
    content = (files / "weights.h5").read_bytes()
    heap = content.index(b"GCOL") + 16  # where HDF5 keeps texts of any length: an object of no size is never passed
    (tmp_path / "loop.h5").write_bytes(content[:heap] + bytes(4000) + content[heap + 4000 :])
    monkeypatch.setattr(weight_files, "_SECONDS", 3)
    with pytest.raises(UserError, match=r"loop.h5: HDF5 is not done with it after 3 s; get a fresh copy$"):
        initial.variables(start(tmp_path / "loop.h5"), random(1))
    (tmp_path / "reader.py").write_text("import os\nos.abort()")
    monkeypatch.setattr(weight_files, "_READER", tmp_path / "reader.py")
    with pytest.raises(UserError, match=r"weights.h5: HDF5 broke down over it \(signal 6\); get a fresh copy$"):
        initial.variables(start(files / "weights.h5"), random(1))


def test_archives_that_would_fill_the_disk_or_hold_no_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(weight_files, "_BUDGET", 1000)
    for kind, packing, message in (
        ("model.weights.h5", zipfile.ZIP_DEFLATED, "model.weights.h5 unpacks to 0.0931 GiB"),
        ("model.weights.h5", zipfile.ZIP_LZMA, "model.weights.h5 is packed in a way that Keras does not"),
        ("other.h5", zipfile.ZIP_STORED, "it has no model.weights.h5, as a model that Keras saved has"),
    ):
        with zipfile.ZipFile(tmp_path / "bomb.keras", "w", packing) as archive:
            archive.writestr(kind, bytes(10**8))
        with pytest.raises(UserError, match=rf"^cannot read the weights .*bomb.keras: ValueError: {message}"):
            initial.variables(start(tmp_path / "bomb.keras"), random(1))


def test_pickles_are_no_weights(tmp_path):
    np.savez(tmp_path / "weights.npz", allow_pickle=True, a=np.array([{}], object))
    (tmp_path / "weights.pth").write_bytes(b"\x80\x04.")
    for name in ("weights.npz", "weights.pth"):
        with pytest.raises(UsageError, match=rf"^init_from is .*{name}: it has to be a folder .*, or a file .safetens"):
            initial.variables(start(tmp_path / name), random(1))


def test_what_is_written_is_read_back_to_the_last_bit(tmp_path):
    flat = {path: np.asarray(leaf) for path, leaf in flatten_dict(random(0)).items()}
    weight_files.write(tmp_path / "w.safetensors", flat)
    got = flatten_dict(initial.variables(start(tmp_path / "w.safetensors"), random(1)))
    assert got.keys() == flat.keys()
    for path, leaf in flat.items():
        np.testing.assert_array_equal(got[path], leaf)


def test_a_name_of_timm_or_keras_that_nothing_here_has_is_not_placed():
    places = xception_names.of_timm(["block1.rep.0.conv1.weight", "block1.rep.0.conv1.bias", "bn1.gain", "fc.bias"])
    assert places == {
        "block1.rep.0.conv1.weight": ("block2_sepconv1", "depthwise_kernel", (2, 3, 1, 0)),
        "fc.bias": None,
    }
    assert xception_names.of_keras({"mine": [(3, 3, 1, 1)], "dense": [(2, 2), (2,)]}, {"block1_conv1"}) == {
        ("dense", 0): None,
        ("dense", 1): None,
    }


@pytest.fixture(scope="module", params=["keras", "torch"])
def peer(request, tmp_path_factory):
    """Which library, and a folder with its full Xception, random images, and the features that it gives."""
    for library in {"torch", request.param}:  # PyTorch computes for Keras
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    command = [sys.executable, str(HERE / f"{request.param}_xception.py"), str(folder)]
    subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "torch"}, check=True, capture_output=True)
    return request.param, folder


@pytest.mark.usefixtures("compile_quickly")
def test_the_published_network_has_the_features_that_keras_and_timm_compute(peer):
    library, folder = peer
    epsilon = {"keras": 1e-3, "torch": 1e-5}[library]
    model, expected = graded(epsilon=epsilon), np.load(folder / "features.npz")
    like = jax.eval_shape(lambda: model.init(jax.random.key(0), expected["images"], train=False))
    files = sorted(path for path in folder.iterdir() if path.suffix in (".h5", ".keras", ".safetensors"))
    assert len(files) == {"keras": 4, "torch": 1}[library]
    first, *others = (initial.variables(start(file, options={"epsilon": epsilon}), like) for file in files)
    for other in others:
        same_backbone(first, other)
    variables = {"params": {"backbone": first["params"]["backbone"]}, "batch_stats": first["batch_stats"]}
    features = np.asarray(jax.jit(lambda x: model.apply(variables, x, method="features"))(expected["images"]))
    assert features.shape == (4, 2048)
    scale = np.abs(expected["features"]).mean()
    assert scale > 1e-3
    np.testing.assert_allclose(features, expected["features"], rtol=1e-4, atol=1e-4 * scale)
