"""Every pixel format against Pillow's own conversions, arithmetic done by hand, and broken files of many kinds."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image as PillowImage, ImageCms, ImageOps, PngImagePlugin
from skimage import data as skimage_data

from unconv.data.convert import as_image_tensor
from unconv.data.decode import decode_file, picture_from_pillow
from unconv.errors import ImageError

STORABLE = {
    "1": "png", "L": "png", "P": "png", "LA": "png", "RGB": "png", "RGBA": "png", "I;16": "png", "F": "tif",
    "CMYK": "jpg", "YCbCr": "jpg", "LAB": "tif",
}  # fmt: skip


class Decoded(NamedTuple):
    picture: torch.Tensor
    notes: tuple[str, ...]


def decode(path, mode="keep", background=1.0, max_pixels=10**8):
    return Decoded(*decode_file(path, mode=mode, background=background, max_pixels=max_pixels))


def photograph(height=48, width=64):
    return PillowImage.fromarray(skimage_data.chelsea()[100 : 100 + height, 100 : 100 + width])


def as_tensor(image):
    """The oracle: Pillow's bytes over 255."""
    array = np.atleast_3d(np.array(image))
    return torch.from_numpy(array).permute(2, 0, 1) / 255


def png(*chunks, header=(64, 48, 8, 2)):
    width, height, depth, colour_type = header
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)), *chunks, (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))
        for name, payload in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def rows(array):
    """PNG scan lines without a filter, compressed."""
    return b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in array))


@pytest.mark.parametrize("mode", STORABLE)
def test_every_mode_reads_as_rgb_and_as_grey(tmp_path, mode):
    path = tmp_path / f"picture.{STORABLE[mode]}"
    image = photograph()
    if mode == "I;16":
        image = PillowImage.fromarray(np.array(image.convert("L")).astype(np.uint16) * 257)
    elif mode == "LAB":
        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    elif mode == "F":
        image = PillowImage.fromarray(np.array(image.convert("L"), dtype=np.float32) / 255)
    else:
        image = image.convert(mode, palette=PillowImage.Palette.ADAPTIVE)
    image.save(path)
    expected = as_tensor(photograph().convert("L"))
    for wanted, channels in (("rgb", 3), ("grey", 1)):
        picture = decode(path, wanted).picture
        assert picture.dtype == torch.float32
        assert picture.shape == (channels, 48, 64)
        assert picture.is_contiguous()
        assert 0 <= picture.min() < picture.max() <= 1
        # JPEG, dithering and Pillow's CMYK lose detail, not the picture.
        tolerance = 0.5 if mode == "1" else 0.03
        assert (as_image_tensor(picture, mode="grey") - expected).abs().mean() < tolerance


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_opaque_pictures_equal_pillow(tmp_path, mode):
    path = tmp_path / "picture.png"
    photograph().convert(mode).save(path)
    with PillowImage.open(path) as image:
        expected = as_tensor(image.convert("RGB"))
    assert torch.equal(decode(path, "rgb").picture, expected)
    assert decode(path).picture.shape[0] == (1 if mode in ("1", "L") else 3)


def test_grey_is_pillows_luma(tmp_path):
    photograph().save(tmp_path / "picture.png")
    expected = as_tensor(photograph().convert("L"))
    # Pillow rounds to bytes.
    assert (decode(tmp_path / "picture.png", "grey").picture - expected).abs().max() <= 0.5001 / 255 + 1e-3


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("background", [1.0, 0.0, (0.2, 0.4, 0.6)])
def test_alpha_is_laid_over_the_background(tmp_path, mode, background):
    image = photograph().convert(mode)
    image.putalpha(PillowImage.linear_gradient("L").resize(image.size))
    image.save(tmp_path / "picture.png")
    level = background if isinstance(background, tuple) else (background,) * 3
    backdrop = PillowImage.new("RGBA", image.size, (*(round(255 * c) for c in level), 255))
    expected = as_tensor(PillowImage.alpha_composite(backdrop, image.convert("RGBA")).convert("RGB"))
    picture = decode(tmp_path / "picture.png", "rgb", background).picture
    # Pillow composes in bytes.
    assert (picture - expected).abs().max() < 1.5 / 255


def test_grey_with_alpha_stays_grey_over_a_grey_background(tmp_path):
    image = photograph().convert("LA")
    image.putalpha(128)
    image.save(tmp_path / "picture.png")
    assert decode(tmp_path / "picture.png", "keep", 0.0).picture.shape[0] == 1
    assert decode(tmp_path / "picture.png", "keep", (1.0, 0.0, 0.0)).picture.shape[0] == 3


@pytest.mark.parametrize("transparency", [0, bytes([0, 128, 255])])
def test_transparent_palette_entries_show_the_background(tmp_path, transparency):
    image = PillowImage.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "picture.png", transparency=transparency)
    picture = decode(tmp_path / "picture.png", background=0.0).picture[:, 0]
    half = 128 / 255 if isinstance(transparency, bytes) else 1.0
    assert torch.allclose(picture, torch.tensor([[0.0, 0, 0], [0, half, 0], [0, 0, 1]]))


@pytest.mark.parametrize(
    ("depth", "colour_type", "pixels", "key", "hidden"),
    [
        (1, 0, np.packbits([[0, 1, 0, 1, 0, 0, 0, 0]]).reshape(1, 1), struct.pack(">H", 1), [0, 1, 0, 1]),
        (2, 0, np.array([[0b00011011]], dtype=np.uint8), struct.pack(">H", 2), [0, 0, 1, 0]),
        (4, 0, np.array([[0x05, 0xAF]], dtype=np.uint8), struct.pack(">H", 10), [0, 0, 1, 0]),
        (8, 0, np.array([[0, 9, 10, 11]], dtype=np.uint8), struct.pack(">H", 10), [0, 0, 1, 0]),
        (16, 0, np.array([[0, 2560, 2561, 9]], dtype=">u2"), struct.pack(">H", 2561), [0, 0, 1, 0]),
        (8, 2, np.array([[[1, 2, 3], [1, 2, 4], [1, 2, 3], [0, 0, 0]]], dtype=np.uint8), struct.pack(">HHH", 1, 2, 3),
         [1, 0, 1, 0]),
        (16, 2, np.array([[[256, 512, 768], [0, 0, 0], [9, 9, 9], [0, 0, 0]]], dtype=">u2"),
         struct.pack(">HHH", 256, 512, 768), [1, 0, 0, 0]),
    ],
)  # fmt: skip
def test_colour_key_of_every_depth_is_transparent(tmp_path, depth, colour_type, pixels, key, hidden):
    path = tmp_path / "keyed.png"
    path.write_bytes(png((b"tRNS", key), rows(pixels), header=(4, 1, depth, colour_type)))
    # Where only the background changes, the key shows.
    black, white = (decode(path, "grey", background=level).picture for level in (0.0, 1.0))
    assert torch.equal((white - black).flatten(), torch.tensor(hidden, dtype=torch.float32))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_keeps_its_16_bits(tmp_path, suffix):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    PillowImage.fromarray(values).save(tmp_path / f"ramp.{suffix}")
    decoded = decode(tmp_path / f"ramp.{suffix}")
    assert torch.equal(decoded.picture[0], torch.from_numpy(values.astype(np.float32)) / 65535)
    assert decoded.notes == ()


def test_16_bit_pgm_keeps_its_16_bits(tmp_path):
    values = (np.arange(12).reshape(3, 4) * 5000).astype(">u2")
    (tmp_path / "ramp.pgm").write_bytes(b"P5 4 3 65535\n" + values.tobytes())
    assert torch.equal(decode(tmp_path / "ramp.pgm").picture[0], torch.from_numpy(values.astype(np.float32)) / 65535)


def test_12_bit_tiff_is_divided_by_its_own_white(tmp_path):
    # One row of two pixels, 0xFFF and 0x800, packed into three bytes.
    tags = [
        (256, 4, 2),
        (257, 4, 1),
        (258, 3, 12),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, 1),
        (279, 4, 3),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    (tmp_path / "scan.tif").write_bytes(b"II*\0" + struct.pack("<I", 12) + b"\xff\xf8\x00\0" + directory)
    assert decode(tmp_path / "scan.tif").picture.flatten().tolist() == pytest.approx([1.0, 0x800 / 0xFFF])


def test_16_bit_colour_says_that_it_was_read_at_8(tmp_path):
    values = (np.arange(12).reshape(2, 2, 3) * 5000).astype(">u2")
    (tmp_path / "deep.png").write_bytes(png(rows(values), header=(2, 2, 16, 2)))
    decoded = decode(tmp_path / "deep.png")
    expected = torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1) / 65535
    assert (decoded.picture - expected).abs().max() <= 1 / 255
    assert decoded.notes == ("16 bits a channel, read as 8",)


def test_floats_in_the_unit_interval_are_kept(tmp_path):
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    PillowImage.fromarray(values).save(tmp_path / "float.tif")
    decoded = decode(tmp_path / "float.tif")
    assert torch.equal(decoded.picture[0], torch.from_numpy(values))
    assert decoded.notes == ()


@pytest.mark.parametrize(("low", "high"), [(-3.0, 12.0), (0.0, 255.0), (-3e38, 3e38)])
def test_other_floats_are_mapped_and_said(tmp_path, low, high):
    PillowImage.fromarray(np.array([[low, high]], dtype=np.float32)).save(tmp_path / "float.tif")
    decoded = decode(tmp_path / "float.tif")
    assert decoded.picture.flatten().tolist() == [0.0, 1.0]
    assert decoded.notes == (f"floats from {low:.4g} to {high:.4g}, mapped to 0 and 1",)


def test_a_constant_float_picture_outside_the_unit_interval_reads(tmp_path):
    PillowImage.fromarray(np.full((2, 2), 7, dtype=np.float32)).save(tmp_path / "float.tif")
    assert decode(tmp_path / "float.tif").picture.eq(0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_floats_that_are_not_finite_are_refused(tmp_path, bad):
    PillowImage.fromarray(np.array([[0.5, bad]], dtype=np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ImageError, match="replace what is not finite"):
        decode(tmp_path / "float.tif")


def test_32_bit_integers_are_refused(tmp_path):
    PillowImage.fromarray(np.arange(4, dtype=np.int32).reshape(2, 2)).save(tmp_path / "labels.tif")
    with pytest.raises(ImageError, match="no known white"):
        decode(tmp_path / "labels.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    path = tmp_path / f"turned.{suffix}"
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    photograph().save(path, exif=exif)
    with PillowImage.open(path) as image:
        expected = as_tensor(ImageOps.exif_transpose(image).convert("RGB"))
    decoded = decode(path)
    assert torch.equal(decoded.picture, expected)
    assert decoded.picture.shape[1:] == ((48, 64) if orientation < 5 else (64, 48))


def test_broken_exif_costs_the_rotation_not_the_picture(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n 2\nno hexadecimal number")
    photograph().save(tmp_path / "broken.png", pnginfo=text)
    decoded = decode(tmp_path / "broken.png")
    assert torch.equal(decoded.picture, as_tensor(photograph()))
    assert len(decoded.notes) == 1
    assert decoded.notes[0].startswith("unreadable EXIF, not rotated")


def test_what_pillow_warns_of_becomes_a_note(tmp_path):
    photograph().save(tmp_path / "corrupt.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    decoded = decode(tmp_path / "corrupt.jpg")
    assert decoded.picture.shape == (3, 48, 64)
    assert any("Corrupt EXIF" in note for note in decoded.notes)


def cmyk_profile():
    """A minimal ICC profile, CMYK to Lab, of a printer whose only ink is cyan and is black: L* = 100 (1 − C)."""
    lut = struct.pack(">4sIBBBB", b"mft1", 0, 4, 3, 2, 0)
    lut += struct.pack(">9i", *(65536 * int(i % 4 == 0) for i in range(9)))
    lut += bytes(range(256)) * 4 + bytes([255, 128, 128]) * 8 + bytes([0, 128, 128]) * 8 + bytes(range(256)) * 3
    size = 128 + 4 + 12 + len(lut)
    header = struct.pack(">IIIIII", size, 0, 0x02400000, 0x70727472, 0x434D594B, 0x4C616220)
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    assert len(header) == 128
    return header + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut


def test_cmyk_goes_through_its_profile(tmp_path):
    image = photograph().convert("CMYK")
    image.save(tmp_path / "print.tif", icc_profile=cmyk_profile())
    decoded = decode(tmp_path / "print.tif")
    assert decoded.notes == ()
    lightness = 100 * (1 - as_tensor(image)[0].double())
    luminance = torch.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    expected = torch.where(luminance > 0.0031308, 1.055 * luminance ** (1 / 2.4) - 0.055, 12.92 * luminance)
    assert (decoded.picture - expected).abs().max() < 0.02


@pytest.mark.parametrize("profile", [None, b"no profile"])
def test_cmyk_without_a_usable_profile_is_inverted_and_said(tmp_path, profile):
    image = PillowImage.new("CMYK", (8, 8), (255, 0, 0, 0))
    image.save(tmp_path / "print.tif", **({"icc_profile": profile} if profile else {}))
    decoded = decode(tmp_path / "print.tif")
    assert torch.equal(decoded.picture[:, 0, 0], torch.tensor([0.0, 1.0, 1.0]))
    assert len(decoded.notes) == 1
    assert "plain inversion" in decoded.notes[0]


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp"])
def test_of_several_frames_the_first_is_read_and_said(tmp_path, suffix):
    frames = [PillowImage.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"frames.{suffix}", save_all=True, append_images=frames[1:], **options)
    decoded = decode(tmp_path / f"frames.{suffix}")
    assert decoded.picture[:, 0, 0].tolist() == [1.0, 0.0, 0.0]
    assert decoded.notes == ("the first of several frames",)


def bomb(kind):
    if kind == "png":
        return png(header=(60_000, 60_000, 8, 2))
    if kind == "bmp":
        pixels = struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
        return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + pixels
    return b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + b"\x2c" + struct.pack(
        "<HHHHBB", 0, 0, 60_000, 60_000, 0, 2
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["png", "bmp", "gif"])
def test_bombs_are_refused_from_their_header(tmp_path, kind):
    (tmp_path / "bomb").write_bytes(bomb(kind))
    with pytest.raises(ImageError, match="60000×60000 pixels are more than 100,000,000; max_pixels=3600000000"):
        decode(tmp_path / "bomb")


def test_the_limit_is_exact_and_is_ours_not_pillows(tmp_path, monkeypatch):
    photograph().save(tmp_path / "picture.png")
    # A stricter limit elsewhere in the process neither warns nor decides, and is left as it was.
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 10)
    assert decode(tmp_path / "picture.png", max_pixels=48 * 64).picture.shape == (3, 48, 64)
    with pytest.raises(ImageError, match="48×64 pixels are more than 3,071; max_pixels=3072 lets"):
        decode(tmp_path / "picture.png", max_pixels=48 * 64 - 1)
    assert PillowImage.MAX_IMAGE_PIXELS == 10


def broken_files():
    stream = io.BytesIO()
    photograph(300, 400).save(stream, "JPEG")
    jpeg = stream.getvalue()
    stream = io.BytesIO()
    photograph(300, 400).save(stream, "PNG")
    whole = stream.getvalue()
    return {
        "empty": b"",
        "one byte": b"\x89",
        "text": b"not a picture\n",
        "zeros": bytes(1000),
        "png truncated": whole[: len(whole) // 2],
        "png header only": whole[:33],
        "png broken data": whole[:200] + bytes(100) + whole[300:],
        "png no data": png(),
        "png of width 0": png(header=(0, 5, 8, 2)),
        "png of unknown depth": png(header=(5, 5, 9, 2)),
        "jpeg truncated": jpeg[: len(jpeg) // 2],
        "jpeg header only": jpeg[:20],
        "gif header only": b"GIF89a",
        "tiff of nothing": b"II*\0\x08\0\0\0\0\0",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n",
    }


@pytest.mark.parametrize("kind", broken_files())
def test_broken_files_end_in_one_line(tmp_path, kind):
    (tmp_path / "broken").write_bytes(broken_files()[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError) as caught:
            decode(tmp_path / "broken")
    message = str(caught.value)
    assert message
    assert "\n" not in message


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), damage=st.binary(min_size=1, max_size=40), kind=st.sampled_from(["PNG", "GIF", "TIFF"]))
def test_no_damage_escapes_as_another_error(tmp_path, place, damage, kind):
    stream = io.BytesIO()
    photograph().convert("P").save(stream, kind)
    whole = bytearray(stream.getvalue())
    start = int(place * len(whole))
    whole[start : start + len(damage)] = damage
    (tmp_path / "damaged").write_bytes(whole)
    try:
        picture = decode(tmp_path / "damaged").picture
    except ImageError:
        return
    assert picture.isfinite().all()


@pytest.mark.skipif(not hasattr(PillowImage, "WARN_POSSIBLE_FORMATS"), reason="older Pillow keeps the cause to itself")
def test_a_known_format_of_an_unknown_kind_says_what_failed(tmp_path):
    (tmp_path / "odd.png").write_bytes(png(header=(5, 5, 9, 2)))
    with pytest.raises(ImageError, match="not a picture Pillow can read: PNG"):
        decode(tmp_path / "odd.png")


def test_a_missing_file_is_an_image_error(tmp_path: Path):
    with pytest.raises(ImageError, match="No such file"):
        decode(tmp_path / "nowhere.png")


def test_pillow_pictures_in_modes_no_file_has():
    for mode in ("HSV", "RGBX", "RGBa", "La", "PA"):
        source = photograph().convert("RGBA" if mode == "RGBa" else "LA" if mode in ("La", "PA") else "RGB")
        picture, _ = picture_from_pillow(source.convert(mode), mode="rgb", background=1.0)
        assert (picture - as_tensor(source.convert("RGB"))).abs().max() < 0.06
