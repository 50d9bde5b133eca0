"""One reader of image files: what each depth, mode and format becomes, and what is refused in one line."""

import contextlib
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ordinal_blast.data import images
from ordinal_blast.errors import UserError

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
DEEP = RAMP.astype(np.uint16) * 257
COLOURS = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)


@pytest.fixture
def saved(tmp_path):
    """`saved(picture, "name.png", **options)`: the path of the picture in that file."""

    def save(picture, name="picture.png", **options):
        picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def pixels(path):
    return images.read(path).pixels


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif", "a.webp"])
def test_eight_bits_are_taken_as_they_are(saved, name):
    lossless = {"lossless": True} if name.endswith("webp") else {}
    found = images.read(saved(RAMP, name, **lossless))
    np.testing.assert_array_equal(found.pixels, np.broadcast_to(RAMP[..., None], found.pixels.shape))
    assert found.notes == ()


def test_colour_is_taken_as_it_is(saved):
    np.testing.assert_array_equal(pixels(saved(COLOURS)), COLOURS)
    np.testing.assert_array_equal(pixels(saved(COLOURS, "a.tif", compression="tiff_lzw")), COLOURS)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_by_their_full_range(saved, name):
    found = images.read(saved(DEEP, name))
    np.testing.assert_array_equal(found.pixels[..., 0], RAMP)
    assert found.notes == ("read as 16 bits: its largest value is 65535 of 65535",)
    dim = images.read(saved(DEEP // 257 * 60, name))  # a dim one stays dim, and its reader is told
    np.testing.assert_array_equal(dim.pixels[..., 0], np.round(RAMP * (60 / 257)))
    assert dim.notes == ("read as 16 bits: its largest value is 15300 of 65535",)


def tiff(order, values, photometric):
    """A TIFF of 16-bit grey, `order` "<" or ">"."""
    height, width = values.shape
    entries = [(256, width), (257, height), (258, 16), (259, 1), (262, photometric), (273, 110), (278, height)]
    tags = [struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in entries]
    tags.append(struct.pack(f"{order}HHII", 279, 4, 1, 2 * values.size))
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    return header + b"".join(tags) + bytes(4) + values.astype(f"{order}u2").tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_of_either_byte_order_are_read_alike(tmp_path, order):
    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(order, DEEP, photometric=1))
    np.testing.assert_array_equal(pixels(path)[..., 0], RAMP)
    path.write_bytes(tiff(order, DEEP, photometric=0))
    with pytest.raises(UserError, match=r"zero is white in it: save it with 8 bits|it is no whole file"):
        images.read(path)


def test_twelve_bits_in_sixteen_are_scaled_by_4095(saved):
    found = images.read(saved(np.round(RAMP * (4095 / 255)).astype(np.uint16)))
    np.testing.assert_array_equal(found.pixels[..., 0], RAMP)
    assert found.notes == ("read as 12 bits: its largest value is 4095",)


def test_sixteen_bits_of_unknown_range_are_refused(saved):
    with pytest.raises(UserError, match="no value above 255, so that nothing tells its range: save it with 8 bits"):
        images.read(saved(RAMP.astype(np.uint16)))
    assert pixels(saved(np.zeros((4, 4), np.uint16))).max() == 0  # black at any depth
    with pytest.raises(UserError, match="32-bit integers have no known range"):
        images.read(saved(RAMP.astype(np.int32), "a.tif"))


def png(values, colour):
    """A PNG of 16 bits a channel, which Pillow cannot write in colour."""
    height, width = values.shape[:2]

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_sixteen_bits_of_colour_are_read_by_their_upper_eight_and_twelve_are_refused(tmp_path):
    path = tmp_path / "deep.png"
    path.write_bytes(png(COLOURS.astype(np.uint16) * 257, colour=2))
    found = images.read(path)
    np.testing.assert_array_equal(found.pixels, COLOURS)
    assert found.notes == ("of its 16 bits a channel the upper 8 are read",)
    path.write_bytes(png(COLOURS.astype(np.uint16) * 16, colour=2))
    with pytest.raises(UserError, match="no value above 4095, as if it were 12 bits"):
        images.read(path)


def test_floats_from_zero_to_one_are_scaled_and_others_refused(saved):
    np.testing.assert_array_equal(pixels(saved((RAMP / 255).astype(np.float32), "a.tif"))[..., 0], RAMP)
    for wrong in (RAMP.astype(np.float32), np.full((4, 4), np.nan, np.float32), np.full((4, 4), -0.1, np.float32)):
        with pytest.raises(UserError, match=r"its floats are not all in 0 ... 1"):
            images.read(saved(wrong, "a.tif"))


def test_opaque_alpha_is_dropped_and_transparent_pixels_are_shown_on_black(saved):
    alpha = np.full((12, 9, 1), 255, np.uint8)
    opaque = images.read(saved(np.concatenate([COLOURS, alpha], axis=-1)))
    np.testing.assert_array_equal(opaque.pixels, COLOURS)
    assert opaque.notes == ()
    alpha[:6] = 51
    found = images.read(saved(np.concatenate([COLOURS, alpha], axis=-1)))
    np.testing.assert_array_equal(found.pixels[6:], COLOURS[6:])
    np.testing.assert_array_equal(found.pixels[:6], np.round(COLOURS[:6] / 5))
    assert found.notes == ("50% of its pixels are transparent: they are shown on black",)
    grey = np.dstack([RAMP, np.where(RAMP < 128, 0, 255).astype(np.uint8)])
    np.testing.assert_array_equal(pixels(saved(Image.fromarray(grey, "LA")))[..., 1], RAMP * (RAMP >= 128))
    keyed = saved(Image.fromarray(RAMP).convert("P"), "a.gif", transparency=200)
    np.testing.assert_array_equal(pixels(keyed)[..., 0], RAMP * (RAMP != 200))


def test_palettes_bits_and_cmyk_are_settled(saved):
    palette = Image.fromarray(COLOURS // 64 * 64).quantize(64)
    np.testing.assert_array_equal(pixels(saved(palette)), np.asarray(palette.convert("RGB")))
    np.testing.assert_array_equal(pixels(saved(RAMP > 99))[..., 0], (RAMP > 99) * 255)
    cmyk = Image.fromarray(COLOURS).convert("CMYK")
    np.testing.assert_array_equal(pixels(saved(cmyk, "a.tif")), np.asarray(cmyk.convert("RGB")))
    with pytest.raises(UserError, match="its mode LAB is not read"):
        images.read(saved(Image.new("LAB", (4, 4)), "a.tif"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_the_exif_orientation_is_applied(saved, orientation, name):
    undone = [lambda x: x, lambda x: x[:, ::-1], lambda x: x[::-1, ::-1], lambda x: x[::-1], lambda x: x.swapaxes(0, 1)]
    undone += [lambda x: np.rot90(x), lambda x: x[::-1, ::-1].swapaxes(0, 1), lambda x: np.rot90(x, -1)]
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(undone[orientation - 1](COLOURS))
    found = images.read(saved(stored, name, exif=exif))
    np.testing.assert_array_equal(found.pixels, COLOURS)
    assert found.notes == (("turned as its EXIF orientation says",) if orientation > 1 else ())


def test_sixteen_bits_are_turned_too(saved):
    exif = Image.Exif()
    exif[274] = 6
    stored = np.ascontiguousarray(np.rot90(DEEP))
    np.testing.assert_array_equal(pixels(saved(stored, exif=exif))[..., 0], RAMP)


def test_files_of_several_frames_are_refused_but_for_a_phones_first_picture(saved, tmp_path):
    frames = [Image.fromarray(RAMP), Image.fromarray(RAMP[::-1].copy())]
    for name in ("a.tif", "a.gif", "a.webp", "a.png"):
        path = saved(frames[0], name, save_all=True, append_images=frames[1:])
        with pytest.raises(UserError, match="it has 2 frames: save the one that counts"):
            images.read(path)
    frames = [frame.convert("RGB") for frame in frames]
    found = images.read(saved(frames[0], "phone.jpg", format="MPO", save_all=True, append_images=frames[1:]))
    assert found.notes == ("the first of its 2 pictures is read",)
    assert np.abs(found.pixels[..., 0].astype(int) - RAMP).max() < 25


def test_a_truncated_file_is_refused_at_every_length(tmp_path):
    for form in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"):
        buffer = io.BytesIO()
        Image.fromarray(COLOURS).save(buffer, form)
        whole, path = buffer.getvalue(), tmp_path / "torn"
        for length in range(0, len(whole) * 3 // 4, max(1, len(whole) // 40)):
            path.write_bytes(whole[:length])
            with pytest.raises(UserError) as refused:
                images.read(path)
            assert str(refused.value).startswith(f"cannot read the image {path}: ")
            assert "\n" not in str(refused.value)


def test_flipped_bytes_are_read_or_refused_and_nothing_else(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "flipped"
    for form in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"):
        buffer = io.BytesIO()
        Image.fromarray(COLOURS).save(buffer, form)
        for _ in range(40):
            raw = bytearray(buffer.getvalue())
            for place in rng.integers(0, min(len(raw), 200), 3):
                raw[place] = rng.integers(0, 256)
            path.write_bytes(raw)
            with contextlib.suppress(UserError):
                found = pixels(path)
                assert found.dtype == np.uint8
                assert found.shape[-1] in (1, 3)


def test_what_is_no_image_file_is_refused_without_waiting(tmp_path):
    for name, make, why in (
        ("empty.png", lambda path: path.touch(), "it is empty"),
        ("folder.png", lambda path: path.mkdir(), "it is a folder"),
        ("pipe.png", os.mkfifo, "it is no regular file"),
        ("loop.png", lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        ("absent.png", lambda path: None, "No such file or directory"),
        (
            "text.png",
            lambda path: path.write_text("no image"),
            "it is no whole file of PNG, JPEG, TIFF, BMP, WEBP or GIF",
        ),
        (
            "page.eps",
            lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
            "it is no whole",
        ),
        ("nothing\0.png", lambda path: None, "null"),
    ):
        path = tmp_path / name
        make(path)
        with pytest.raises(UserError, match=why):
            images.read(path)


def test_an_enormous_image_is_refused_before_it_is_unpacked(tmp_path):
    raw = bytearray(png(np.zeros((2, 2), np.uint16), colour=0))
    for side in (10_000, 60_000):
        raw[16:24] = struct.pack(">II", side, side)
        raw[29:33] = struct.pack(">I", zlib.crc32(bytes(raw[12:29])))
        path = tmp_path / "enormous.png"
        path.write_bytes(raw)
        with pytest.raises(UserError, match="it has more than 89 million pixels: shrink it first"):
            images.read(path)


def test_what_has_the_training_shape_is_left_as_it_is():
    for shape in ((28, 56, 3), (28, 56, 1), (9, 4, 3), (16, 16, 1)):
        values = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        fitted = images.fit(images.Photograph(values, ("a note",)), shape)
        np.testing.assert_array_equal(fitted.pixels, values)
        assert fitted.notes == ("a note",)


def test_other_shapes_are_cut_to_the_training_proportions_and_resized():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 10:50] = 200  # the middle of the proportions 1 : 2
    fitted = images.fit(images.Photograph(wide, ()), (10, 20, 3))
    np.testing.assert_array_equal(fitted.pixels, np.full((10, 20, 3), 200))
    assert fitted.notes == ("its middle 40 x 20 of 60 x 20 pixels are read",)
    same = images.fit(images.Photograph(wide, ()), (40, 120, 3))
    assert same.pixels.shape == (40, 120, 3)
    assert same.notes == ("enlarged to 120 x 40 pixels",)
    sliver = images.fit(images.Photograph(np.full((1, 5000, 1), 9, np.uint8), ()), (28, 56, 3))
    np.testing.assert_array_equal(sliver.pixels, np.full((28, 56, 3), 9))


def test_grey_and_colour_become_each_other():
    grey = images.Photograph(RAMP[..., None], ())
    np.testing.assert_array_equal(images.fit(grey, (16, 16, 3)).pixels, np.repeat(RAMP[..., None], 3, axis=-1))
    assert images.fit(grey, (16, 16, 3)).notes == ("grey, and read as colours",)
    back = images.fit(images.Photograph(images.fit(grey, (16, 16, 3)).pixels, ()), (16, 16, 1))
    np.testing.assert_array_equal(back.pixels, grey.pixels)
    assert back.notes == ()  # grey in all but its channels
    red = images.Photograph(np.full((4, 4, 3), (200, 0, 0), np.uint8), ())
    assert images.fit(red, (4, 4, 1)).notes == ("its colours are read as grey",)
    with pytest.raises(UserError, match="images of 2 channels"):
        images.fit(grey, (16, 16, 2))
