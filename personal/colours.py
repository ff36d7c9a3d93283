"""What a picture's numbers mean: any of Pillow's modes brought to 8 bits a channel, any colour space to sRGB.

A colour space is told by an ICC profile, or by code points (ITU-T H.273, "CICP") and chromaticities. Serves
`personal.images` alone, which says in what order; knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Floats = npt.NDArray[np.float32]

SDR_WHITE_NITS = 203.0
"""Luminance of diffuse white in PQ, and of 75 % HLG on a display of 1000 nits (ITU-R BT.2408, table 1)."""

HLG_PEAK_NITS = 1000.0
HLG_GAMMA = 1.2
PQ, HLG = "pq", "hlg"

D65 = (0.3127, 0.3290)
SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES = {  # ITU-T H.273, table 2: red, green and blue (x, y), then white
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65),
    10: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *D65),
}
_TRANSFERS: dict[int, float | str] = {4: 2.2, 5: 2.8, 8: 1.0, 16: PQ, 17: 2.6, 18: HLG}
"""ITU-T H.273, table 3. All others, the curves of television among them, are shown as sRGB, as browsers do."""

_SCALES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0, 2.0**24 - 1, 2.0**32 - 1)
"""What is white in pictures of numbers: fractions, and 8, 10, 12, 14, 16, 24 and 32 bits."""

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_STEPS = 1 << 14


@dataclass(frozen=True, slots=True)
class Coding:
    """A colour space without a profile: primaries and white (x, y), and a gamma, PQ, HLG or None for sRGB's curve.

    With `narrow` black is 16 and white 235 (ITU-T H.273, VideoFullRangeFlag 0).
    """

    primaries: tuple[float, ...]
    transfer: float | str | None = None
    narrow: bool = False

    @property
    def is_hdr(self) -> bool:
        """Whether white is not the brightest of it."""
        return self.transfer in (PQ, HLG)


def by_code_points(primaries: int, transfer: int, *, narrow: bool = False) -> Coding | None:
    """Return the colour space of a pair of code points, or None where it is sRGB or unknown."""
    known = _PRIMARIES.get(primaries, (*SRGB_PRIMARIES, *D65))
    coding = Coding(known, _TRANSFERS.get(transfer), narrow)
    return None if coding == Coding((*SRGB_PRIMARIES, *D65)) else coding


def by_chromaticities(gamma: float | None, points: tuple[float, ...] | None) -> Coding | None:
    """Return the colour space of a PNG's gAMA and cHRM (white first), or None where it is sRGB or makes no sense."""
    known = (*points[2:], *points[:2]) if points and len(points) == 8 else (*SRGB_PRIMARIES, *D65)
    usual = all(abs(a - b) < 0.002 for a, b in zip(known, (*SRGB_PRIMARIES, *D65), strict=True))
    if usual and (not gamma or abs(gamma - 1 / 2.2) < 0.02):
        return None
    coding = Coding(known, 1 / gamma if gamma else None)
    try:
        matrix = _to_srgb_matrix(known)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return None
    return coding if np.isfinite(matrix).all() and (not gamma or 0.1 < gamma < 10) else None


def eight_bit(image: Image.Image) -> Image.Image:
    """Bring any of Pillow's modes to L, LA, RGB, RGBA, CMYK, YCbCr or LAB; transparency in any form becomes alpha."""
    if image.mode == "F" or image.mode.startswith("I"):
        return shown(np.asarray(image))
    if image.mode == "LA":
        return image
    if image.has_transparency_data or image.mode in ("PA", "La", "RGBa"):
        return image.convert("RGBA")
    return image.convert({"1": "L", "P": "RGB", "RGBX": "RGB", "HSV": "RGB"}.get(image.mode, image.mode))


def shown(samples: npt.NDArray[Any]) -> Image.Image:
    """Turn numbers of any size, (height, width) or (height, width, 3 or 4), into a picture of 8 bits.

    White is the least of the usual whites that the brightest fit under; where that would leave a picture in the dark,
    or numbers are negative, they are stretched. Infinities are black or white, what is no number is black.
    """
    if samples.dtype.kind == "u" and samples.dtype.itemsize == 2:
        white = _white(max(255.0, float(samples.max())))
        return Image.fromarray((np.arange(65_536) * (255 / white) + 0.5).clip(0, 255).astype(np.uint8)[samples])
    out = np.empty(samples.shape, np.uint8)
    low, high = _range(samples)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(samples), 128):
            values = np.asarray(samples[start : start + 128], np.float32)
            scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * (255 / (high - low))
            out[start : start + 128] = (scaled + 0.5).clip(0, 255)
    return Image.fromarray(out)


def to_srgb(image: Image.Image, profile: bytes | None, coding: Coding | None = None) -> Image.Image:
    """Return RGB pixels in sRGB, by the colour profile where it fits the pixels, or by `coding`; alpha is left out.

    A `coding` of high dynamic range goes before the profile: profiles cannot say it.
    """
    if coding is not None and (coding.is_hdr or not profile):
        return _decoded(image.convert("RGB"), coding)
    plain = {"LA": "L", "RGBA": "RGB", "YCbCr": "RGB"}.get(image.mode, image.mode)
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif profile:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
        else:
            return image.convert("RGB")
        mode = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}[source.profile.xcolor_space.strip()]
        if mode != plain and (mode, plain) not in {("RGB", "L"), ("L", "RGB")}:
            return image.convert("RGB")
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        converted = ImageCms.profileToProfile(image.convert(mode), source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, KeyError):
        return image.convert("RGB")  # a broken profile: colours as they are, like every viewer
    assert converted is not None  # None only with inPlace=True
    return converted


def _white(brightest: float) -> float:
    """Return the least usual white that a brightest number fits under, or the number itself."""
    return next((scale for scale in _SCALES if brightest <= scale * 1.01), brightest)


def _range(samples: npt.NDArray[Any]) -> tuple[float, float]:
    """Return what is black and what is white, by where all but the most extreme thousandths of the numbers lie."""
    some = samples.reshape(-1)[:: max(1, samples.size // 1_000_000)].astype(np.float64)
    some = some[np.isfinite(some) & (np.abs(some) < 1e30)]
    low, high = (float(value) for value in np.quantile(some, (0.001, 0.999))) if some.size else (0.0, 1.0)
    if low >= -0.02 * abs(high):
        white = _white(high)
        low, high = 0.0, white if high >= white / 4 else high
    return low, high if high > low else low + 1.0


def _decoded(image: Image.Image, coding: Coding) -> Image.Image:
    """Decode to linear light, change primaries, encode as sRGB; what sRGB cannot show is clipped."""
    codes = np.asarray(image)
    curve = _curve(coding.transfer, coding.narrow)
    matrix = _to_srgb_matrix(coding.primaries).astype(np.float32).T
    out = np.empty_like(codes)
    for start in range(0, len(codes), 128):
        light = curve[codes[start : start + 128]]
        if coding.transfer == HLG:
            light = _hlg_display(light)
        steps = (light @ matrix).clip(0, 1) * (_STEPS - 1) + 0.5
        out[start : start + 128] = _encoding()[steps.astype(np.int32)]
    return Image.fromarray(out)


def _hlg_display(scene: Floats) -> Floats:
    """Apply HLG's system gamma (ITU-R BT.2100, table 5: OOTF) for a display of 1000 nits; diffuse white becomes 1."""
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    gain = (HLG_PEAK_NITS / SDR_WHITE_NITS) * luminance ** np.float32(HLG_GAMMA - 1)
    return scene * gain[..., None]


@lru_cache(maxsize=16)
def _curve(transfer: float | str | None, narrow: bool) -> Floats:
    """Return the linear light of each of 256 codes; diffuse white is 1, save in HLG, whose peak is."""
    code = np.arange(256) / 255.0
    if narrow:
        code = ((np.arange(256) - 16) / 219.0).clip(0, 1)
    if transfer == PQ:  # SMPTE ST 2084
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        root = code ** (1 / m2)
        light = 10_000 / SDR_WHITE_NITS * ((root - c1).clip(0) / (c2 - c3 * root)) ** (1 / m1)
    elif transfer == HLG:  # ITU-R BT.2100, table 5
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    elif isinstance(transfer, float):
        light = code**transfer
    else:
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@lru_cache(maxsize=1)
def _encoding() -> npt.NDArray[np.uint8]:
    """Return sRGB's codes of linear light in equal steps from 0 to 1 (IEC 61966-2-1)."""
    light = np.arange(_STEPS) / (_STEPS - 1)
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return (code * 255 + 0.5).astype(np.uint8)


@lru_cache(maxsize=16)
def _to_srgb_matrix(primaries: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the matrix from linear RGB to linear sRGB, white to white (Bradford)."""
    here, white = _to_xyz(primaries)
    there, d65 = _to_xyz((*SRGB_PRIMARIES, *D65))
    cones = np.diag((_BRADFORD @ d65) / (_BRADFORD @ white))
    adapted = np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD
    matrix: npt.NDArray[np.float64] = np.linalg.inv(there) @ adapted @ here
    return matrix


def _to_xyz(primaries: tuple[float, ...]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the matrix from linear RGB to XYZ, and white's XYZ (SMPTE RP 177)."""
    x, y = np.array(primaries).reshape(4, 2).T
    with np.errstate(divide="ignore", invalid="ignore"):
        white = np.array([x[3] / y[3], 1.0, (1 - x[3] - y[3]) / y[3]])
        columns = np.array([x[:3], y[:3], 1 - x[:3] - y[:3]])
    return columns * np.linalg.solve(columns, white), white
