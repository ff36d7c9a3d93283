"""What `personal.images` promises: any picture in, one clean sRGB JPEG out, or one clear message."""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import os
import struct
import weakref
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageFilter

from personal.concepts import WHOLE, Photo
from personal.crops import crop, data_url, labelled, thumbnail
from personal.errors import ImageError
from personal.images import open_photo, read_photo
from personal.quality import quality_hints

pillow_heif.register_heif_opener()
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"]
UNIX = pytest.mark.skipif(os.name == "nt", reason="needs a Unix file system")


def corners(size: tuple[int, int] = (240, 160)) -> Image.Image:
    """Four quarters: red, green / blue, yellow."""
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    w, h = size[0] // 2, size[1] // 2
    for x, y, colour in ((0, 0, "red"), (w, 0, "lime"), (0, h, "blue"), (w, h, "yellow")):
        draw.rectangle((x, y, x + w, y + h), fill=colour)
    return image


def busy(size: tuple[int, int] = (240, 160)) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def saved(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def at(photo: Photo, x: float, y: float) -> tuple[int, ...]:
    return open_photo(photo).getpixel((int(x * photo.width), int(y * photo.height)))


def close(pixel: tuple[int, ...], expected: tuple[int, ...], by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(pixel, expected, strict=True))


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


# What comes out


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_becomes_a_clean_jpeg_with_the_same_picture(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{format.lower()}"
    path.write_bytes(saved(corners(), format))
    photo = read_photo(path)
    assert (photo.width, photo.height) == (240, 160)
    assert photo.sha256 == hashlib.sha256(photo.jpeg).hexdigest()
    with Image.open(BytesIO(photo.jpeg)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (240, 160))
        assert "progressive" not in image.info
    for x, y, colour in ((0.25, 0.25, (255, 0, 0)), (0.75, 0.25, (0, 255, 0)), (0.25, 0.75, (0, 0, 255))):
        assert close(at(photo, x, y), colour, by=20)


def test_bytes_and_file_give_the_same_photo(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(busy()))
    assert read_photo(tmp_path / "a.png") == read_photo(saved(busy()))


@pytest.mark.parametrize("format", FORMATS)
def test_reading_is_deterministic_and_idempotent(format: str) -> None:
    data = saved(busy((2000, 900)), format)
    once = read_photo(data)
    assert read_photo(data) == once
    assert (once.width, once.height) == (1536, 691)
    assert read_photo(once.jpeg) == once


def test_a_clean_jpeg_from_elsewhere_is_kept_verbatim() -> None:
    data = saved(busy(), "JPEG", quality=60)
    assert read_photo(data).jpeg == data


@pytest.mark.parametrize(
    "extra",
    [{"comment": b"secret"}, {"progressive": True}, {"dpi": (300, 300)}, {"xmp": b"<x>secret</x>"}],
    ids=["comment", "progressive", "dpi", "xmp"],
)
def test_a_jpeg_that_is_not_clean_is_written_anew(extra: dict[str, object]) -> None:
    data = saved(busy(), "JPEG", **extra)
    photo = read_photo(data)
    assert photo.jpeg != data
    assert b"secret" not in photo.jpeg
    assert read_photo(photo.jpeg) == photo


def test_bytes_after_the_end_of_a_jpeg_are_dropped() -> None:
    photo = read_photo(saved(busy(), "JPEG") + b"a hidden trailer")
    assert b"hidden" not in photo.jpeg


def test_a_smaller_limit_shrinks_even_a_clean_jpeg() -> None:
    photo = read_photo(saved(busy((900, 600)), "JPEG"), max_side=300)
    assert (photo.width, photo.height) == (300, 200)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation: int, format: str) -> None:
    upright = corners()
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(saved(stored, format, exif=exif), max_side=120)
    assert (photo.width, photo.height) == (120, 80)
    assert close(at(photo, 0.25, 0.25), (255, 0, 0), by=20)
    assert close(at(photo, 0.75, 0.25), (0, 255, 0), by=20)
    assert close(at(photo, 0.25, 0.75), (0, 0, 255), by=20)


def test_an_avif_from_a_turned_phone_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = read_photo(saved(corners().transpose(Image.Transpose.ROTATE_90), "AVIF", exif=exif))
    assert (photo.width, photo.height) == (240, 160)
    assert close(at(photo, 0.25, 0.25), (255, 0, 0), by=20)


def test_a_heic_is_turned_by_its_own_boxes_and_not_again_by_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # ISO/IEC 23008-12: informative only, phones write it beside the box that turns
    photo = read_photo(saved(corners(), "HEIF", exif=exif))
    assert (photo.width, photo.height) == (240, 160)
    assert close(at(photo, 0.25, 0.25), (255, 0, 0), by=20)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_place_maker_and_every_other_trace_are_gone(format: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretMaker"
    exif[0x010E] = "SecretStreet 5"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 14.0), 29: "2024:05:06"})
    data = saved(busy(), format, exif=exif)
    assert b"SecretMaker" in data
    assert format == "TIFF" or b"2024:05:06" in data  # Pillow writes no GPS into a TIFF
    photo = read_photo(data)
    for trace in (b"Secret", b"2024:05", b"Exif", b"http", b"ICC"):
        assert trace not in photo.jpeg
    with Image.open(BytesIO(photo.jpeg)) as image:
        assert not dict(image.getexif())
        assert not set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_damaged_exif_does_not_lose_the_picture() -> None:
    assert read_photo(saved(corners(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)).width == 240


def test_only_the_first_frame_of_an_animation_counts() -> None:
    for format in ("GIF", "WEBP", "PNG"):
        first, second = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
        data = saved(first, format, save_all=True, append_images=[second] * 3)
        assert close(at(read_photo(data), 0.5, 0.5), (255, 0, 0), by=20)


# Colours


def test_cmyk_becomes_rgb() -> None:
    for format in ("JPEG", "TIFF"):
        photo = read_photo(saved(corners().convert("CMYK"), format))
        assert close(at(photo, 0.25, 0.25), (255, 0, 0), by=20)


def test_transparency_in_every_form_lies_on_white() -> None:
    alpha = Image.new("L", (64, 64), 0)
    alpha.paste(255, (0, 0, 32, 64))
    red = Image.new("RGB", (64, 64), "red")
    red.putalpha(alpha)
    grey = Image.merge("LA", (Image.new("L", (64, 64), 100), alpha))
    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.paste(0, (0, 0, 32, 64))
    keyed = Image.new("RGB", (64, 64), (0, 0, 9))
    keyed.paste("red", (0, 0, 32, 64))
    cases = {
        "RGBA": (saved(red), (255, 0, 0)),
        "WebP": (saved(red, "WEBP", lossless=True), (255, 0, 0)),
        "LA": (saved(grey), (100, 100, 100)),
        "palette": (saved(palette, transparency=1), (255, 0, 0)),
        "colour key": (saved(keyed, transparency=(0, 0, 9)), (255, 0, 0)),
        "GIF": (saved(palette, "GIF", transparency=1), (255, 0, 0)),
    }
    for form, (data, seen) in cases.items():
        photo = read_photo(data)
        assert close(at(photo, 0.2, 0.5), seen), form
        assert close(at(photo, 0.9, 0.5), (255, 255, 255)), form


def test_deep_and_flat_greys_keep_their_brightness() -> None:
    ramp = np.tile(np.linspace(0, 1, 256), (64, 1))
    pictures = {
        "16 bit PNG": saved(Image.fromarray((ramp * 65535).astype(np.uint16))),
        "16 bit TIFF": saved(Image.fromarray((ramp * 65535).astype(np.uint16)), "TIFF"),
        "32 bit TIFF": saved(Image.fromarray((ramp * 65535).astype(np.int32)), "TIFF"),
        "float 0..1": saved(Image.fromarray(ramp.astype(np.float32)), "TIFF"),
        "float 0..255": saved(Image.fromarray((ramp * 255).astype(np.float32)), "TIFF"),
        "8 bit grey": saved(Image.fromarray((ramp * 255).astype(np.uint8))),
        "grey JPEG": saved(Image.fromarray((ramp * 255).astype(np.uint8)), "JPEG"),
    }
    for form, data in pictures.items():
        photo = read_photo(data)
        for x in (0.0, 0.25, 0.5, 0.75, 0.99):
            assert close(at(photo, x, 0.5), (int(255 * x),) * 3, by=4), form


def test_one_bit_and_sixteen_bit_colour_are_read() -> None:
    bilevel = Image.new("1", (64, 64), 1)
    bilevel.paste(0, (0, 0, 32, 64))
    assert close(at(read_photo(saved(bilevel)), 0.2, 0.5), (0, 0, 0))
    row = b"\0" + struct.pack(">HHH", 0xFFFF, 0x8000, 0) * 64
    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0))
    data = header + chunk(b"IDAT", zlib.compress(row * 64)) + chunk(b"IEND", b"")
    assert close(at(read_photo(data), 0.5, 0.5), (255, 128, 0))


def test_an_srgb_profile_is_dropped_and_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read_photo(saved(corners(), "PNG", icc_profile=profile))
    assert b"ICC_PROFILE" not in photo.jpeg
    assert close(at(photo, 0.25, 0.25), (255, 0, 0), by=4)
    assert close(at(photo, 0.75, 0.75), (255, 255, 0), by=4)


def swapped_profile() -> bytes:
    """An sRGB profile in which red's and blue's primaries have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(profile[i : i + 4]): i for i in range(132, 132 + 12 * profile[131], 12)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_another_profile_is_honoured(mode: str) -> None:
    photo = read_photo(saved(corners().convert(mode), icc_profile=swapped_profile()))
    assert close(at(photo, 0.25, 0.25), (0, 0, 255), by=20)
    assert close(at(photo, 0.25, 0.75), (255, 0, 0), by=20)


def test_lab_is_understood() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(corners(), srgb, lab, outputMode="LAB")
    photo = read_photo(saved(converted, "TIFF"))
    assert close(at(photo, 0.25, 0.25), (255, 0, 0))
    assert close(at(photo, 0.25, 0.75), (0, 0, 255), by=30)


def test_a_profile_that_is_broken_or_does_not_fit_is_ignored() -> None:
    assert close(at(read_photo(saved(corners(), icc_profile=b"nonsense" * 30)), 0.25, 0.25), (255, 0, 0), by=4)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert close(at(read_photo(saved(corners(), icc_profile=lab)), 0.25, 0.25), (255, 0, 0), by=4)


# What is refused, and in which words


def refusal(source: bytes | Path, **limits: int) -> str:
    with pytest.raises(ImageError) as caught:
        read_photo(source, **limits)
    return str(caught.value)


def test_an_empty_file_is_named_and_refused(tmp_path: Path) -> None:
    (tmp_path / "bo.jpg").write_bytes(b"")
    message = refusal(tmp_path / "bo.jpg")
    assert message.startswith("bo.jpg is empty")
    assert str(tmp_path) not in message


@pytest.mark.parametrize(
    "data",
    [
        b"Dear diary",
        b"%PDF-1.7\n1 0 obj",
        b"<html><body>",
        bytes(range(256)) * 9,
        b"\0" * 500,
        b"BMW is a car, not a bitmap",
    ],
    ids=["text", "pdf", "html", "random", "zeros", "looks like BMP"],
)
def test_what_is_no_picture_is_called_so(data: bytes) -> None:
    message = refusal(data)
    assert "is not a picture that can be read" in message
    assert "HEIC" in message


@pytest.mark.parametrize("head", [b"<svg xmlns='x'/>", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a -->\n<SVG>"])
def test_svg_is_told_apart(head: bytes) -> None:
    assert "SVG drawings are not photos: export it as PNG" in refusal(head)


def test_formats_that_run_programs_or_are_not_photos_are_not_opened() -> None:
    assert "is not a picture" in refusal(saved(corners(), "EPS"))
    assert "is not a picture" in refusal(saved(corners(), "TGA"))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_picture_cut_short_is_never_accepted(format: str, part: float) -> None:
    data = saved(busy(), format)
    assert "is damaged or cut short" in refusal(data[: int(len(data) * part)])


@pytest.mark.parametrize("data", [saved(busy(), "JPEG")[:60], saved(busy())[:30], saved(busy(), "WEBP")[:25]])
def test_a_picture_cut_within_its_header_is_called_damaged(data: bytes) -> None:
    assert "is damaged or cut short" in refusal(data)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_a_download_that_ended_in_zeros_is_called_damaged(format: str) -> None:
    data = saved(busy((640, 480)), format)
    kept = len(data) // 2
    assert "is damaged or cut short" in refusal(data[:kept] + bytes(len(data) - kept))


def test_the_limit_on_bytes_names_size_and_limit(tmp_path: Path) -> None:
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(31 * 2**20)
    assert "huge.jpg has 31.0 MB, more than the limit of 30.0 MB" in refusal(tmp_path / "huge.jpg")
    assert "more than the limit" in refusal(b"x" * 2**20, max_bytes=2**19)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_by_their_header() -> None:
    assert "too many pixels: the limit is 100 megapixels" in refusal(
        png_header(100_000, 100_000) + chunk(b"IDAT", zlib.compress(bytes(100)))
    )
    animation = saved(corners(), "GIF")
    assert "too many pixels" in refusal(animation[:6] + struct.pack("<HH", 65535, 65535) + animation[10:])
    whole = saved(Image.new("1", (12_000, 12_000)))
    assert len(whole) < 100_000
    assert "too many pixels" in refusal(whole)


def test_the_limit_on_pixels_is_exact_and_leaves_pillows_own_alone() -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = saved(busy((200, 100)))
    assert read_photo(data, max_pixels=20_000).width == 200
    assert "the limit is 0.02 megapixels" in refusal(data, max_pixels=19_999)
    assert before == Image.MAX_IMAGE_PIXELS
    assert before is not None


def test_a_picture_without_pixels_is_refused() -> None:
    whole = png_header(0, 0) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    assert "has no pixels" in refusal(whole)
    assert "has no pixels" in refusal(b"GIF89a" + struct.pack("<HH", 64, 0) + b"\0" * 30)
    bitmap = bytearray(saved(corners(), "BMP"))
    bitmap[18:22] = bytes(4)
    assert "has no pixels" in refusal(bytes(bitmap))


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15), (20_000, 15)])
def test_a_picture_too_small_or_too_narrow_is_refused(size: tuple[int, int]) -> None:
    assert "too small to recognise anything" in refusal(saved(Image.new("L", size)))


def test_sixteen_pixels_are_enough() -> None:
    assert read_photo(saved(busy((16, 16)))).width == 16


def test_folders_and_missing_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "bo").mkdir()
    assert "bo is a folder" in refusal(tmp_path / "bo")
    assert "away.jpg does not exist" in refusal(tmp_path / "away.jpg")


@UNIX
def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert "cannot be read (File name too long)" in refusal(tmp_path / ("a" * 300 + ".jpg"))
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "pipe.jpg is not an ordinary file" in refusal(tmp_path / "pipe.jpg")
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    assert refusal(loop).startswith("loop.jpg")


@UNIX
def test_control_characters_of_a_file_name_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m.jpg").write_bytes(b"x")
    assert "\x1b" not in refusal(tmp_path / "a\x1b[31m.jpg")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", FORMATS)
def test_flipped_bytes_give_a_photo_or_a_message_and_nothing_else(format: str) -> None:
    rng = np.random.default_rng(7)
    data = saved(busy((64, 48)), format)
    for _ in range(60):
        spoilt = bytearray(data)
        for place in rng.integers(0, min(len(data), rng.choice([80, 10**9])), 3):
            spoilt[place] = rng.integers(0, 256)
        with contextlib.suppress(ImageError):
            photo = read_photo(bytes(spoilt))
            assert open_photo(photo).size == (photo.width, photo.height)


# Parts, thumbnails, hints


def test_a_crop_is_the_part_inside_the_box() -> None:
    photo = read_photo(saved(corners()))
    part = crop(photo, (0.5, 0.0, 1.0, 0.5))
    assert (part.width, part.height) == (120, 80)
    assert close(at(part, 0.5, 0.5), (0, 255, 0), by=20)
    assert crop(photo, WHOLE) == photo


def test_a_margin_widens_the_crop_but_never_beyond_the_photo() -> None:
    photo = read_photo(saved(corners()))
    middle = crop(photo, (0.25, 0.25, 0.75, 0.75), margin=0.25)
    assert (middle.width, middle.height) == (180, 120)
    corner = crop(photo, (0.5, 0.5, 1.0, 1.0), margin=0.5)
    assert (corner.width, corner.height) == (180, 120)


@pytest.mark.parametrize(
    "box", [(0.5, 0.5, 0.5, 0.5), (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.01, 0.01), (2.0, -3.0, 5.0, -2.0)]
)
def test_a_crop_is_never_smaller_than_sixteen_pixels(box: tuple[float, float, float, float]) -> None:
    part = crop(read_photo(saved(corners())), box)
    assert (part.width, part.height) == (16, 16)


def test_corners_may_come_in_any_order_but_must_be_numbers() -> None:
    photo = read_photo(saved(corners()))
    assert crop(photo, (1.0, 0.5, 0.5, 0.0)) == crop(photo, (0.5, 0.0, 1.0, 0.5))
    with pytest.raises(ImageError, match="mark it again"):
        crop(photo, (0.0, float("nan"), 1.0, 1.0))


def opened(jpeg: bytes) -> Image.Image:
    return Image.open(BytesIO(jpeg))


def test_a_thumbnail_is_within_its_size_and_may_be_of_a_part() -> None:
    photo = read_photo(saved(corners((1200, 800))))
    assert opened(thumbnail(photo, 90)).size == (90, 60)
    assert opened(thumbnail(photo, 90, square=True)).size == (90, 90)
    assert opened(thumbnail(photo, 4000)).size == (1200, 800)
    part = opened(thumbnail(photo, 90, box=(0.0, 0.5, 0.5, 1.0)))
    assert part.size == (90, 60)
    assert close(part.getpixel((45, 30)), (0, 0, 255), by=20)


def test_a_square_thumbnail_widens_its_box_to_a_square() -> None:
    photo = read_photo(saved(corners((1200, 800))))
    square = opened(thumbnail(photo, 100, box=(0.45, 0.2, 0.55, 0.8), square=True))
    assert square.size == (100, 100)
    assert close(square.getpixel((10, 10)), (255, 0, 0), by=20)
    assert close(square.getpixel((90, 90)), (255, 255, 0), by=20)


def test_a_data_url_holds_a_thumbnail() -> None:
    photo = read_photo(saved(corners((1200, 800))))
    head, _, body = data_url(photo, 90).partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(body) == thumbnail(photo, 90)


def test_hints_name_what_makes_a_poor_reference() -> None:
    sharp = busy((512, 384))
    assert quality_hints(read_photo(saved(sharp))) == []
    assert quality_hints(read_photo(saved(sharp.filter(ImageFilter.GaussianBlur(12))))) == [
        "blurred: a sharper photo helps"
    ]
    assert quality_hints(read_photo(saved(sharp.point(lambda level: level // 8)))) == ["very dark: more light helps"]
    assert quality_hints(read_photo(saved(busy((120, 160)))))[0] == "only 120 px wide: a closer photo helps"


@pytest.mark.data
def test_good_photos_get_no_hint_and_blurred_ones_do(shared_data: Path) -> None:
    for folder in sorted((shared_data / "dreambooth").iterdir())[:6]:
        for path in sorted(folder.glob("*.jpg"))[:1]:
            photo = read_photo(path)
            assert quality_hints(photo) == []
            blurred = open_photo(photo).filter(ImageFilter.GaussianBlur(6))
            assert any("blurred" in hint for hint in quality_hints(read_photo(saved(blurred, "JPEG"))))


def test_what_was_recognised_is_drawn_on_a_photo_and_nothing_else_changes():
    photo = read_photo(saved(Image.new("RGB", (400, 300), "white")))
    drawn = labelled(photo, [((0.5, 0.5, 0.9, 0.9), "<bo>")])
    pixels = np.asarray(open_photo(drawn)).astype(int)
    assert (drawn.width, drawn.height) == (400, 300)
    assert abs(pixels[:140, :190] - 255).max() < 12
    edge = pixels[150:154, 260:350].reshape(-1, 3).mean(0)
    assert edge[0] > edge[2] + 60
    assert drawn.sha256 != photo.sha256
    assert labelled(photo, [((0.5, 0.5, 0.9, 0.9), "<bo>")]) == drawn


def test_a_thumbnail_is_drawn_once_and_held_no_longer_than_its_photo():
    photo = read_photo(saved(corners()))
    first = thumbnail(photo, 96)
    assert thumbnail(photo, 96) is first
    assert thumbnail(photo, 96, square=True) != first
    held = weakref.ref(photo)
    del photo
    gc.collect()
    assert held() is None
