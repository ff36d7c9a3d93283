"""Pictures as people have them: padded, wide, of high dynamic range, raw, unfinished, of odd numbers."""

from __future__ import annotations

import contextlib
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from personal.errors import ImageError
from personal.images import open_photo, read_photo
from personal.quality import quality_hints
from personal.signatures import is_picture
from tests.test_images import busy, chunk, refusal, saved, swapped_profile

pillow_heif.register_heif_opener()


def noisy(size=(640, 480), seed=0):
    """Pixels that do not compress, so that coded data is long."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def pixels(photo):
    return np.asarray(open_photo(photo)).astype(float)


# -- whole or not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize(
    "padding",
    [
        bytes(5000),
        struct.pack(">I", 4096) + b"free" + bytes(4088),
        struct.pack(">I", 4096) + b"skip" + bytes(4088) + bytes(3000),
        struct.pack(">IIQ", 1, int.from_bytes(b"free", "big"), 4096) + bytes(4080),
        b"\0",
    ],
    ids=["zeros", "free box", "skip box and zeros", "free box of 64 bits", "one zero"],
)
def test_a_picture_that_ends_in_padding_is_whole(format, padding):
    data = saved(busy((640, 480)), format)
    assert np.abs(pixels(read_photo(data + padding)) - pixels(read_photo(data))).max() == 0


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_a_media_box_that_is_larger_than_its_picture_is_whole(format):
    data = bytearray(saved(busy((640, 480)), format))
    at = data.index(b"mdat") - 4
    assert at + int.from_bytes(data[at : at + 4], "big") == len(data)
    data[at : at + 4] = struct.pack(">I", len(data) - at + 4000)
    assert read_photo(bytes(data) + bytes(4000)).width == 640
    data[at : at + 4] = bytes(4)  # to the end of the file
    assert read_photo(bytes(data) + bytes(4000)).width == 640


@pytest.mark.parametrize("format", ["WEBP", "HEIF", "AVIF"])
def test_metadata_that_ends_in_zeros_is_no_damage(format):
    exif = Image.Exif()
    exif[0x010E] = "street"
    data = saved(busy((640, 480)), format, exif=exif.tobytes() + bytes(3000))
    assert read_photo(data).width == 640


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("tail", [b"", struct.pack(">I", 4096) + b"free" + bytes(4088)], ids=["zeros", "then a box"])
def test_a_download_that_was_never_filled_is_still_called_damaged(format, kept, tail):
    data = saved(noisy(), format)
    filled = int(len(data) * kept)
    assert "is damaged or cut short" in refusal(data[:filled] + bytes(len(data) - filled) + tail)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("spoil", [lambda d: d[:-2], lambda d: d[:-1], lambda d: d[:-2] + bytes(4000)])
def test_a_jpeg_without_its_end_marker_is_read_with_a_hint(progressive, spoil):
    for seed in range(8):
        data = saved(noisy((200 + seed, 120), seed), "JPEG", progressive=progressive)
        photo = read_photo(spoil(data))
        assert np.abs(pixels(photo) - pixels(read_photo(data))).max() == 0 or progressive
        assert "no end marker" in photo.hint
        assert photo.hint in quality_hints(photo)
        assert photo.jpeg.endswith(b"\xff\xd9")
        assert read_photo(data).hint == read_photo(photo.jpeg).hint == ""


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("cut", [20, 100, 3000])
@pytest.mark.parametrize("padding", [0, 5000])
def test_a_jpeg_that_lacks_more_than_its_end_marker_is_refused(progressive, cut, padding):
    data = saved(noisy((300, 200)), "JPEG", progressive=progressive)
    assert "is damaged or cut short" in refusal(data[:-cut] + bytes(padding))


# -- panoramas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_wide_panorama_is_shown_whole(format):
    photo = read_photo(saved(busy((9600, 480)), format))
    assert (photo.width, photo.height, photo.hint) == (1536, 77, "")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("upright", [True, False])
def test_of_a_picture_too_long_to_shrink_the_middle_is_kept_with_a_hint(format, upright):
    image = Image.new("RGB", (16_000, 100), "red")
    image.paste("blue", (7000, 0, 9000, 100))
    exif = Image.Exif()
    if not upright:
        exif[0x0112] = 6
    photo = read_photo(saved(image, format, exif=exif))
    sides = (photo.width, photo.height) if upright else (photo.height, photo.width)
    assert sides == (1536, 64)
    assert "only its middle" in photo.hint
    seen = pixels(photo)
    middle, end = seen[photo.height // 2, photo.width // 2], seen[2, 2]
    assert middle[2] > 200 > 60 > middle[0]
    assert end[0] > 200 > 60 > end[2]
    assert read_photo(photo.jpeg) == photo


def test_a_tall_strip_and_a_small_limit_are_never_too_small():
    assert read_photo(saved(busy((20, 4000)))).height == 480
    small = read_photo(saved(busy((4000, 100))), max_side=200)
    assert (small.width, small.height) == (200, 16)


# -- high dynamic range and wide gamut ---------------------------------------------------------------------------------

XYZ = {  # linear RGB to XYZ, from the standards' tables
    "sRGB": [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
    "P3": [[0.48657, 0.26567, 0.19822], [0.22897, 0.69174, 0.07929], [0.0, 0.04511, 1.04394]],
    "2020": [[0.636958, 0.144617, 0.168881], [0.262700, 0.677998, 0.059302], [0.0, 0.028073, 1.060985]],
}


def linear(srgb):
    """sRGB's 0..1 to linear light, IEC 61966-2-1."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def srgb(light):
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def pq(light):
    """Linear light, 1 = 203 cd/m², to PQ: SMPTE ST 2084's inverse EOTF."""
    y = (np.clip(light, 0, None) * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(light):
    """Linear light on a display of 1000 cd/m², 1 = 203 cd/m², to HLG: BT.2100's inverse OOTF, then its OETF."""
    display = np.clip(light, 0, None) * 203 / 1000
    luminance = display @ np.array([0.2627, 0.6780, 0.0593])
    scene = display * np.maximum(luminance, 1e-9)[..., None] ** ((1 - 1.2) / 1.2)
    curve = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), curve)


CODINGS = {  # primaries, transfer (ITU-T H.273), how light is coded
    "PQ": (9, 16, "2020", pq),
    "HLG": (9, 18, "2020", hlg),
    "PQ in P3": (12, 16, "P3", pq),
    "Display P3": (12, 13, "P3", srgb),
    "BT.2020": (9, 13, "2020", srgb),
    "linear": (1, 8, "sRGB", lambda light: np.clip(light, 0, 1)),
    "gamma 2.2": (1, 4, "sRGB", lambda light: np.clip(light, 0, 1) ** (1 / 2.2)),
}


def scene(size=(256, 192)):
    """A colourful picture in sRGB, smooth, from dark to white."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    return np.stack([x, y, (1 - x) * 0.8 + 0.2 * y], -1)


def coded(name, picture, bright=1.0):
    """The picture's codes, 0..1, in another coding; `bright` times as much light."""
    primaries, transfer, space, encode = CODINGS[name]
    light = linear(picture) * bright @ np.array(XYZ["sRGB"]).T @ np.linalg.inv(XYZ[space]).T
    if name == "gamma 2.2":  # BT.470M, system M: other primaries
        return encode(light), 1, 4
    return encode(light), primaries, transfer


def as_png(codes, primaries, transfer, *, bits=8, full=1):
    most = 2**bits - 1
    whole = (codes * most + 0.5).astype(np.uint16)
    if not full:
        whole = (16 + codes * 219 + 0.5).astype(np.uint16)
    rows = whole.astype(">u2" if bits == 16 else np.uint8)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", codes.shape[1], codes.shape[0], bits, 2, 0, 0, 0)
    cicp = chunk(b"cICP", bytes([primaries, transfer, 0, full]))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + cicp + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    )


def as_heic(codes, primaries, transfer, *, bits=10):
    if bits == 8:
        data, mode = (codes * 255 + 0.5).astype(np.uint8).tobytes(), "RGB"
    else:
        data, mode = (codes * 65535).astype(np.uint16).tobytes(), "RGB;16"
    image = pillow_heif.from_bytes(mode, codes.shape[1::-1], data)
    stream = BytesIO()
    told = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 1}
    image.save(stream, quality=95, chroma=444, full_range_flag=1, save_nclx_profile=True, **told)
    return stream.getvalue()


def as_avif(codes, primaries, transfer):
    image = Image.fromarray((codes * 255 + 0.5).astype(np.uint8))
    data = bytearray(saved(image, "AVIF", quality=95, subsampling="4:4:4"))
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


@pytest.mark.parametrize("container", [as_png, as_heic, as_avif])
@pytest.mark.parametrize("name", [name for name in CODINGS if name != "gamma 2.2"])
def test_colours_told_by_code_points_come_out_in_srgb(container, name):
    picture = scene()
    codes, primaries, transfer = coded(name, picture)
    error = np.abs(pixels(read_photo(container(codes, primaries, transfer))) - picture * 255).mean()
    plain = np.abs(codes - picture).mean() * 255
    assert error < 4
    assert error < plain


@pytest.mark.parametrize("name", ["PQ", "HLG"])
@pytest.mark.parametrize("container", [as_png, as_heic, as_avif])
def test_what_is_brighter_than_white_is_white_and_the_rest_stays(container, name):
    picture = scene()
    codes, primaries, transfer = coded(name, picture, bright=3.0)
    expected = srgb(linear(picture) * 3) * 255
    assert np.abs(pixels(read_photo(container(codes, primaries, transfer))) - expected).mean() < 8


@pytest.mark.parametrize("name", ["PQ", "HLG", "Display P3"])
def test_sixteen_bits_and_the_narrow_range_are_decoded_too(name):
    picture = scene()
    codes, primaries, transfer = coded(name, picture)
    for data in (as_png(codes, primaries, transfer, bits=16), as_png(codes, primaries, transfer, full=0)):
        assert np.abs(pixels(read_photo(data)) - picture * 255).mean() < 4


def test_code_points_go_before_a_profile_in_a_png_and_for_high_dynamic_range():
    picture = scene()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    codes, primaries, transfer = coded("PQ", picture)
    data = as_png(codes, primaries, transfer)
    at = data.index(b"IDAT") - 4
    data = data[:at] + chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(profile)) + data[at:]
    assert np.abs(pixels(read_photo(data)) - picture * 255).mean() < 4


@pytest.mark.parametrize(
    ("gamma", "space", "chromaticities"),
    [
        (1.0, "sRGB", (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)),
        (1 / 1.8, "sRGB", None),
        (1 / 2.2, "P3", (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
        (1 / 2.2, "2020", (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
        (1 / 2.2, "sRGB", (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)),
    ],
)
def test_colours_told_by_gamma_and_chromaticities_come_out_in_srgb(gamma, space, chromaticities):
    picture = scene()
    light = linear(picture) @ np.array(XYZ["sRGB"]).T @ np.linalg.inv(XYZ[space]).T
    plain = saved(Image.fromarray((np.clip(light, 0, 1) ** gamma * 255 + 0.5).astype(np.uint8)))
    more = chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    if chromaticities:
        more += chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in chromaticities)))
    at = plain.index(b"IDAT") - 4
    assert np.abs(pixels(read_photo(plain[:at] + more + plain[at:])) - picture * 255).mean() < 4
    declared = plain[:at] + chunk(b"sRGB", b"\0") + more + plain[at:]
    assert read_photo(declared) == read_photo(plain)


@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"cHRM", bytes(32)),
        chunk(b"cHRM", struct.pack(">8I", *[31270] * 8)),
        chunk(b"gAMA", bytes(4)),
        chunk(b"gAMA", struct.pack(">I", 2**31 - 1)),
        chunk(b"cICP", b"\x02\x02\0\1"),
        chunk(b"cICP", b"\xff\xff\xff\xff"),
        chunk(b"cICP", b"\x09"),
    ],
)
def test_colours_that_make_no_sense_are_shown_as_they_are(odd):
    plain = saved(busy())
    at = plain.index(b"IDAT") - 4
    assert read_photo(plain[:at] + odd + plain[at:]) == read_photo(plain)


def test_transparency_survives_a_change_of_colours():
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 255))
    image.paste((0, 0, 0, 0), (0, 0, 32, 64))
    plain = saved(image)
    at = plain.index(b"IDAT") - 4
    photo = read_photo(plain[:at] + chunk(b"cICP", b"\x0c\x0d\0\1") + plain[at:])
    assert pixels(photo).min() > 250


# -- raw photos --------------------------------------------------------------------------------------------------------


def tiff(*directories, order="<", magic=b"", extra=b"", big=False):
    """A TIFF of directories of (tag, type, values); an IFD as value means its offset, "next" chains it."""
    offset, count, width = ("Q", "Q", 8) if big else ("I", "H", 4)
    number = 43 if big else 42
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", number)
    head += struct.pack(f"{order}HH", 8, 0) * big + struct.pack(order + offset, 0) + magic
    body = bytearray(head + extra)
    offsets = {}
    sizes = {1: "B", 2: "B", 3: "H", 4: "I", 13: "I", 7: "B"}
    for number in reversed(range(len(directories))):
        entries, after = directories[number]
        fields = b""
        for tag, kind, values in sorted(entries):
            values = [offsets[v[1]] if isinstance(v, tuple) else v for v in values]
            packed = struct.pack(f"{order}{len(values)}{sizes[kind]}", *values)
            if len(packed) > width:
                body += bytes(len(body) % 2)
                place, packed = len(body), packed
                body += packed
                packed = struct.pack(order + offset, place)
            fields += struct.pack(f"{order}HH{offset}", tag, kind, len(values)) + packed.ljust(width, b"\0")
        body += bytes(len(body) % 2)
        offsets[number] = len(body)
        following = offsets[after] if after is not None else 0
        body += struct.pack(order + count, len(entries)) + fields + struct.pack(order + offset, following)
    struct.pack_into(order + offset, body, 8 if big else 4, offsets[0])
    return bytes(body)


THUMBNAIL = bytes(range(256)) * 48  # 64 × 64 pixels of RGB
AT = 16
PREVIEW = [
    (254, 4, [1]), (256, 4, [64]), (257, 4, [64]), (258, 3, [8, 8, 8]), (259, 3, [1]), (262, 3, [2]),
    (273, 4, [AT]), (277, 3, [3]), (278, 4, [64]), (279, 4, [len(THUMBNAIL)]),
]  # fmt: skip
SENSOR = [(254, 4, [0]), (256, 4, [4000]), (257, 4, [3000]), (258, 3, [14]), (277, 3, [1])]


def maker(name):
    return [(271, 2, list(name.encode() + b"\0"))]


def raw_photos(order):
    def made(*directories, magic=bytes(8)):
        return tiff(*directories, order=order, magic=magic, extra=THUMBNAIL)

    sub = [(330, 4, [("ifd", 1)])]
    mosaic = [*SENSOR, (262, 3, [32803]), (33421, 3, [2, 2]), (33422, 1, [0, 1, 1, 2])]
    yield "DNG", made((PREVIEW + sub + [(50706, 1, [1, 4, 0, 0])], None), (mosaic, None))
    yield "linear DNG", made((PREVIEW + sub, None), ([*SENSOR, (262, 3, [34892])], None))
    yield "NEF", made((PREVIEW + sub + maker("NIKON CORPORATION"), None), ([*SENSOR, (259, 3, [34713])], None))
    yield "ARW", made((PREVIEW + sub + maker("SONY"), None), ([*SENSOR, (259, 3, [32767])], None))
    yield "PEF", made((PREVIEW, 1), ([*SENSOR, (259, 3, [65535]), (262, 3, [32803])], None))
    yield "another's", made((PREVIEW + sub + maker("Somebody"), None), (SENSOR, None))
    full = [entry for entry in PREVIEW if entry[0] != 254]
    yield "CR2", made((full, 1), (SENSOR, None), magic=b"CR\2\0" + bytes(4))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_raw_photo_is_recognised_and_its_thumbnail_is_not_taken_for_it(order, tmp_path: Path):
    for name, data in raw_photos(order):
        with Image.open(BytesIO(data)) as thumbnail:
            assert thumbnail.size == (64, 64)  # Pillow takes it
        path = tmp_path / f"photo.{name}"
        path.write_bytes(data)
        assert refusal(path).startswith(f"photo.{name} is a raw photo"), name
        assert "export it as JPEG" in refusal(data)
        assert is_picture(data[:64])


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"FUJIFILMCCD-RAW 0201FF383501X-T3",
        b"IIU\0\x08\0\0\0",
        b"IIRO\x08\0\0\0",
        b"IIRS\x08\0\0\0",
        b"MMOR\0\0\0\x08",
        b"\0MRM\0\0\0\0",
        b"FOVb\0\0\2\0",
        b"II\x1a\0\0\0HEAPCCDR",
    ],
    ids=["CR3", "RAF", "RW2", "ORF", "ORF S", "ORF M", "MRW", "X3F", "CRW"],
)
def test_raw_photos_that_are_no_tiff_are_recognised(head):
    assert "is a raw photo" in refusal(head + saved(busy(), "JPEG") + bytes(100))


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_ordinary_tiff_with_a_maker_or_previews_is_no_raw_photo(order):
    full = [entry for entry in PREVIEW if entry[0] != 254]
    small = [(254, 4, [1]), *full]
    data = tiff((full + maker("Canon"), None), order=order, magic=bytes(8), extra=THUMBNAIL)
    assert read_photo(data).width == 64
    data = tiff(([*full, (330, 4, [("ifd", 1)])], None), (small, None), order=order, magic=bytes(8), extra=THUMBNAIL)
    assert read_photo(data).width == 64
    assert read_photo(saved(busy(), "TIFF", save_all=True, append_images=[busy((60, 40))])).width == 240


def test_a_tiff_that_points_everywhere_is_answered_at_once():
    import time

    began = time.process_time()
    entries = [(tag, 4, [1] * 60_000) for tag in (254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 330, 339)]
    data = tiff((entries, None), (entries, None), extra=bytes(2**20))
    assert refusal(data)
    assert time.process_time() - began < 10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(12))
def test_a_tiff_of_broken_directories_gives_a_photo_or_a_message(seed):
    rng = np.random.default_rng(seed)
    for _, data in raw_photos("<"):
        spoilt = bytearray(data)
        for place in rng.integers(len(THUMBNAIL), len(data), 12):
            spoilt[place] = rng.integers(0, 256)
        with contextlib.suppress(ImageError):
            assert read_photo(bytes(spoilt)).jpeg


# -- odd numbers -------------------------------------------------------------------------------------------------------


def ramp(low, high, dtype, size=(256, 64)):
    return np.tile(np.linspace(low, high, size[0]), (size[1], 1)).astype(dtype)


def spread(data):
    seen = pixels(read_photo(data)).mean(axis=(0, 2))
    return seen[2], seen[len(seen) // 2], seen[-3]


@pytest.mark.parametrize("format", ["TIFF", "PNG"])
@pytest.mark.parametrize("most", [1023, 4095, 16383, 65535])
def test_twelve_bits_in_sixteen_are_not_black(format, most):
    dark, middle, light = spread(saved(Image.fromarray(ramp(0, most, np.uint16)), format))
    assert dark < 8
    assert abs(middle - 128) < 6
    assert light > 247


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 255), (0, 4095), (0, 65535), (0, 0.001), (0, 7.5), (0, 1e6), (-1, 1), (-300, 4000)]
)
def test_floats_of_any_range_are_spread_from_black_to_white(low, high):
    dark, middle, light = spread(saved(Image.fromarray(ramp(low, high, np.float32)), "TIFF"))
    assert dark < 8
    assert abs(middle - 128) < 6
    assert light > 247


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e9])
@pytest.mark.parametrize("most", [1, 255, 65535])
def test_a_few_odd_values_do_not_make_a_picture_black(odd, most):
    values = ramp(0, most, np.float32)
    values[:4, 100] = odd
    dark, middle, light = spread(saved(Image.fromarray(values), "TIFF"))
    assert dark < 8
    assert abs(middle - 128) < 12
    assert light > 247


def test_a_picture_of_no_numbers_at_all_is_black_and_no_error():
    assert pixels(read_photo(saved(Image.fromarray(np.full((32, 32), np.nan, np.float32)), "TIFF"))).max() == 0


def predicted(part, predictor, order):
    """A strip or tile as a predictor leaves it, in bytes."""
    if predictor == 2:
        whole = part.view(f"u{part.dtype.itemsize}")
        part = np.concatenate([whole[:, :1], np.diff(whole, axis=1)], axis=1)
    if predictor == 3:
        rows, columns, channels = part.shape
        planes = part.astype(part.dtype.newbyteorder(">")).view(np.uint8).reshape(rows, columns * channels, -1)
        planes = planes.transpose(0, 2, 1).reshape(rows, -1, channels)
        return np.concatenate([planes[:, :1], np.diff(planes, axis=1)], axis=1).tobytes()
    return part.astype(part.dtype.newbyteorder(order)).tobytes()


def compressed(part, compression):
    if compression == 1:
        return part
    if compression == 8:
        return zlib.compress(part)
    grey = Image.frombytes("L", (len(part), 1), part)  # libtiff, by way of Pillow
    with Image.open(BytesIO(saved(grey, "TIFF", compression={5: "tiff_lzw", 32773: "packbits"}[compression]))) as image:
        place, size = image.tag_v2[273][0], image.tag_v2[279][0]
        image.fp.seek(place)
        return image.fp.read(size)


def deep_tiff(
    samples, *, order="<", compression=1, predictor=1, rows=16, tile=0, planar=1, photometric=2, extra=2, turned=1,
    profile=b"", big=False, bits=0,
):  # fmt: skip
    """A TIFF of any depth, (height, width, channels), in strips of some rows or in square tiles."""
    height, width, count = samples.shape
    form = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    parts = []
    for plane in [samples] if planar == 1 else np.split(samples, count, axis=2):
        if not tile:
            parts += [plane[at : at + rows] for at in range(0, height, rows)]
            continue
        filled = np.pad(plane, [(0, -height % tile), (0, -width % tile), (0, 0)], constant_values=7)
        parts += [
            filled[top : top + tile, left : left + tile]
            for top in range(0, height, tile)
            for left in range(0, width, tile)
        ]
    parts = [compressed(predicted(np.ascontiguousarray(part), predictor, order), compression) for part in parts]
    offsets = [(16 if big else 8) + sum(map(len, parts[:i])) for i in range(len(parts))]
    colours = {2: 3, 5: 4}.get(photometric, 1)
    entries = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits or samples.dtype.itemsize * 8] * count),
        (259, 3, [compression]), (262, 3, [photometric]), (274, 3, [turned]), (277, 3, [count]), (284, 3, [planar]),
        (317, 3, [predictor]), (339, 3, [form] * count),
        *([(338, 3, [extra] * (count - colours))] if count > colours else []),
        *([(34675, 7, list(profile))] if profile else []),
    ]  # fmt: skip
    sizes = list(map(len, parts))
    if tile:
        entries += [(322, 3, [tile]), (323, 3, [tile]), (324, 4, offsets), (325, 4, sizes)]
    else:
        entries += [(273, 4, offsets), (278, 4, [rows]), (279, 4, sizes)]
    return tiff((entries, None), order=order, extra=b"".join(parts), big=big)


def deep_png(samples):
    """A PNG of 16 bits a channel: (height, width, 3 or 4), big-endian."""
    height, width, channels = samples.shape
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("compression", "predictor"), [(1, 1), (1, 2), (8, 1), (8, 2)])
@pytest.mark.parametrize("most", [1023, 4095, 65535])
def test_colours_of_twelve_bits_in_sixteen_are_not_black(order, compression, predictor, most):
    samples = (scene((96, 72)) * most).astype(np.uint16)
    photo = read_photo(deep_tiff(samples, order=order, compression=compression, predictor=predictor))
    assert np.abs(pixels(photo) - scene((96, 72)) * 255).mean() < 4


DEEP = [(np.uint16, 4095), (np.uint16, 65535), (np.uint32, 2**32 - 1), (np.int16, 32767), (np.float32, 1.0)]
ARRANGED = {
    "strips": {},
    "tiles": {"tile": 32},
    "planes": {"planar": 2},
    "tiled planes": {"planar": 2, "tile": 32},
    "BigTIFF": {"big": True, "tile": 32},
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("arranged", ARRANGED)
@pytest.mark.parametrize(("compression", "predictor"), [(1, 1), (5, 1), (5, 2), (8, 2), (32773, 1)])
def test_deep_colours_are_read_however_they_are_arranged(order, arranged, compression, predictor):
    options = dict(ARRANGED[arranged], order=order, compression=compression, predictor=predictor)
    for type_, most in DEEP:
        data = deep_tiff((scene((96, 72)) * most).astype(type_), **options)
        assert np.abs(pixels(read_photo(data)) - scene((96, 72)) * 255).mean() < 4, (type_, most)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("arranged", ARRANGED)
@pytest.mark.parametrize("photometric", [0, 1])
def test_deep_greys_are_read_however_they_are_arranged_and_whatever_is_white(order, arranged, photometric):
    grey = scene((96, 72)).mean(axis=2, keepdims=True)
    for type_, most in (*DEEP, (np.int32, 2**31 - 1), (np.float64, 4095.0)):
        stored = (grey if photometric else 1 - grey) * most
        data = deep_tiff(
            stored.astype(type_), photometric=photometric, order=order, compression=5, **ARRANGED[arranged]
        )
        assert np.abs(pixels(read_photo(data)) - grey * 255).mean() < 4, (type_, most)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("type_", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("arranged", ARRANGED)
def test_floats_are_read_with_their_own_predictor(order, type_, arranged):
    data = deep_tiff(scene((96, 72)).astype(type_), order=order, compression=8, predictor=3, **ARRANGED[arranged])
    assert np.abs(pixels(read_photo(data)) - scene((96, 72)) * 255).mean() < 4


def test_inks_of_twelve_bits_in_sixteen_are_not_white():
    inks = np.concatenate([1 - scene((96, 72)), np.zeros((72, 96, 1))], axis=2)
    for planar in (1, 2):
        photo = read_photo(deep_tiff((inks * 4095).astype(np.uint16), photometric=5, planar=planar))
        assert np.abs(pixels(photo) - scene((96, 72)) * 255).mean() < 4


@pytest.mark.parametrize(("extra", "left"), [(0, 100), (1, 255), (2, 178)])
def test_what_follows_deep_colours_is_alpha_only_where_the_file_says_so(extra, left):
    samples = np.full((40, 40, 4), 65535, np.uint16)
    samples[:, :20, :3], samples[:, :20, 3] = 25700, 65535 * 100 // 255 + (65535 * 28 // 255 if extra == 2 else 0)
    photo = read_photo(deep_tiff(samples, extra=extra))
    assert abs(pixels(photo)[20, 8].mean() - left) < 8
    assert pixels(photo)[20, 32].mean() > 250


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("tile", [0, 32])
@pytest.mark.parametrize("compression", [1, 5])
def test_colours_of_eight_bits_are_read_however_they_are_arranged(planar, tile, compression):
    samples = (scene((96, 72)) * 255).astype(np.uint8)
    photo = read_photo(deep_tiff(samples, planar=planar, tile=tile, compression=compression))
    assert np.abs(pixels(photo) - samples).mean() < 4


@pytest.mark.parametrize("odd", [{"bits": 24}, {"bits": 10}, {"photometric": 8}, {"compression": 34712}])
def test_a_whole_tiff_that_cannot_be_read_is_not_called_damaged(odd):
    data = deep_tiff((scene((96, 72)) * 4095).astype(np.uint16), **{**odd, "compression": 1})
    if "compression" in odd:
        data = data.replace(struct.pack("<HHIH", 259, 3, 1, 1), struct.pack("<HHIH", 259, 3, 1, odd["compression"]))
    assert "a TIFF of a kind that cannot be read: save it as JPEG or PNG" in refusal(data)


def test_a_deep_tiff_whose_strips_are_missing_or_spoilt_is_called_damaged():
    samples = (scene((96, 72)) * 4095).astype(np.uint16)
    whole = deep_tiff(samples, compression=5)
    at = whole.index(struct.pack("<HHI", 257, 4, 1)) + 8
    assert "is damaged" in refusal(whole[:at] + struct.pack("<I", 96) + whole[at + 4 :])
    assert "is damaged" in refusal(whole[:8] + bytes(200) + whole[208:])


@pytest.mark.parametrize("most", [1023, 4095, 16383, 65535])
@pytest.mark.parametrize("alpha", [False, True])
def test_colours_of_twelve_bits_in_a_png_of_sixteen_are_not_dark(most, alpha):
    samples = (scene((96, 72)) * most).astype(">u2")
    if alpha:
        samples = np.concatenate([samples, np.full((*samples.shape[:2], 1), 65535, ">u2")], axis=2).astype(">u2")
    photo = read_photo(deep_png(samples))
    assert np.abs(pixels(photo) - scene((96, 72)) * 255).mean() < 4


def test_a_deep_png_that_breaks_off_is_called_damaged():
    data = deep_png((scene((96, 72)) * 4095).astype(">u2"))
    with pytest.raises(ImageError, match="damaged"):
        read_photo(data[: len(data) // 2])


@pytest.mark.parametrize("most", [1, 255, 65535])
@pytest.mark.parametrize("type_", [np.float16, np.float32, np.float64])
def test_colours_in_floating_point_are_read(type_, most):
    samples = (scene((96, 72)) * min(most, 60_000)).astype(type_)
    samples[3, 3] = np.nan
    samples[5, 5, 0] = np.inf
    photo = read_photo(deep_tiff(samples))
    assert np.abs(pixels(photo) - scene((96, 72)) * 255).mean() < (12 if most == 65535 else 4)


def test_deep_colours_keep_their_transparency_and_lie_upright():
    samples = np.full((40, 80, 4), 65535, np.uint16)
    samples[:, :40] = 0
    photo = read_photo(deep_tiff(samples, turned=6))
    assert (photo.width, photo.height) == (40, 80)
    assert pixels(photo).min() > 250


def test_deep_colours_keep_their_profile():
    samples = np.zeros((40, 40, 3), np.uint16)
    samples[..., 0] = 65535
    profile = swapped_profile()
    photo = read_photo(deep_tiff(samples, profile=profile))
    assert pixels(photo)[20, 20, 2] > 230 > 30 > pixels(photo)[20, 20, 0]


def test_deep_colours_that_are_cut_short_or_too_large_are_refused():
    data = deep_tiff((scene((96, 72)) * 4095).astype(np.uint16))
    assert "too many pixels" in refusal(data, max_pixels=96 * 72 - 1)
    cut = bytearray(data)
    at = cut.index(struct.pack("<HHI", 273, 4, 5)) + 8
    (place,) = struct.unpack_from("<I", cut, at)
    struct.pack_into("<I", cut, place + 16, len(data) - 10)
    assert "is damaged" in refusal(bytes(cut))
