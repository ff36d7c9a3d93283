"""File names as a zip or a disk holds them, in bytes, turned into text.

A zip says of a name that it is UTF-8, or nothing at all. Info-ZIP and Finder then mean UTF-8 nevertheless, Windows the
encoding of whoever packed it, which can only be guessed: by how many of the bytes are common letters of it.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

UTF8 = 0x800
"""Bit 11 of a zip entry's flags: the name is UTF-8 (APPNOTE.TXT, 4.4.4)."""

UNICODE_PATH = 0x7075
"""The extra field in which some programs give the name again, in UTF-8 (APPNOTE.TXT, 4.6.9)."""

_COMMON = (
    ("cp932", "Shift-JIS", re.compile(rb"\x81\x5b|\x82[\x9f-\xf1]|\x83[\x40-\x96]|[\x88-\x97][\x40-\x60\x7b-\xfc]")),
    ("cp866", "code page 866", re.compile(rb"(?<![A-Za-z])[\x80-\xaf\xe0-\xf1](?![A-Za-z])")),
    ("cp949", "EUC-KR", re.compile(rb"[\xb0-\xc8][\xa1-\xfe]")),
    ("gbk", "GBK", re.compile(rb"[\xb0-\xf7][\xa1-\xfe]")),
    ("cp950", "Big5", re.compile(rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]")),
    ("cp437", "code page 437", re.compile(rb"(?<![\x80-\xff])[\x80-\xa5](?![\x80-\xff])")),
)
"""Codec, its name, and its common letters: kana and kanji of level 1; Cyrillic; Hangul; hanzi of GB 2312 and of Big5's
level 1; accented Latin."""

_SYLLABLES = frozenset(
    "가각간갈감갑강개거건검게겨경고곰공과관교구국군그금기길김까꼬나난날남내너네노는니다단달당대더데도돌동두드들등"
    "디라람랑래러레려로록루르른를름리린림마만말망매머멍메며면명모목몽무문물미민바박반발방배백버번베벨벼별보복봄봉부"
    "북분비빈빛빠뽀삐사산살삼상새색생서석선설성세소손송수순술숲스시식신실심아안알암애야약양어언얼엄여연열엽영예옷옹"
    "와왕요용우운울원월위유은을음의이인일임입자작잔장재전점정제조종주준줄중지진집차찬창책천철첫청체초촌추춘출치친카컵"
    "코콩쿠크키타탁태터토통트티파판팔펜포표푸풀품피하학한할함해행향허현형호홍화환황회후휴흰히"
)
"""Frequent Hangul syllables. Any of the 2,350 in EUC-KR is also a common hanzi in GBK: these tell which it is."""


def of_zip(infos: Sequence[zipfile.ZipInfo]) -> tuple[list[str], str]:
    """Return the names of a zip's entries, and the encoding that had to be guessed for some of them, if any."""
    raw = [info.orig_filename.encode("cp437") if not info.flag_bits & UTF8 else b"" for info in infos]
    names = [_unicode_path(info, data) or _utf8(data) for info, data in zip(infos, raw, strict=True)]
    unclear = [data for data, name in zip(raw, names, strict=True) if name is None]
    codec, called = _guessed(unclear) if unclear else ("ascii", "")
    return [
        info.orig_filename if info.flag_bits & UTF8 else data.decode(codec) if name is None else name
        for info, data, name in zip(infos, raw, names, strict=True)
    ], called


def of_disk(path: Path) -> str:
    """Return a relative path as text, with /; names that are not in the system's encoding are guessed."""
    text = path.as_posix()
    try:
        text.encode()
    except UnicodeEncodeError:
        data = os.fsencode(text)
        return data.decode(_guessed([data])[0])
    return text


def _guessed(names: Sequence[bytes]) -> tuple[str, str]:
    """Guess an encoding that all names can have: the one in which most of the bytes beyond ASCII are common letters."""
    found = [(_commonness(names, letters), codec, called) for codec, called, letters in _COMMON if _all(names, codec)]
    if not _is_korean(names):
        found = [one for one in found if one[1] != "cp949"]
    _, codec, called = max(found, key=lambda one: one[0])
    return codec, called


def _commonness(names: Sequence[bytes], letters: re.Pattern[bytes]) -> float:
    text = b"/".join(names)
    beyond = sum(byte > 127 for byte in text)
    common: int = sum(byte > 127 for found in letters.findall(text) for byte in found)
    return common / max(1, beyond)


def _is_korean(names: Sequence[bytes]) -> bool:
    """Return whether at least half of the letters beyond ASCII, read as EUC-KR, are frequent syllables."""
    letters = [letter for letter in b"/".join(names).decode("cp949", "ignore") if ord(letter) > 127]
    return 2 * sum(letter in _SYLLABLES for letter in letters) >= max(1, len(letters))


def _all(names: Sequence[bytes], codec: str) -> bool:
    try:
        b"/".join(names).decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _unicode_path(info: zipfile.ZipInfo, raw: bytes) -> str | None:
    for tag, field in _extra(info.extra):
        if tag == UNICODE_PATH and len(field) > 5:
            version, crc = struct.unpack_from("<BI", field)
            if version == 1 and crc == zlib.crc32(raw):
                return _utf8(field[5:])
    return None


def _extra(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        tag, size = struct.unpack_from("<HH", data, at)
        yield tag, data[at + 4 : at + 4 + size]
        at += 4 + size
