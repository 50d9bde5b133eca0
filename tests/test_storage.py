"""Reading npz files that others wrote: every kind of damage is one clear line, and nothing large is read first."""

import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest

from ordinal_blast import storage
from ordinal_blast.errors import UserError

ARRAYS = {"a": np.arange(12.0).reshape(3, 4), "b/c": np.asarray(["x", "yy"]), "empty": np.zeros((0, 3), np.uint8)}


def npy(array, **changes):
    """The bytes of an npy file, with changes to its header."""
    header = np.lib.format.header_data_from_array_1_0(array) | changes
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def packed(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_they_were_all_or_those_named(tmp_path, write):
    write(tmp_path / "x.npz", **ARRAYS)
    found = storage.read_npz(tmp_path / "x.npz")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert list(storage.read_npz(tmp_path / "x.npz", ["b/c"])) == ["b/c"]
    assert list(storage.read_npz(tmp_path / "x.npz", ["b/c"], also=("a", "absent"))) == ["b/c", "a"]


def spoil(path, kind):
    one = np.arange(8.0)
    if kind == "missing":
        return
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not an archive\n" * 50)
    elif kind == "truncated":
        np.savez(path, **ARRAYS)
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "flipped":
        np.savez(path, a=np.zeros(1000))
        content = bytearray(path.read_bytes())
        content[5000] ^= 1
        path.write_bytes(content)
    elif kind == "pickle":
        np.savez(path, a=np.asarray([{"a": 1}], dtype=object))
    elif kind == "huge":
        packed(path, {"a": npy(one, shape=(2**45,))})
    elif kind == "negative":
        packed(path, {"a": npy(one, shape=(-8,))})
    elif kind == "short":
        packed(path, {"a": npy(one, shape=(9,))})
    elif kind == "header":
        packed(path, {"a": npy(one).replace(b"'descr'", b"'desc('")})
    elif kind == "no npy":
        packed(path, {"a": b"one, two"})
    elif kind == "bzip2":
        packed(path, {"a": npy(one)}, zipfile.ZIP_BZIP2)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "cannot read .*x.npz: there is no such file"),
        ("folder", "cannot read .*x.npz: it is no regular file"),
        ("pipe", "cannot read .*x.npz: it is no regular file"),
        ("empty", "cannot read .*x.npz: it is damaged"),
        ("text", "cannot read .*x.npz: it is damaged"),
        ("truncated", "cannot read .*x.npz: it is damaged"),
        ("flipped", "cannot read .*x.npz: it is damaged .*CRC"),
        ("pickle", "cannot read .*x.npz: a.npy holds pickled Python objects, which are never loaded"),
        ("huge", "cannot read .*x.npz: it is damaged .a.npy declares float64 .35184372088832,. and holds 192 bytes"),
        ("negative", "cannot read .*x.npz: it is damaged"),
        ("short", "cannot read .*x.npz: it is damaged .a.npy declares float64 .9,. and holds"),
        ("header", "cannot read .*x.npz: it is damaged"),
        ("no npy", "cannot read .*x.npz: it is damaged"),
        ("bzip2", "cannot read .*x.npz: it is damaged .a.npy is packed in a way that numpy does not write"),
    ],
)
def test_a_bad_npz_is_one_clear_line(tmp_path, kind, message):
    spoil(tmp_path / "x.npz", kind)
    with pytest.raises(UserError, match=message) as caught:
        storage.read_npz(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


def test_a_missing_array_is_named_with_what_there_is(tmp_path):
    np.savez(tmp_path / "x.npz", **ARRAYS)
    with pytest.raises(UserError, match=r"x.npz lacks d, e: it holds a, b/c, empty$"):
        storage.read_npz(tmp_path / "x.npz", ["a", "d", "e"])


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros((1 << 24), np.uint8), b=np.ones(4))
    assert (tmp_path / "x.npz").stat().st_size < 1 << 16
    tracemalloc.start()
    with pytest.raises(UserError, match=r"its arrays declare 0.0156 GiB, and 0.00781 GiB may be read at once"):
        storage.read_npz(tmp_path / "x.npz", budget=1 << 23)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 22
    np.testing.assert_array_equal(storage.read_npz(tmp_path / "x.npz", ["b"], budget=1 << 23)["b"], np.ones(4))


def test_an_archive_with_any_byte_flipped_is_read_rightly_or_refused_in_one_line(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.arange(6), b=np.asarray(["x", "y"]))
    content = path.read_bytes()
    refusals = []
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x55
        path.write_bytes(changed)
        try:
            found = storage.read_npz(path, ["a"])
        except UserError as error:
            refusals.append(str(error))
        else:
            np.testing.assert_array_equal(found["a"], np.arange(6))
    assert len(refusals) > 100
    assert not [text for text in refusals if "\n" in text]
