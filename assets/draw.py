"""Draw the sample pictures and the logo: `python assets/draw.py [FOLDER]`, Pillow alone, the same pictures every time.

Three layers of words: brushes (shapes with light and shade), things (bo the dog, a mug, a camper van, furniture of the
world around them), pictures (who stands where). Coordinates are of a 1000-unit square; light falls from the upper left.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

HERE = Path(__file__).resolve().parent
SHARP = 2  # everything is drawn this much larger and reduced at the end
UNIT = 1.1  # pixels a unit in the layer of one thing
Point = tuple[float, float]

CREAM, WHITE, INK = "#f6ead8", "#fffaf0", "#38271f"
GINGER, RUST, TERRACOTTA = "#dd8a45", "#b9642c", "#c2552d"
MUSTARD, TEAL, SAGE, SKY, WOOD = "#eab043", "#3f8f8a", "#9db883", "#bfe0e6", "#c98f5a"


# Brushes


def mix(a: str, b: str, share: float) -> str:
    """Blend two #rrggbb colours; `share` is how much of `b`."""
    return "#" + "".join(
        f"{round(int(a[i : i + 2], 16) * (1 - share) + int(b[i : i + 2], 16) * share):02x}" for i in (1, 3, 5)
    )


def curve(points: Sequence[Point], closed: bool = True) -> list[Point]:
    """Return a smooth line through the points (Catmull-Rom)."""
    count = len(points)
    line = []
    for i in range(count if closed else count - 1):
        a, b, c, d = (
            points[(i + k) % count] if closed else points[min(max(i + k, 0), count - 1)] for k in (-1, 0, 1, 2)
        )
        for step in range(12):
            t = step / 12
            line.append(
                tuple(
                    0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
                    for p, q, r, s in zip(a, b, c, d, strict=True)
                )
            )
    return line if closed else [*line, points[-1]]  # type: ignore[return-value]


def oval(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> list[Point]:
    angle = math.radians(turn)
    ring = ((rx * math.cos(k * math.pi / 40), ry * math.sin(k * math.pi / 40)) for k in range(80))
    return [
        (x + u * math.cos(angle) - v * math.sin(angle), y + u * math.sin(angle) + v * math.cos(angle)) for u, v in ring
    ]


def box(x0: float, y0: float, x1: float, y1: float, r: float) -> list[Point]:
    centres = ((x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90), (x0 + r, y0 + r, 180), (x1 - r, y0 + r, 270))
    return [
        (x + r * math.cos(math.radians(start + k * 9)), y + r * math.sin(math.radians(start + k * 9)))
        for x, y, start in centres
        for k in range(11)
    ]


class Layer:
    """A transparent sheet to paint on; `scale` is pixels a unit."""

    def __init__(self, size: tuple[int, int], scale: float) -> None:
        self.image = Image.new("RGBA", size)
        self.scale = scale

    def mask(self, points: Sequence[Point]) -> Image.Image:
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon([(x * self.scale, y * self.scale) for x, y in points], fill=255)
        return mask

    def shape(
        self,
        points: Sequence[Point],
        colour: str,
        *,
        volume: float = 40,
        dark: str | None = None,
        inside: Sequence[Point] | None = None,
        fur: int = 0,
        opacity: float = 1.0,
    ) -> None:
        """Fill a shape; `volume` is how far its light reaches (0: flat), `inside` clips it, `fur` counts strokes."""
        mask = self.mask(points)
        if inside is not None:
            mask = ImageChops.multiply(mask, self.mask(inside))
        frame = mask.getbbox()
        if frame is None:
            return
        mask = mask.crop(frame)
        paint = Image.new("RGB", mask.size, colour)
        if volume:
            reach = volume * self.scale
            dark = dark or mix(colour, "#5a2418", 0.42)
            paint.paste(dark, mask=_rim(mask, -reach * 0.55, reach).point(lambda v: int(v * 0.75)))
            paint.paste(
                mix(colour, "#fff6df", 0.6), mask=_rim(mask, reach * 0.35, reach * 0.6).point(lambda v: int(v * 0.55))
            )
        if fur:
            self._fur(paint, colour, fur)
        if opacity < 1:
            mask = mask.point(lambda v: int(v * opacity))
        paint.putalpha(mask)
        self.image.alpha_composite(paint, frame[:2])

    def _fur(self, paint: Image.Image, colour: str, strokes: int) -> None:
        draw, chance = ImageDraw.Draw(paint, "RGBA"), random.Random(strokes)
        for _ in range(strokes):
            x, y = chance.uniform(0, paint.width), chance.uniform(0, paint.height)
            length, lean = chance.uniform(10, 24) * self.scale, chance.uniform(-0.5, 0.5)
            tone = mix(colour, chance.choice([RUST, "#fff0d2"]), 0.5)
            draw.line(
                (x, y, x + length * lean, y + length), fill=(*_rgb(tone), 70), width=max(1, round(2.4 * self.scale))
            )

    def line(self, points: Sequence[Point], colour: str, width: float) -> None:
        draw = ImageDraw.Draw(self.image)
        dots = [(x * self.scale, y * self.scale) for x, y in points]
        draw.line(dots, fill=colour, width=round(width * self.scale), joint="curve")
        r = width * self.scale / 2
        for x, y in (dots[0], dots[-1]):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def glow(self, x: float, y: float, r: float, colour: str, opacity: float) -> None:
        spot = ImageChops.invert(Image.radial_gradient("L")).resize((round(2 * r * self.scale),) * 2)
        spot = spot.point(lambda v: int(max(0, v - 75) * 255 / 180 * opacity))
        sheet = Image.new("RGBA", self.image.size, colour)
        whole = Image.new("L", self.image.size)
        whole.paste(spot, (round((x - r) * self.scale), round((y - r) * self.scale)))
        sheet.putalpha(whole)
        self.image.alpha_composite(sheet)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _rim(mask: Image.Image, shift: float, blur: float) -> Image.Image:
    """The part of a mask that a copy of it, moved and blurred, leaves uncovered."""
    pad = round(blur * 2) + 2
    wide = ImageOps.expand(mask, pad)
    small = wide.resize((max(1, wide.width // 3), max(1, wide.height // 3)), Image.Resampling.BOX)
    small = ImageChops.offset(small, round(shift / 3), round(shift / 3)).filter(ImageFilter.GaussianBlur(blur / 6))
    moved = small.resize(wide.size, Image.Resampling.BILINEAR).crop((pad, pad, pad + mask.width, pad + mask.height))
    return ImageChops.multiply(ImageChops.invert(moved), mask)


def thing(paint: Callable[..., None]) -> Callable[..., Image.Image]:
    """Turn a function that paints on a 1000-unit layer into one that returns the picture, cached by its arguments."""

    @cache
    def painted(*details: object) -> Image.Image:
        layer = Layer((round(1000 * UNIT),) * 2, UNIT)
        paint(layer, *details)
        return layer.image

    return painted


# Things


@thing
def bo_head(on: Layer, mood: str = "happy") -> None:
    for side in (-1, 1):
        ear = [(500 + side * x, y) for x, y in ((310, 470), (335, 270), (318, 118), (262, 128), (165, 215), (110, 320))]
        on.shape(curve(ear), GINGER, volume=26, fur=150)
        inner = [(500 + side * x, y) for x, y in ((288, 400), (296, 280), (290, 178), (230, 228), (180, 300))]
        on.shape(curve(inner), "#f3c9a5", volume=18)
    head = [
        (500, 195),
        (690, 225),
        (805, 380),
        (850, 570),
        (730, 735),
        (500, 800),
        (270, 735),
        (150, 570),
        (195, 380),
        (310, 225),
    ]
    outline = curve(head)
    on.shape(outline, GINGER, volume=55, fur=900)
    for side in (-1, 1):
        cheek = [(500 + side * x, y) for x, y in ((40, 620), (150, 520), (270, 490), (360, 560), (240, 740), (40, 810))]
        on.shape(curve(cheek), WHITE, volume=30, dark="#e2c39d", inside=outline, fur=220)
        on.shape(oval(500 + side * 150, 330, 44, 27, side * -18), "#fbe6c4", volume=8)
        on.glow(500 + side * 265, 590, 85, "#f08c6a", 0.45)
    on.shape(
        curve([(500, 480), (600, 545), (645, 650), (590, 745), (500, 770), (410, 745), (355, 650), (400, 545)]),
        WHITE,
        volume=28,
        dark="#e2c39d",
    )
    if mood == "sleepy":
        for side in (-1, 1):
            on.line(
                curve([(500 + side * 225, 455), (500 + side * 165, 482), (500 + side * 105, 462)], closed=False),
                INK,
                17,
            )
    else:
        for side in (-1, 1):
            on.shape(oval(500 + side * 165, 445, 43, 52), INK, volume=0)
            on.shape(oval(500 + side * 165, 462, 28, 28), "#6b3c22", volume=0)
            on.shape(oval(500 + side * 165, 452, 24, 28), "#1c120e", volume=0)
            on.shape(oval(500 + side * 165 - 14, 425, 15, 16), "#ffffff", volume=0)
            on.shape(oval(500 + side * 165 + 15, 468, 7, 7), "#ffffff", volume=0)
    if mood == "happy":
        on.shape(curve([(440, 688), (500, 705), (560, 688), (545, 770), (500, 800), (455, 770)]), "#7a2f2a", volume=10)
        on.shape(curve([(460, 735), (500, 722), (540, 735), (540, 815), (500, 848), (460, 815)]), "#ee8c86", volume=16)
        on.line([(500, 745), (500, 805)], "#cf6a66", 7)
    on.line([(500, 625), (500, 680)], INK, 11)
    on.line(
        curve([(395, 660), (420, 690), (462, 700), (500, 680), (538, 700), (580, 690), (605, 660)], closed=False),
        INK,
        11,
    )
    on.shape(curve([(500, 555), (565, 565), (560, 605), (500, 640), (440, 605), (435, 565)]), "#2b1c17", volume=0)
    on.shape(oval(480, 576, 22, 9, -8), "#8a746a", volume=0)


def _collar(on: Layer, x: float, y: float, r: float) -> None:
    band = curve([(x - r, y - 26), (x, y + 30), (x + r, y - 26), (x + r - 6, y + 14), (x, y + 74), (x - r + 6, y + 14)])
    on.shape(band, "#c8402f", volume=12)
    on.shape(oval(x, y + 82, 36, 36), MUSTARD, volume=14)
    on.shape(oval(x, y + 92, 13, 11), "#9a6a1c", volume=0)
    for dx in (-15, 0, 15):
        on.shape(oval(x + dx, y + 74 - (6 if dx == 0 else 0), 6, 7), "#9a6a1c", volume=0)


def _wear(on: Layer, head: Image.Image, x: float, y: float, size: float, tilt: float) -> None:
    """Put the head's centre at x, y."""
    side = round(size * on.scale)
    turned = head.resize((side, side), Image.Resampling.LANCZOS).rotate(tilt, Image.Resampling.BICUBIC)
    on.image.alpha_composite(turned, (max(0, round(x * on.scale - side / 2)), max(0, round(y * on.scale - side / 2))))


def _tail(on: Layer, x: float, y: float, size: float) -> None:
    on.shape(oval(x, y, size, size * 0.95), GINGER, volume=34, fur=260)
    on.shape(
        oval(x - size * 0.18, y + size * 0.12, size * 0.62, size * 0.58), "#fbe3c0", volume=24, dark="#dda66c", fur=120
    )
    on.shape(oval(x - size * 0.2, y + size * 0.2, size * 0.26, size * 0.24), GINGER, volume=12)


@thing
def bo_sitting(on: Layer, mood: str, tilt: float) -> None:
    _tail(on, 735, 640, 120)
    for side in (-1, 1):
        on.shape(oval(500 + side * 185, 845, 125, 110), GINGER, volume=45, fur=200)
        on.shape(oval(500 + side * 225, 925, 95, 42), WHITE, volume=18, dark="#dcbb93")
    body = curve([(500, 440), (650, 520), (715, 700), (690, 900), (500, 950), (310, 900), (285, 700), (350, 520)])
    on.shape(body, GINGER, volume=60, fur=600)
    on.shape(
        curve([(500, 470), (610, 560), (620, 700), (560, 830), (500, 860), (440, 830), (380, 700), (390, 560)]),
        WHITE,
        volume=34,
        dark="#e2c39d",
        fur=260,
    )
    for side in (-1, 1):
        on.shape(
            curve(
                [(500 + side * x, y) for x, y in ((30, 700), (110, 690), (128, 820), (120, 950), (25, 950), (22, 820))]
            ),
            GINGER,
            volume=28,
            fur=130,
        )
        on.shape(
            curve([(500 + side * x, y) for x, y in ((20, 890), (122, 885), (140, 950), (120, 972), (22, 972))]),
            WHITE,
            volume=18,
            dark="#dcbb93",
        )
        for dx in (55, 92):
            on.line([(500 + side * dx, 948), (500 + side * dx, 968)], "#c89f77", 6)
    _collar(on, 500, 580, 140)
    _wear(on, bo_head(mood), 500, 345, 690, tilt)


@thing
def bo_lying(on: Layer, mood: str, tilt: float) -> None:
    _tail(on, 880, 560, 100)
    body = curve(
        [(330, 560), (520, 500), (740, 500), (900, 600), (930, 760), (860, 850), (600, 870), (330, 860), (240, 720)]
    )
    on.shape(body, GINGER, volume=70, fur=900)
    on.shape(oval(790, 760, 140, 120), GINGER, volume=44, fur=240)
    on.shape(curve([(640, 830), (800, 815), (850, 850), (820, 885), (650, 885)]), WHITE, volume=20, dark="#dcbb93")
    on.shape(
        curve([(250, 640), (400, 610), (470, 720), (420, 840), (280, 850), (220, 760)]),
        WHITE,
        volume=36,
        dark="#e2c39d",
        fur=200,
    )
    for x in (200, 400):
        on.shape(
            curve([(x + 30, 780), (x + 130, 775), (x + 140, 880), (x - 60, 895), (x - 95, 860), (x - 50, 825)]),
            GINGER,
            volume=26,
            fur=80,
        )
        on.shape(
            curve([(x - 10, 825), (x + 10, 890), (x - 70, 898), (x - 105, 865), (x - 70, 828)]),
            WHITE,
            volume=18,
            dark="#dcbb93",
        )
    _collar(on, 335, 640, 120)
    _wear(on, bo_head(mood), 330, 435, 600, tilt)


@thing
def bo_standing(on: Layer, mood: str, tilt: float) -> None:
    _tail(on, 850, 440, 105)
    for x, tone in ((400, RUST), (800, RUST), (320, GINGER), (715, GINGER)):
        on.shape(
            curve([(x - 50, 650), (x + 70, 650), (x + 62, 800), (x + 48, 930), (x - 48, 930), (x - 42, 800)]),
            mix(GINGER, tone, 0.5),
            volume=28,
            fur=120,
        )
        on.shape(
            curve([(x - 46, 860), (x + 48, 860), (x + 54, 940), (x - 68, 945), (x - 74, 915)]),
            WHITE,
            volume=18,
            dark="#dcbb93",
        )
    body = curve(
        [(250, 560), (400, 470), (650, 460), (840, 490), (890, 610), (840, 740), (620, 770), (380, 790), (260, 720)]
    )
    on.shape(body, GINGER, volume=70, fur=900)
    on.shape(
        curve([(235, 570), (350, 560), (420, 680), (390, 790), (290, 790), (235, 700)]),
        WHITE,
        volume=34,
        dark="#e2c39d",
        fur=160,
    )
    _collar(on, 335, 585, 120)
    _wear(on, bo_head(mood), 330, 375, 600, tilt)


@thing
def mug(on: Layer, openness: float, steam: bool) -> None:
    """A mug with its handle on the right; `openness` is how far one looks into it."""
    top, lip = 320.0, 300 * openness
    ring = Layer(on.image.size, on.scale)
    ring.shape(oval(735, 590, 175, 185), TEAL, volume=30)
    hole = ring.mask(oval(730, 590, 105, 115))
    ring.image.putalpha(ImageChops.subtract(ring.image.getchannel("A"), hole))
    on.image.alpha_composite(ring.image)
    foot = [
        (500 + 268 * math.cos(math.radians(a)), 850 + lip * 0.72 * math.sin(math.radians(a))) for a in range(0, 181, 6)
    ]
    side = [(800, top), (792, 600), *foot, (208, 600), (200, top)]
    on.shape(side, WHITE, volume=0)
    for number in range(5):
        y = 360 + number * 124
        band = [(500 + 330 * math.cos(math.radians(a)), y + lip * math.sin(math.radians(a))) for a in range(0, 181, 6)]
        on.shape(
            [*band, *[(x, y + 66) for x, y in reversed(band)]], MUSTARD if number % 2 else TEAL, volume=0, inside=side
        )
    on.shape(oval(480, 655, 138, 138), WHITE, volume=12, dark="#e6d2ae")
    for ray in range(12):
        a = math.radians(ray * 30 + 8)
        on.line(
            [(480 + 92 * math.cos(a), 655 + 92 * math.sin(a)), (480 + 116 * math.cos(a), 655 + 116 * math.sin(a))],
            MUSTARD,
            15,
        )
    on.shape(oval(480, 655, 78, 78), "#f4bd46", volume=22)
    for x in (452, 508):
        on.shape(oval(x, 642, 9, 12), INK, volume=0)
    on.line(curve([(448, 676), (480, 698), (512, 676)], closed=False), INK, 9)
    on.shape(side, "#000000", volume=0, opacity=0.0)
    shade = Layer(on.image.size, on.scale)
    shade.shape(side, "#808080", volume=110, dark="#3b2018")
    on.image = _lit(on.image, shade.image, on.mask(side))
    on.shape(oval(500, top, 300, lip), WHITE, volume=16, dark="#d9c4a0")
    on.shape(oval(500, top + 4, 272, lip * 0.86), "#d8c6aa", volume=30, dark="#8d735a")
    on.shape(
        oval(500, top + lip * 0.3, 250, lip * 0.62), "#7a4526", volume=24, inside=oval(500, top + 4, 272, lip * 0.86)
    )
    on.shape(oval(440, top + lip * 0.22, 80, lip * 0.14), "#a86c42", volume=0)
    if steam:
        for x in (410, 500, 590):
            wisp = Layer(on.image.size, on.scale)
            wisp.line(curve([(x, 290), (x - 34, 225), (x + 28, 150), (x - 12, 70)], closed=False), "#fffaf0", 26)
            soft = wisp.image.getchannel("A").filter(ImageFilter.GaussianBlur(9)).point(lambda v: int(v * 0.8))
            white = Image.new("RGBA", on.image.size, "#fffaf0")
            white.putalpha(soft)
            on.image.alpha_composite(white)


def _lit(image: Image.Image, shade: Image.Image, mask: Image.Image) -> Image.Image:
    """Lay the light and shade of a grey solid over a pattern."""
    lit = ImageChops.overlay(image.convert("RGB"), shade.convert("RGB"))
    result = image.copy()
    result.paste(lit, mask=mask)
    result.putalpha(image.getchannel("A"))
    return result


@thing
def van(on: Layer, load: str) -> None:
    """A toy camper van that drives to the left, with surfboards, suitcases or nothing on its roof."""
    blue, chrome = "#3f6fa8", "#d5dade"
    if load:
        for x in (330, 500, 670):
            on.line([(x, 330), (x, 285)], "#8d979e", 12)
        on.line([(270, 288), (760, 288)], chrome, 14)
    if load == "boards":
        on.shape(curve([(170, 262), (420, 228), (800, 236), (850, 260), (800, 276), (420, 280)]), MUSTARD, volume=14)
        on.line([(240, 257), (820, 256)], CREAM, 8)
    if load == "cases":
        for x0, x1, high, tone in ((300, 500, 120, "#9a6036"), (515, 650, 95, SAGE)):
            on.shape(box(x0, 282 - high, x1, 282, 16), tone, volume=22)
            for x in (x0 + 35, x1 - 35):
                on.line([(x, 286 - high), (x, 278)], mix(tone, INK, 0.45), 12)
    roof = [(128, 400), (146, 355), (162, 338), (190, 330), (500, 326), (835, 330), (862, 336), (882, 354), (893, 390)]
    sill = [(912, 560), (918, 700), (912, 750), (890, 765), (500, 767), (95, 765), (74, 750), (68, 700), (80, 570)]
    body = roof + sill
    outline = curve(body)
    on.shape(outline, CREAM, volume=44, dark="#c9b28a")
    on.shape([(30, 575), (120, 562), (960, 562), (960, 800), (30, 800)], blue, volume=40, inside=outline)
    on.line([(82, 567), (908, 567)], chrome, 13)
    for x0, x1 in ((150, 285), (325, 490), (522, 687), (719, 872)):
        left = x0 + 28 if x0 != 150 else x0 + 22
        pane = [(left - 22 if x0 != 150 else x0 - 2, 530), (left - 6, 392), (x1, 392), (x1 + 4, 530)]
        on.shape(pane, "#8a949b", volume=0)
        glass = [(x + (8 if x < (x0 + x1) / 2 else -8), y + (8 if y < 450 else -8)) for x, y in pane]
        on.shape(glass, "#a9d5dc", volume=18, dark="#6fa3b0")
        for hem, drop in ((x0, x0 + 62), (x1, x1 - 62)) if x0 > 500 else ():
            on.shape([(hem, 392), (drop, 392), (hem, 520)], TERRACOTTA, volume=8, inside=glass)
        on.shape(
            [(x0 + 60, 392), (x0 + 95, 392), (x0 + 40, 530), (x0 + 5, 530)],
            "#ffffff",
            volume=0,
            inside=glass,
            opacity=0.45,
        )
    for x in (305, 506):
        on.line([(x, 375), (x, 735)], mix(blue, INK, 0.3), 5)
    for x in (465, 545):
        on.line([(x, 612), (x + 28, 612)], chrome, 14)
    on.shape(oval(405, 668, 52, 52), CREAM, volume=10)
    for k in range(6):
        angle = math.radians(60 * k)
        on.shape(oval(405 + 22 * math.cos(angle), 668 + 22 * math.sin(angle), 15, 15), TERRACOTTA, volume=5)
    on.shape(oval(405, 668, 13, 13), MUSTARD, volume=0)
    on.shape(oval(96, 640, 28, 44), chrome, volume=10)
    on.shape(oval(94, 640, 20, 34), "#fff2b8", volume=10)
    on.shape(box(885, 615, 915, 685, 12), "#cf3f33", volume=8)
    for x0, x1 in ((48, 185), (800, 935)):
        on.shape(box(x0, 742, x1, 778, 16), chrome, volume=12)
    for x in (255, 735):
        arch = oval(x, 765, 112, 112)
        on.shape(arch, mix(blue, INK, 0.55), volume=0, inside=outline)
        on.shape(oval(x, 778, 94, 94), "#3b3634", volume=22)
        on.shape(oval(x, 778, 56, 56), CREAM, volume=10)
        on.shape(oval(x, 778, 34, 34), chrome, volume=14)


# The world around them


class Picture(Layer):
    """One picture, `width` x `height` units of a 640th of the final height's 1000 units; painted twice as large."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        super().__init__((width * SHARP, height * SHARP), height * SHARP / 1000)
        self.pixels, self.wide, self.chance = (width, height), 1000 * width / height, random.Random(seed)

    def sky(self, above: str, below: str, until: float = 1000) -> None:
        ramp = Image.linear_gradient("L").resize((self.image.width, round(until * self.scale)))
        self.image.paste(ImageOps.colorize(ramp, above, below), (0, 0))

    def ground(self, y: float, near: str, far: str, bend: float = 0) -> None:
        edge = curve(
            [(-50, y), (self.wide * 0.3, y - bend), (self.wide * 0.7, y + bend * 0.6), (self.wide + 50, y)],
            closed=False,
        )
        mask = self.mask([*edge, (self.wide + 50, 1010), (-50, 1010)])
        ramp = Image.linear_gradient("L").resize((self.image.width, round((1000 - y + abs(bend)) * self.scale)))
        paint = Image.new("RGB", self.image.size, near)
        paint.paste(ImageOps.colorize(ramp, far, near), (0, round((y - abs(bend)) * self.scale)))
        self.image.paste(paint, mask=mask)

    def boards(self, y: float, colour: str, step: float) -> None:
        """A wooden surface from `y` down: boards, their grain."""
        self.ground(y, mix(colour, "#5a2a14", 0.18), mix(colour, "#fff0d0", 0.22))
        row, gap = y, step * 0.55
        while row < 1000:
            self.line([(-20, row), (self.wide + 20, row)], mix(colour, "#5a2a14", 0.4), 3)
            for _ in range(9):
                x, high = self.chance.uniform(-50, self.wide), row + self.chance.uniform(0.15, 0.85) * gap
                length = self.chance.uniform(60, 260)
                self.line(
                    curve(
                        [(x, high), (x + length / 2, high + self.chance.uniform(-5, 5)), (x + length, high)],
                        closed=False,
                    ),
                    mix(colour, "#5a2a14", 0.16),
                    2.5,
                )
            row, gap = row + gap, gap * 1.28

    def grass(self, y: float, colour: str, blades: int) -> None:
        draw = ImageDraw.Draw(self.image)
        for _ in range(blades):
            depth = self.chance.random()
            x, low = self.chance.uniform(0, self.wide), y + depth * (1000 - y)
            high = 8 + 26 * depth
            tone = mix(colour, self.chance.choice(["#fff4b0", "#33552c"]), self.chance.uniform(0.1, 0.4))
            foot, tip = (
                (x * self.scale, low * self.scale),
                ((x + self.chance.uniform(-8, 8)) * self.scale, (low - high) * self.scale),
            )
            draw.line((*foot, *tip), fill=tone, width=round((1.5 + 2 * depth) * self.scale))

    def flower(self, x: float, y: float, r: float, colour: str) -> None:
        for k in range(5):
            a = math.radians(72 * k - 90)
            self.shape(oval(x + r * math.cos(a), y + r * math.sin(a), r * 0.72, r * 0.72), colour, volume=r * 0.4)
        self.shape(oval(x, y, r * 0.6, r * 0.6), MUSTARD, volume=0)

    def tree(self, x: float, y: float, size: float, colour: str) -> None:
        self.shape(
            curve(
                [(x - size * 0.09, y), (x - size * 0.05, y - size), (x + size * 0.05, y - size), (x + size * 0.09, y)]
            ),
            "#8a5a3a",
            volume=14,
        )
        for dx, dy, r in ((-0.36, -1.0, 0.38), (0.36, -1.02, 0.36), (0, -1.32, 0.46), (0, -0.95, 0.4)):
            self.shape(
                oval(x + dx * size, y + dy * size, r * size, r * size * 0.92),
                colour,
                volume=size * 0.16,
                dark=mix(colour, "#27492f", 0.45),
            )

    def cloud(self, x: float, y: float, size: float) -> None:
        for dx, dy, r in ((-0.8, 0.1, 0.42), (0.75, 0.12, 0.4), (-0.15, -0.15, 0.62), (0.4, -0.02, 0.46)):
            self.shape(
                oval(x + dx * size, y + dy * size, r * size * 1.2, r * size * 0.8),
                "#fffdf6",
                volume=size * 0.16,
                dark="#dfe9ea",
            )

    def window(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.shape(box(x0 - 22, y0 - 22, x1 + 22, y1 + 22, 14), "#fff7e8", volume=10, dark="#d6b990")
        pane = box(x0, y0, x1, y1, 4)
        self.shape(pane, "#cfe9ee", volume=0)
        self.shape(
            oval(x0 + (x1 - x0) * 0.7, y1 + 30, (x1 - x0) * 0.7, (y1 - y0) * 0.42), "#a9c48c", volume=20, inside=pane
        )
        self.shape(
            oval(x0 + (x1 - x0) * 0.1, y1 + 40, (x1 - x0) * 0.6, (y1 - y0) * 0.3), "#8fb07a", volume=20, inside=pane
        )
        self.shape(oval(x0 + (x1 - x0) * 0.75, y0 + (y1 - y0) * 0.25, 42, 42), "#ffe6a0", volume=0, inside=pane)
        for a, b in (((x0 + x1) / 2, None), (None, (y0 + y1) / 2)):
            self.line([(a or x0, b or y0), (a or x1, b or y1)], "#fff7e8", 15)

    def plant(self, x: float, y: float, size: float) -> None:
        for k in range(9):
            a = math.radians(-165 + k * 18.5)
            tip = (x + size * 1.15 * math.cos(a), y - size * 0.75 + size * 1.2 * math.sin(a))
            leaf = oval((x + tip[0]) / 2, (y - size * 0.75 + tip[1]) / 2, size * 0.62, size * 0.15, math.degrees(a))
            self.shape(leaf, mix("#5f9266", "#b6cc84", k % 3 / 3), volume=size * 0.08, dark="#35613f")
        self.shape(
            [
                (x - size * 0.42, y - size * 0.8),
                (x + size * 0.42, y - size * 0.8),
                (x + size * 0.3, y),
                (x - size * 0.3, y),
            ],
            TERRACOTTA,
            volume=24,
        )
        self.shape(
            box(x - size * 0.48, y - size * 0.9, x + size * 0.48, y - size * 0.72, 8),
            mix(TERRACOTTA, "#ffffff", 0.12),
            volume=12,
        )

    def books(self, x: float, y: float, colours: Sequence[str], high: float) -> None:
        for colour in colours:
            width, tall = self.chance.uniform(34, 62), high * self.chance.uniform(0.78, 1.0)
            self.shape(box(x, y - tall, x + width, y, 6), colour, volume=12)
            for part in (0.15, 0.22, 0.8):
                self.line(
                    [(x + 6, y - tall * (1 - part)), (x + width - 6, y - tall * (1 - part))],
                    mix(colour, "#fff2d0", 0.6),
                    5,
                )
            x += width + 3

    def place(
        self, image: Image.Image, x: float, y: float, size: float, *, flip: bool = False, turn: float = 0.0
    ) -> None:
        """Stand a thing with its lowest point's middle at x, y, `size` units of its layer wide, on a soft shadow."""
        if flip:
            image = ImageOps.mirror(image)
        side = round(size * self.scale)
        image = image.resize((side, side), Image.Resampling.LANCZOS).rotate(turn, Image.Resampling.BICUBIC)
        low = image.getbbox()
        assert low is not None
        shadow = Layer(self.image.size, self.scale)
        width = (low[2] - low[0]) / self.scale
        shadow.shape(
            oval(x + width * 0.05, y - size * 0.012, width * 0.46, size * 0.055), "#3a1c10", volume=0, opacity=0.55
        )
        quarter = shadow.image.resize((self.image.width // 4, self.image.height // 4)).filter(
            ImageFilter.GaussianBlur(size * self.scale * 0.005)
        )
        self.image.alpha_composite(quarter.resize(self.image.size))
        sheet = Image.new("RGBA", self.image.size)
        sheet.paste(image, (round(x * self.scale - (low[0] + low[2]) / 2), round(y * self.scale - low[3])))
        self.image.alpha_composite(sheet)

    def finished(self) -> Image.Image:
        """Reduce, warm the corners a little, add the grain of paper."""
        image = self.image.convert("RGB").resize(self.pixels, Image.Resampling.LANCZOS)
        vignette = Image.radial_gradient("L").resize(image.size).point(lambda v: int(max(0, v - 110) * 0.26))
        image.paste("#4a2412", mask=vignette)
        grain = Image.frombytes("L", image.size, self.chance.randbytes(image.width * image.height))
        grain = grain.filter(ImageFilter.GaussianBlur(0.8)).point(lambda v: int(128 + (v - 128) * 0.13))
        return ImageChops.overlay(image, Image.merge("RGB", [grain] * 3))


# Pictures


def park(p: Picture) -> None:
    p.sky("#9fd3e6", "#fbf0d6", 620)
    p.cloud(p.wide * 0.22, 150, 95)
    p.cloud(p.wide * 0.8, 105, 75)
    p.ground(470, "#a9c77e", "#cfdf9f", 60)
    for x, size, tone in ((0.06, 250, "#86ad6a"), (0.93, 290, "#7da267"), (0.74, 170, "#9cbd78")):
        p.tree(p.wide * x, 560, size, tone)
    p.ground(560, "#83ad5b", "#b5d084", -25)
    p.grass(570, "#86ad5b", 1500)


def bo_in_park(p: Picture) -> None:
    park(p)
    for x, y in ((90, 800), (180, 930), (880, 850), (940, 720), (70, 660)):
        p.flower(x, y, 15, "#fff3e0")
    p.place(bo_sitting("happy", 4), 500, 950, 880)


def bo_on_rug(p: Picture) -> None:
    p.sky("#f3d9b4", "#f7e6cb", 560)
    p.window(90, 60, 400, 400)
    p.boards(540, WOOD, 90)
    p.plant(880, 600, 170)
    for k, tone in enumerate(("#4f8c88", CREAM, "#5d9a95", CREAM, "#4f8c88")):
        p.shape(oval(500, 850, 540 - k * 90, 170 - k * 28), tone, volume=6)
    p.place(bo_lying("sleepy", -5), 500, 920, 880, flip=True)


def bo_portrait(p: Picture) -> None:
    p.sky("#8fb9ad", "#cfe0cc")
    p.glow(330, 260, 560, "#fff6d8", 0.6)
    p.place(bo_sitting("calm", -7), 500, 1420, 1430)


def mug_on_table(p: Picture) -> None:
    p.sky("#f4e0c0", "#f8ecd6", 640)
    p.window(560, 70, 900, 430)
    p.plant(150, 640, 170)
    p.boards(600, WOOD, 110)
    p.place(mug(0.2, True), 480, 900, 800)


def mug_on_shelf(p: Picture) -> None:
    p.sky("#b9c9b4", "#d3dcc4")
    p.books(560, 800, (TERRACOTTA, "#7f6a9a", MUSTARD, "#5b86a0", "#b8604a", SAGE, "#e0c48e"), 520)
    p.shape(box(-40, 800, 1040, 870, 8), "#b77d4b", volume=20)
    p.shape([(-40, 870), (1040, 870), (1040, 1010), (-40, 1010)], "#9fb29b", volume=0)
    p.place(mug(0.14, False), 400, 815, 720, flip=True)


def mug_on_cloth(p: Picture) -> None:
    p.sky("#f2c9a8", "#f6dcc2")
    p.ground(420, "#e9e1cf", "#f8f2e4")
    for x in range(-600, 1700, 150):
        p.shape(
            [(x, 1010), (x + 75, 1010), (500 + (x + 75 - 500) * 0.5, 420), (500 + (x - 500) * 0.5, 420)],
            "#d98a74",
            volume=0,
            opacity=0.6,
        )
    for y, high in ((450, 26), (530, 38), (650, 54), (810, 80)):
        p.shape(box(-20, y, 1020, y + high, 2), "#d98a74", volume=0, opacity=0.45)
    p.shape(oval(800, 800, 150, 60), WHITE, volume=20)
    for dx, dy in ((-50, -28), (36, -20), (-5, -62)):
        p.shape(oval(800 + dx, 790 + dy, 62, 40), "#c98a4b", volume=18)
        p.shape(oval(790 + dx, 782 + dy, 8, 6), "#5d3019", volume=0)
    p.place(mug(0.27, True), 430, 870, 850, turn=-5)


def van_on_floor(p: Picture) -> None:
    p.sky("#e9c9a0", "#f5e2c4", 660)
    p.shape(box(-20, 610, 1020, 650, 4), "#fff3df", volume=8)
    p.boards(650, "#b9875c", 100)
    p.place(van("boards"), 500, 890, 1040)


def van_on_shelf(p: Picture) -> None:
    p.sky("#34505a", "#5c7d80", 740)
    p.glow(240, 210, 420, "#ffe2a0", 0.65)
    p.books(690, 760, ("#b8604a", MUSTARD, "#8aa37b", "#caa27a", "#6f6a94"), 380)
    p.boards(740, "#a8713f", 110)
    p.place(van(""), 450, 900, 860, flip=True)


def van_on_carpet(p: Picture) -> None:
    p.sky("#d9dfc3", "#eef0da", 640)
    p.ground(560, "#d1997f", "#e9c3a8", 10)
    p.grass(570, "#d9a58a", 1100)
    for x, y, tone, letter in ((150, 640, "#5b86a0", 0), (330, 610, MUSTARD, 1), (905, 640, "#8aa37b", 2)):
        p.shape(box(x - 75, y - 130, x + 75, y + 20, 14), tone, volume=26)
        p.shape(oval(x, y - 55, 38, 38) if letter != 1 else box(x - 34, y - 89, x + 34, y - 21, 4), CREAM, volume=8)
    p.place(van("cases"), 480, 915, 960)


def picnic(p: Picture) -> None:
    park(p)

    def edge(y: float, share: float) -> Point:
        far = (y - 690) / 320
        left, right = 330 - 220 * far, 1290 + 190 * far
        return left + share * (right - left), y

    p.shape([edge(690, 0), edge(690, 1), edge(1010, 1), edge(1010, 0)], "#f9ecd8", volume=14)
    for k in range(9):
        a, b = (2 * k + 0.5) / 18, (2 * k + 1.5) / 18
        p.shape([edge(690, a), edge(690, b), edge(1010, b), edge(1010, a)], "#cc6a50", volume=0, opacity=0.6)
    for y, high in ((706, 18), (744, 24), (794, 31), (858, 40), (940, 50)):
        p.shape([edge(y, 0), edge(y, 1), edge(y + high, 1), edge(y + high, 0)], "#cc6a50", volume=0, opacity=0.5)
    p.place(bo_sitting("happy", -5), 470, 930, 790)
    p.place(mug(0.2, False), 1090, 935, 570)


def kitchen(p: Picture) -> None:
    p.sky("#f6dfc0", "#f9ecd7", 700)
    for x in range(0, 1600, 125):
        p.line([(x, 0), (x, 660)], "#efd3ae", 4)
    for y in range(40, 660, 125):
        p.line([(0, y), (1520, y)], "#efd3ae", 4)
    p.window(560, 70, 940, 420)
    p.plant(1400, 690, 150)
    p.boards(640, "#c08552", 110)
    p.shape(oval(612, 668, 105, 30), "#fdf6e8", volume=16)
    for dx, tone in ((-40, "#d8523e"), (38, "#e0a03a")):
        p.shape(oval(612 + dx, 640, 46, 44), tone, volume=24)
        p.line([(612 + dx, 602), (618 + dx, 582)], "#6b4a2c", 8)
    p.place(mug(0.22, True), 330, 905, 640, flip=True)
    p.place(van("boards"), 1085, 935, 790)


def beach(p: Picture) -> None:
    p.sky("#7fc4dc", "#f9ead0", 520)
    p.shape(oval(1210, 170, 80, 80), "#fff0b8", volume=0)
    p.cloud(300, 150, 100)
    p.cloud(900, 90, 70)
    p.ground(430, "#63b3bd", "#4a9db3")
    for y in (470, 510, 560):
        for _ in range(6):
            x = p.chance.uniform(0, p.wide)
            p.line(curve([(x, y), (x + 45, y - 8), (x + 90, y)], closed=False), "#d9f0ee", 5)
    p.ground(612, "#f7efdc", "#ffffff", 22)
    p.ground(632, "#e2bf88", "#f3dcae", 22)
    draw = ImageDraw.Draw(p.image)
    for _ in range(1300):
        x, y = p.chance.uniform(0, p.wide) * p.scale, p.chance.uniform(670, 1000) * p.scale
        draw.ellipse((x, y, x + 4, y + 3), fill=p.chance.choice(["#c99f66", "#fdebc4"]))
    p.place(bo_standing("happy", 6), 660, 930, 870)
    p.shape(oval(1195, 882, 100, 22), "#a87b45", volume=0, opacity=0.6)
    for k, tone in enumerate((TERRACOTTA, WHITE, MUSTARD, WHITE, TEAL)):
        p.shape(oval(1185, 790, 95 - k * 20, 95, 14), tone, volume=10)


VIEWS = {
    "bo-1": bo_in_park, "bo-2": bo_on_rug, "bo-3": bo_portrait,
    "sunny-cup-1": mug_on_table, "sunny-cup-2": mug_on_shelf, "sunny-cup-3": mug_on_cloth,
    "rosie-1": van_on_floor, "rosie-2": van_on_shelf, "rosie-3": van_on_carpet,
}  # fmt: skip
SCENES = {"picnic": picnic, "kitchen": kitchen, "beach": beach}


def logo(side: int) -> Image.Image:
    """The same drawing as logo.svg: a name tag with a face."""
    on = Layer((side * 4, side * 4), side * 4 / 64)
    on.shape(box(2, 2, 62, 62, 15), TERRACOTTA, volume=0)
    tag = [(25, 13), (39, 13), (50, 26), (50, 49), (14, 49), (14, 26)]
    on.shape(tag, CREAM, volume=0)
    on.line([*tag, tag[0], tag[1]], CREAM, 8)
    on.shape(oval(32, 18.5, 3.4, 3.4), TERRACOTTA, volume=0)
    for x in (23.5, 40.5):
        on.shape(oval(x, 32, 3.2, 3.9), INK, volume=0)
    on.line(curve([(24, 41), (27.8, 44.5), (32, 46), (36.2, 44.5), (40, 41)], closed=False), INK, 3.2)
    return on.image.resize((side, side), Image.Resampling.LANCZOS)


def draw(name: str) -> Image.Image:
    """Return one finished sample picture: a view (640 x 640) or a scene (960 x 640)."""
    wide = name in SCENES
    picture = Picture(960 if wide else 640, 640, seed=[*VIEWS, *SCENES].index(name))
    (SCENES if wide else VIEWS)[name](picture)
    return picture.finished()


def main(folder: Path) -> None:
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    for name in (*VIEWS, *SCENES):
        draw(name).save(folder / "samples" / f"{name}.jpg", quality=88, subsampling="4:2:0")
    logo(128).save(folder / "logo.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
