# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tokens that are strings of bytes: single bytes, words, and byte pair encoding.

The first 256 symbols are the bytes; the others are longer strings, which words or byte pair
encoding add. So every text can be encoded, and decoded from its symbols.

Words and byte pairs begin with pieces of text: a word with the space before it, punctuation
likewise, line breaks, or other white space, each of limited length. With "words", a piece is one
symbol if it is in the vocabulary, otherwise it is spelled in bytes. With "bpe", the bytes of a
piece are merged: of all neighbours whose concatenation is a token, the first in the vocabulary,
again and again (Sennrich, Haddow and Birch, https://arxiv.org/abs/1508.07909).

`sentencepiece` trains byte pair encodings. Nothing else needs it: a trained vocabulary is a list
of strings.
"""
from __future__ import annotations

import codecs
import collections
import importlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from vaeseq.cli.arguments import UsageError

from .tokens import DAMAGED, MOST_SYMBOLS, Decoder, Tokens

_NUM_BYTES = 256
_LONGEST = 128  # bytes of a token
_PIECES = re.compile(r"\n{1,16}| ?\w{1,31}| ?[^\w\s]{1,31}|[^\S\n]{1,32}")
_MOST_CACHED = 1 << 20  # encoded pieces in memory
_FIRST_STAND_IN = 0x100  # of the characters that stand for bytes in the training by sentencepiece


class ByteTokens(Tokens):
    """Tokens that are strings of bytes.

    Attributes:
      strings: the bytes of each symbol.
    """

    is_lossless = True

    def __init__(self, name: str, longer: Iterable[bytes] = ()):
        """Creates the vocabulary.

        Args:
          name: "bytes", "words" or "bpe:N".
          longer: distinct strings of 2 to 128 bytes, in the order of their symbols; for "bpe" in
            the order in which they are merged.

        Raises:
          ValueError: the name is unknown, or a string is repeated or of another length.
        """
        self.name = name
        self.unit = "byte" if name == "bytes" else "token"
        self.strings = [bytes([byte]) for byte in range(_NUM_BYTES)]
        self.strings += longer
        self._kind = name.partition(":")[0]
        self._symbols = {string: symbol for symbol, string in enumerate(self.strings)}
        sizes = {len(string) for string in self.strings[_NUM_BYTES:]}
        if (self._kind not in ("bytes", "words", "bpe") or len(self._symbols) < len(self.strings)
                or not sizes <= set(range(2, _LONGEST + 1)) or len(self.strings) > MOST_SYMBOLS
                or (sizes and name == "bytes")):
            raise ValueError(
                f"expected a vocabulary of bytes, words or bpe with distinct strings of 2 to "
                f"{_LONGEST} bytes, got {name!r} with {len(self.strings) - _NUM_BYTES} strings, "
                f"{len(self._symbols) - _NUM_BYTES} of them distinct.")
        self._starts = np.array([
            sum(byte & 0xC0 != 0x80 for byte in string) for string in self.strings])
        self._encoded = _Encoded(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object], source: str) -> ByteTokens:
        """Reads the object of `to_json`; raises ValueError, naming `source`."""
        try:
            name, strings = values["tokens"], values["strings"]
            if not isinstance(name, str) or not isinstance(strings, list):
                raise TypeError
            if not all(isinstance(string, str) for string in strings):
                raise TypeError
            return cls(name, [string.encode("latin-1") for string in strings])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{source}: expected a JSON object with \"tokens\" and a list "
                             f"\"strings\" of distinct strings ({error}). {DAMAGED}") from None

    def to_json(self) -> str:
        """Returns a JSON object in ASCII; one character stands for each byte of a string."""
        strings = [string.decode("latin-1") for string in self.strings[_NUM_BYTES:]]
        return json.dumps({"tokens": self.name, "strings": strings}) + "\n"

    def __len__(self) -> int:
        return len(self.strings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByteTokens) and (
            (self.name, self.strings) == (other.name, other.strings))

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.strings)))

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]:
        if self._kind == "bytes":
            for chunk in chunks:
                yield np.frombuffer(chunk.encode("utf-8", "surrogatepass"), np.uint8)
            return
        for pieces in split_pieces(chunks):
            if len(self._encoded) > _MOST_CACHED:
                self._encoded.clear()
            yield np.frombuffer(b"".join(map(self._encoded.__getitem__, pieces)), self.dtype)

    def encode_piece(self, piece: bytes) -> list[int]:
        """Returns the symbols of one piece of text in UTF-8."""
        if self._kind == "words":
            symbol = self._symbols.get(piece)
            return list(piece) if symbol is None else [symbol]
        parts = [bytes([byte]) for byte in piece]
        while len(parts) > 1:
            pairs = [self._symbols.get(one + other, MOST_SYMBOLS)
                     for one, other in zip(parts, parts[1:])]
            first = min(pairs)
            if first == MOST_SYMBOLS:
                break
            place = pairs.index(first)
            parts[place:place + 2] = [self.strings[first]]
        return [self._symbols[part] for part in parts]

    def decoder(self) -> Decoder:
        return _Utf8Decoder(self.strings)

    def num_characters(self, symbols: np.ndarray) -> int:
        return int(self.counts(symbols) @ self._starts)

    def num_unknown(self, symbols: np.ndarray) -> int:
        del symbols
        return 0

    def unknown(self, text: str) -> list[str]:
        return sorted({c for c in text if 0xD800 <= ord(c) < 0xE000})  # they are no text

    def initial_logits(self) -> np.ndarray:
        return np.zeros(len(self))

    def contents(self) -> list[bytes | None]:
        return [*self.strings]

    def summary(self) -> str:
        return f"{len(self):,} different {self.unit}s"


class _Encoded(dict[str, bytes]):
    """The symbols of pieces of text, as the bytes of an array; computed once for each piece."""

    def __init__(self, tokens: ByteTokens):
        super().__init__()
        self._tokens = tokens

    def __missing__(self, piece: str) -> bytes:
        symbols = self._tokens.encode_piece(piece.encode("utf-8", "surrogatepass"))
        self[piece] = encoded = np.array(symbols, self._tokens.dtype).tobytes()
        return encoded


class _Utf8Decoder(Decoder):
    def __init__(self, strings: list[bytes]):
        self._strings = strings
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, symbols: np.ndarray, *, final: bool = False) -> str:
        content = b"".join([self._strings[symbol] for symbol in symbols])
        return self._decoder.decode(content, final)


def split_pieces(chunks: Iterable[str]) -> Iterator[list[str]]:
    """Yields the pieces of a text, which comes in strings of any length, in lists.

    The concatenated pieces are the text, and do not depend on where the strings end.
    """
    rest = ""
    for chunk in chunks:
        pieces = _PIECES.findall(rest + chunk)
        rest = pieces.pop() if pieces else ""  # more of the text may belong to the last piece
        yield pieces
    if rest:
        yield [rest]


def count_pieces(texts: Iterable[Iterable[str]]) -> collections.Counter[str]:
    """Returns how often each piece occurs in texts; each text comes in strings."""
    counts: collections.Counter[str] = collections.Counter()
    for text in texts:
        for pieces in split_pieces(text):
            counts.update(pieces)
    return counts


def words(counts: Mapping[str, int], size: int) -> ByteTokens:
    """Returns the vocabulary of bytes and the `size` most frequent pieces of several bytes."""
    strings = {piece.encode("utf-8", "surrogatepass"): count for piece, count in counts.items()}
    frequent = sorted((-count, string) for string, count in strings.items()
                      if 1 < len(string) <= _LONGEST)
    return ByteTokens("words", [string for _, string in frequent[:size]])


def byte_pairs(counts: Mapping[str, int], size: int) -> ByteTokens:
    """Trains a byte pair encoding.

    Args:
      counts: how often each piece of text occurs.
      size: greatest number of symbols, the 256 bytes included.

    Raises:
      UsageError: sentencepiece is not installed.
    """
    try:
        sentencepiece = importlib.import_module("sentencepiece")
    except ImportError:
        raise UsageError("--tokens bpe:N trains an encoding by sentencepiece, which is not "
                         "installed: pip install 'vaeseq[tokens]'.") from None
    # For sentencepiece, bytes are letters without any meaning, and pieces are whole sentences.
    lines = (f"{_to_stand_ins(piece)}\t{count}" for piece, count in sorted(counts.items()))
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines, input_format="tsv", model_writer=model, model_type="bpe",
        vocab_size=size + 1, hard_vocab_limit=False, character_coverage=1.0,
        required_chars="".join(map(_stand_in, range(_NUM_BYTES))),
        normalization_rule_name="identity", add_dummy_prefix=False,
        remove_extra_whitespaces=False, split_by_whitespace=False, split_by_unicode_script=False,
        split_by_number=False, split_digits=False, max_sentencepiece_length=_LONGEST,
        unk_id=0, bos_id=-1, eos_id=-1, pad_id=-1, num_threads=1, minloglevel=2)
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    strings = [bytes(ord(c) - _FIRST_STAND_IN for c in trained.id_to_piece(number))
               for number in range(1, trained.get_piece_size())]
    longer = [string for string in strings if len(string) > 1]
    return ByteTokens(f"bpe:{size}", longer[:size - _NUM_BYTES])


def _stand_in(byte: int) -> str:
    return chr(_FIRST_STAND_IN + byte)


def _to_stand_ins(piece: str) -> str:
    return "".join(map(_stand_in, piece.encode("utf-8", "surrogatepass")))
