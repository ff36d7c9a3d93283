"""Draw names of many scripts and shapes, so that a model learns to copy any `<name>` instead of knowing some."""

from __future__ import annotations

import unicodedata
from random import Random

from personal.data.phrases import split_list

SYLLABLES = {
    "latin": "ba be bo bu da de di do fa fi go ha jo ka ke ki ko la le li lo lu ma me mi mo na ne ni no pa pe pi po ra "
    "re ri ro sa se shi so ta te ti to tu va ve vi wa xi ya yo za ze zo ssy lly nko bert mund ella ina rex ton",
    "cyrillic": "ба бо ва ви га да ди до жа жу за ка ки ко ла ля ма ми мо на ни но па пу ра ри ро са си та ти то ша ня",
    "arabic": "با بو تا جا حا دا را زا سا شا فا كا لا ما نا ها وا يا مي ني لي نو سي دي",
    "han": "小 大 明 花 白 黑 雪 月 星 云 乐 宝 豆 球 米 虎 龙 福 安 美 玉 春 秋 海 山 天 东 阳 芳 静",
    "kana": "あ い か き く け こ さ し す そ た ち つ な に の は ひ ふ ま み も や ゆ よ ら り る ろ",
    "hangul": "가 나 다 라 마 바 사 아 자 하 미 소 호 지 수 민 준 보 리 두 부 송 이 은 영",
    "devanagari": "क म र ल न स त प ब द मी रा ला ना सा ता पा बा दा की री ली नी",
    "greek": "α βα γα δη ελ ζω θα κα λι μα νι ξε πα ρο σο τα φι χα",
    "hebrew": "בא בו גל דן הד זי חן טל יו כא לי מא נו עו רו של תם",
    "georgian": "ბა გო დე ვა ზა თი ია კა ლა მე ნი პა რა სო ტა ქე ცი",
}
HELD_OUT_SCRIPTS = ("greek", "hebrew", "georgian")
"""Scripts never drawn for training, kept to measure how unseen names are copied."""
PEOPLE = split_list(
    "Anna|Ben|Carla|David|Elif|Fatima|Giulia|Hana|Ivan|Jonas|Kofi|Lena|Maria|Nadia|Omar|Paula|Quinn|Rosa|Sofia|"
    "Tariq|Uma|Viktor|Wei|Ximena|Yuki|Zoe|José|Renée|Søren|Łukasz|Jürgen|Chloë|Nguyễn|Ayşe|Björn|Émile"
)
WORDS = split_list(
    "can|clock|cloud|pepper|biscuit|shadow|lucky|cookie|ginger|rocket|honey|button|sunny|peanut|river|pixel|"
    "mango|storm|daisy|turbo|noodle|bean|ziggy|coco|waffle|maple|ember|kiwi|pickle|sandy|smoky|hazel|olive|"
    "bandit"
)


def draw_name(random: Random, script: str | None = None) -> str:
    """Draw one name of 1 to 20 characters: in `script` if given, else mostly Latin and never in a held-out script."""
    if script is None:
        shape = random.random()
        if shape < 0.12:
            return random.choice(PEOPLE)
        if shape < 0.24:
            return random.choice(WORDS)
        script = "latin"
        if shape > 0.62:
            script = random.choice([s for s in SYLLABLES if s not in HELD_OUT_SCRIPTS and s != "latin"])
    parts = SYLLABLES[script].split()
    name = "".join(random.choice(parts) for _ in range(random.choice((1, 2, 2, 2, 3, 3))))
    if script == "latin":
        name = _vary(name, random)
    return unicodedata.normalize("NFC", name)


def draw_tag(random: Random, script: str | None = None) -> str:
    """Draw a name in angle brackets."""
    return f"<{draw_name(random, script)}>"


def _vary(name: str, random: Random) -> str:
    shape = random.random()
    if shape < 0.35:
        return name.capitalize()
    if shape < 0.45:
        return f"{name}-{random.choice(WORDS)}"
    if shape < 0.53:
        return f"{name}{random.randint(1, 99)}"
    if shape < 0.60:
        return f"{name.capitalize()} {random.choice(PEOPLE)}"
    if shape < 0.63:
        return name[:1].upper()
    if shape < 0.67:
        return f"{name}_{random.choice(WORDS)}"
    return name
