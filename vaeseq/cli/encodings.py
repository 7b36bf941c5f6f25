# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Encodings of files of text, guessed from their first bytes."""
from __future__ import annotations

import codecs

_MARKS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_COMMON = ["cp1252", "cp1250", "cp1251", "koi8_r", "gb18030", "big5", "shift_jis", "euc_jp",
           "euc_kr"]


def marked(head: bytes) -> tuple[bytes, str]:
    """Returns the byte order mark with which `head` begins and its encoding, or b"" and ""."""
    return next((item for item in _MARKS if head.startswith(item[0])), (b"", ""))


def probable(head: bytes) -> str:
    """Returns the probable encoding of a text that is not UTF-8; "" for a binary file."""
    encoding = utf_16_without_mark(head)
    if not encoding and b"\0" not in head and b"\2" not in head:  # as in UTF-16
        from charset_normalizer import from_bytes
        whole_lines = head[:head.rfind(b"\n") + 1] or head  # it may end within a character
        matches = from_bytes(whole_lines, cp_isolation=_COMMON)
        best = matches.best()
        # Short texts fit several encodings of one family equally well.
        equal = [name for match in matches if best and (match.chaos, match.coherence) == (
            best.chaos, best.coherence) for name in match.could_be_from_charset]
        encoding = "cp1252" if "cp1252" in equal else best.encoding if best else ""
    return encoding or _printable(head)


def conversion(encoding: str) -> str:
    """Returns a shell command that converts a file from `encoding` to UTF-8, in backquotes."""
    return f"`iconv -f {encoding.replace('_', '-')} -t utf-8`"


def utf_16_without_mark(head: bytes) -> str:
    """Returns the UTF-16 encoding of text that is mostly of one alphabet, or ""."""
    # The first bytes of most such characters are below 32, as in control characters.
    controls = [byte < 0x20 and byte not in b"\t\n\r\f\x1b" for byte in head]
    even, odd = (sum(half) / max(1, len(half)) for half in (controls[::2], controls[1::2]))
    if max(even, odd) < 0.5 or min(even, odd) > 0.3 or not any(head):
        return ""
    return "utf_16_le" if odd > even else "utf_16_be"


def _printable(head: bytes) -> str:
    """Returns an encoding in which the beginning of a file is printable text, or ""."""
    has_controls = not {*head}.isdisjoint({*range(0x20)} - {*b"\t\n\r\f\x1b"})
    for encoding in ("utf_16_le", "utf_16_be") if has_controls else ("cp1252", "latin_1"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        if all(c.isprintable() or c.isspace() for c in text):
            return encoding
    return ""
