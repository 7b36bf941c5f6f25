# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Encodings of files of text, guessed from their first bytes."""
from __future__ import annotations

import codecs
import contextlib
import re

SAMPLE_BYTES = 1 << 14  # of a file, from which its encoding is guessed
_MARKS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_BINARY_KINDS = (  # offset and content of the bytes that begin such files
    (0, b"PK\x03\x04", "a ZIP archive (or an office or EPUB document)"),
    (0, b"%PDF-", "a PDF document"), (0, b"{\\rtf", "an RTF document"),
    (0, b"\xd0\xcf\x11\xe0", "an old office document"),
    (0, b"\x89PNG", "a PNG image"), (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF87a", "a GIF image"), (0, b"GIF89a", "a GIF image"),
    (0, b"PK\x05\x06", "an empty ZIP archive"), (257, b"ustar", "a tar archive"),
    (0, b"Rar!\x1a", "a RAR archive"), (4, b"1AY&SY", "a bzip2 file"),
    (0, b"\x1f\x9d", "a file of compress"), (0, b"\x04\x22\x4d\x18", "an LZ4 file"),
    (0, b"\x5d\0\0", "an LZMA file"), (0, b"LZIP\1", "an lzip file"),
    (0, b"\x1f\x8b", "a file compressed twice"),
    (0, b"\xfd7zXZ\0", "a file compressed twice"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (0, b"7z\xbc\xaf", "a 7z archive"), (0, b"\x7fELF", "a program"),
    (0, b"SQLite format 3\0", "a database"), (0, b"MThd\0", "a MIDI file"))
_SPACES = b"\t\n\r\f\x1b"  # control characters of texts
_WRONG = re.compile("[\udc80-\udcff]+")  # bytes that are not UTF-8, decoded with surrogateescape
# The rest of a truncated UTF-8 character: several bytes, or the first byte of a Latin letter. Other
# single bytes are more probably letters or quotation marks of another encoding.
_CUT = re.compile(rb"[\xc2\xc3]|[\xe0-\xf4][\x80-\xbf]{1,2}|[\x80-\xbf]{2,3}")
_EXCERPT = 40  # characters
_MOST_CUTS = 2  # in a text that is otherwise ASCII
_UNASSIGNED = chr(0x40000)  # from here on there are no characters
_CYRILLIC = ["cp1251", "koi8_r", "cp866", "iso8859_5"]
_COMMON = ["cp1252", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874",
           "iso8859_2", "iso8859_7", "mac_roman", "gb18030", "big5", "shift_jis", "euc_jp",
           "euc_kr", *_CYRILLIC]
# The letters of languages that are written in encodings of the Latin alphabet, which decode each
# other's bytes to other letters.
_WESTERN = "àáâãäåæçèéêëìíîïðñòóôõöøœùúûüýÿþß"
_CENTRAL = "áâăąäćčçďđéęëěíîĺľłńňóôőöŕřśšşßťţúůűüýźžż"
_LETTERS = {"cp1254": "âçğıîöşûü\u0307", "cp1252": _WESTERN, "mac_roman": _WESTERN,
            "cp1250": _CENTRAL, "iso8859_2": _CENTRAL, "cp1257": "āąäčēęėéģīįķļņōóõöšūųüžåæø"}
_SURE = 0.2  # of charset-normalizer's coherence with a language, from 0 to 1


def python_name(name: str) -> str:
    """Returns Python's name of an encoding of text; "" for one that it does not know."""
    try:
        "a".encode(name)  # fails for codecs of bytes, such as hex
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return ""


def kind_of_binary(head: bytes) -> str:
    """Returns what a file that is no text is, by its first bytes; "" if they are not known."""
    return next((kind for offset, magic, kind in _BINARY_KINDS if head.startswith(magic, offset)),
                "")


def marked(head: bytes) -> tuple[bytes, str]:
    """Returns the byte order mark with which `head` begins and its encoding, or b"" and ""."""
    return next((item for item in _MARKS if head.startswith(item[0])), (b"", ""))


def has_single_bytes(encoding: str) -> bool:
    """Returns whether bytes beyond ASCII are characters by themselves, as in no Unicode encoding.
    """
    with contextlib.suppress(UnicodeError):  # punycode and idna take ASCII alone
        return any(bytes([byte]).decode(encoding, "ignore") for byte in range(0x80, 0x100))
    return False


def around(content: bytes, place: int) -> bytes:
    """Returns what is around a place, from the beginning of a line if it does not begin there."""
    start = max(0, place - SAMPLE_BYTES // 2)
    if start:
        start += content[start:place].find(b"\n") + 1
    return content[start:start + SAMPLE_BYTES]


def probable(sample: bytes) -> str:
    """Returns the probable encoding of a part of a text; "" for a binary file.

    It is "utf-8" also where some bytes are not.
    """
    encoding = without_mark(sample)
    if encoding:
        return encoding
    if is_binary(sample):
        return ""
    if _is_mostly_utf_8(sample):
        return "utf-8"
    if b"\0" not in sample and b"\2" not in sample:  # as in UTF-16
        encoding = _guessed(sample)
    return encoding or _printable(sample)


def _guessed(sample: bytes) -> str:
    """Returns the encoding that the letters of a text make probable, or ""."""
    from charset_normalizer import from_bytes
    lines = sample[:sample.rfind(b"\n") + 1]  # the sample may end within a character
    sample = sample if lines.isascii() else lines
    matches = from_bytes(sample, cp_isolation=_COMMON)
    best = matches.best()
    if best and best.encoding in _CYRILLIC:  # in the wrong one most letters are capitals
        return max(_CYRILLIC, key=lambda name: sum(
            map(str.islower, sample.decode(name, "replace"))))
    runs = re.findall(rb"[\x80-\xff]+", sample)
    is_latin = sum(map(len, runs)) < 2 * len(runs)  # accented letters stand among ASCII letters
    fitting = [name for name in _LETTERS if is_latin and _has_its_letters(sample, name)]
    if fitting and not (best and best.encoding not in _LETTERS and best.coherence >= _SURE):
        scores = {name: match.coherence - match.chaos
                  for match in matches for name in match.could_be_from_charset}
        return max(fitting, key=lambda name: scores.get(name, 0))
    return best.encoding if best else ""


def _has_its_letters(sample: bytes, encoding: str) -> bool:
    """Returns whether all letters are ASCII or belong to a language of the encoding."""
    letters = {c for c in sample.decode(encoding, "replace").lower()
               if c > "\x7f" and (c.isalpha() or c < "\xa0" or c in "\ufffd\u0307¹³±¶¼¾")}
    if encoding == "cp1252" and letters >= {*"õû"}:  # Hungarian's ő and ű
        return False
    return letters <= {*_LETTERS[encoding]} and (
        encoding != "cp1254" or bool(letters & {*"ğış"}))


def excerpt(sample: bytes, encoding: str) -> str:
    """Decodes a few characters around the first one that is not ASCII, or the first ones."""
    lines = sample.decode(encoding, "replace").splitlines()
    line = next((line for line in lines if not line.isascii()), next(filter(str.strip, lines), ""))
    start = max(0, next((i for i, c in enumerate(line) if c > "\x7f"), 0) - _EXCERPT // 4)
    return line[start:start + _EXCERPT].strip()


def conversion(encoding: str, options: str = "") -> str:
    """Returns a shell command that converts a file from `encoding` to UTF-8, in backquotes."""
    name = codecs.lookup(encoding).name.replace("_", "-")
    name = re.sub("-([bl]e)$", r"\1", name)  # iconv writes utf-16le
    return f"`iconv {options}-f {'macintosh' if name == 'mac-roman' else name} -t utf-8`"


def without_mark(sample: bytes) -> str:
    """Returns the UTF-16 or UTF-32 encoding of a text without a byte order mark, or "".

    A text in UTF-16 is recognised where most of it is of one alphabet.
    """
    if not any(sample):
        return ""
    whole = sample[:len(sample) // 4 * 4]
    for encoding in ("utf_32_le", "utf_32_be"):
        with contextlib.suppress(UnicodeDecodeError):  # hardly any other bytes are UTF-32
            if min(text := whole.decode(encoding), default="") > "\0" and max(text) < _UNASSIGNED:
                return encoding
    # The first bytes of most characters in UTF-16 are below 32, as in control characters.
    controls = [byte < 0x20 and byte not in _SPACES for byte in sample]
    even, odd = (sum(half) / max(1, len(half)) for half in (controls[::2], controls[1::2]))
    if max(even, odd) < 0.5 or min(even, odd) > 0.3:
        return ""
    return "utf_16_le" if odd > even else "utf_16_be"


def is_binary(sample: bytes) -> bool:
    """Returns whether so many bytes are control characters that this is no text in UTF-8."""
    return sum(byte < 0x20 and byte not in _SPACES for byte in sample) > 0.3 * len(sample)


def _is_mostly_utf_8(sample: bytes) -> bool:
    text = sample.decode("utf-8", "surrogateescape")
    wrong = [run.encode("utf-8", "surrogateescape") for run in _WRONG.findall(text)]
    num_wrong = sum(map(len, wrong))
    return num_wrong <= sum(c > "\x7f" for c in text) - num_wrong or (
        len(wrong) <= _MOST_CUTS and all(map(_CUT.fullmatch, wrong)))


def _printable(head: bytes) -> str:
    """Returns an encoding in which the beginning of a file is printable text, or ""."""
    has_controls = not {*head}.isdisjoint({*range(0x20)} - {*_SPACES})
    for encoding in ("utf_16_le", "utf_16_be") if has_controls else ("cp1252", "latin_1"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        if all(c.isprintable() or c.isspace() for c in text):
            return encoding
    return ""
