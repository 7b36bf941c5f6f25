# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Reads the tracks and events of MIDI files, damaged ones included.

Many files break the standard, and players play them all the same. So the header may stand anywhere
(after a RIFF or MacBinary header, say) or lack its signature, unknown chunks and meta events are
skipped, a data byte above 127 is clipped, running status survives system-exclusive events, and of a
damaged track everything before the damage is kept. `File.repairs` says what was wrong.

Source: Standard MIDI Files 1.0, MIDI Manufacturers Association, 1996.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

SYSEX, META = 0xF0, 0xFF  # statuses of `Event`
TEXT, PORT, TEMPO = 0x01, 0x21, 0x51  # types of meta events

_LAST_EVENT = b"\xff\x2f\0"
_END_OF_TRACK = 0x2F
_CONTINUATION = 0xF7  # the rest of a system-exclusive event
_MAX_TICKS = 1 << 40
_MAX_TRACKS = 0xFFFF  # that a header can claim
_MAX_REPAIRS = 5  # listed one by one
_MAX_SYSEX = 1 << 10  # bytes of a system-exclusive event that are kept
_DIVISION = 480  # ticks per beat of a file that does not say
_TICKS_PER_FRAME = 40  # of a film, where a file does not say: with 25 frames a second, milliseconds
_HEADER = re.compile(rb"MThd\0\0\0[\x06-\xff]\0[\0-\2]")
_CHUNK = re.compile(rb"[A-Za-z0-9 ]{4}")
_SYSTEM_SIZES = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # data bytes; other system messages have none


class BadMidi(ValueError):  # noqa: N818 (a file is bad, not the program)
    """A file is not readable music; the message says why."""


class Event(NamedTuple):
    """An event of a track."""

    tick: int  # its time
    # The status byte of a channel message, with the channel in the lower half; or SYSEX or META
    status: int
    # Of a channel message, one or two numbers up to 127; of a system-exclusive event, everything
    # after 0xF0; of a meta event, its type and its content
    data: bytes
    port: int = 0  # the device that plays it, which has 16 channels

    @property
    def channel(self) -> int:
        """The channel of a channel message, and the same one of another port by another number."""
        return 16 * self.port + (self.status & 0x0F)


class Track(NamedTuple):
    """A track."""

    events: list[Event]  # in the order of the file
    end: int  # the tick of its end, by its last event or its end-of-track event


class File(NamedTuple):
    """A MIDI file."""

    format: int  # 0 for one track, 1 for simultaneous tracks, 2 for tracks that follow one another
    # Ticks per quarter note, above 0; or, if negative, minus the frames per second in the upper
    # byte and the ticks per frame, above 0, in the lower byte
    division: int
    tracks: list[Track]  # in the order of the file
    repairs: list[str]  # what was wrong and how it was read, one sentence each, without a full stop


def parse(content: bytes) -> File:
    """Returns the tracks in the bytes of a MIDI file.

    Raises:
      BadMidi: there is no header, no track or too many of them, or a time beyond all music.
    """
    reader = _Reader(content)
    header = reader.header()
    tracks = list(reader.tracks(header.end))
    if not tracks:
        raise BadMidi("damaged: it holds no track")
    count = header.num_tracks
    if count is not None and count != len(tracks):
        reader.repairs.insert(
            0, f"its header claims {count:,} tracks, and it holds {len(tracks):,}")
    if reader.num_clipped:
        reader.repairs.append(f"data bytes above 127, clipped: {reader.num_clipped:,}")
    if reader.num_skipped:
        reader.repairs.append(f"data bytes without a status, skipped: {reader.num_skipped:,}")
    if len(reader.repairs) > _MAX_REPAIRS:
        reader.repairs[_MAX_REPAIRS:] = [f"and {len(reader.repairs) - _MAX_REPAIRS:,} more"]
    return File(header.format, header.division, tracks, reader.repairs)


class _Header(NamedTuple):
    """The header of a file."""

    format: int  # as `File.format`
    num_tracks: int | None  # the number of tracks that it claims; None for a file without a header
    division: int  # as `File.division`
    end: int  # the position after it


class _Events(NamedTuple):
    """The events of a track, as far as they can be read."""

    track: Track  # the events
    stop: int  # the position after the last of them
    is_ended: bool  # whether an end-of-track event was the last
    is_damaged: bool  # whether an event that is not whole follows


class _Reader:
    """Reads tracks, and counts what was wrong."""

    def __init__(self, content: bytes) -> None:
        self.repairs: list[str] = []
        self.num_clipped = 0
        self.num_skipped = 0
        self._content = content

    def header(self) -> _Header:
        """Returns the header; without its signature, the one that tracks imply.

        Raises:
          BadMidi: there is neither a header nor a track.
        """
        content = self._content
        match = _HEADER.search(content)
        start = match.start() if match else content.find(b"MThd")
        if start < 0:
            track = content.find(b"MTrk")
            if track < 0:
                packed = content.startswith(b"\x1f\x8b")
                raise BadMidi("it is compressed by gzip; unpack it first" if packed else
                              "it is not a MIDI file")
            start = track - 14
            if start < 0 or content[start + 4:start + 8] != b"\0\0\0\6":
                self.repairs.append(f"it has no header; taken as {_DIVISION} ticks per beat")
                return _Header(1, None, _DIVISION, track)
            self.repairs.append("the signature of its header is not MThd")
        elif len(content) < start + 14:
            raise BadMidi("damaged: it ends within its header")
        format_, count, division = (
            int.from_bytes(content[first:first + 2], "big") for first in range(
                start + 8, start + 14, 2))
        return _Header(format_, count, self._division(division), _end_of_header(content, start))

    def _division(self, division: int) -> int:
        """Returns the division of a header, as `File.division`; a default where it is 0."""
        if not division:
            self.repairs.append(f"its header says 0 ticks per beat, taken as {_DIVISION}")
            return _DIVISION
        if division < 0x8000:
            return division
        if not division & 0xFF:
            self.repairs.append(
                f"its header says 0 ticks per film frame, taken as {_TICKS_PER_FRAME}")
            division |= _TICKS_PER_FRAME
        return division - 0x10000

    def tracks(self, position: int) -> Iterator[Track]:
        """Yields the tracks from a position on; raises BadMidi for too many of them."""
        number = 0
        while (track := _find_track(self._content, position)) >= 0:
            number += 1
            if number > _MAX_TRACKS:
                raise BadMidi(f"damaged: it holds more than {_MAX_TRACKS:,} tracks")
            start, end = track + 8, _end_of_chunk(self._content, track)
            read, position = self._track(start, end)
            if read.is_damaged:
                self.repairs.append(
                    f"track {number} is damaged; what comes before the damage was kept")
            elif position != end:
                self.repairs.append(f"track {number} claims {end - start:,} bytes, and it has "
                                    f"{position - start:,}")
            elif read.is_ended and self._content[read.stop:end].strip(b"\0\xff\x2f"):
                self.repairs.append(f"track {number} goes on after its end-of-track event; what "
                                    f"follows was left out, {end - read.stop:,} bytes")
            yield read.track
        if self._content.find(b"MThd", position) >= 0:
            self.repairs.append("another file follows it, which was left out")

    def _track(self, start: int, end: int) -> tuple[_Events, int]:
        """Returns the events of a track with a declared end, and the position after it."""
        content = self._content
        if end == len(content) or _is_chunk(content, end):
            read = self._read(start, end)
            # The length may also cover the tracks that follow.
            return read, read.stop if content.startswith(b"MTrk", read.stop) else end
        # The length is wrong, or no chunk follows: an end-of-track event or the next track decides.
        counts = self.num_clipped, self.num_skipped
        following = content.find(b"MTrk", start)
        limit = len(content) if following < 0 else following
        read = self._read(start, limit)
        # The next track may be a text of this one, whose length is right.
        if read.is_damaged and (end <= limit or content[end - 3:end] == _LAST_EVENT):
            self.num_clipped, self.num_skipped = counts
            return self._read(start, end), end
        return read, read.stop

    def _read(self, position: int, end: int) -> _Events:
        """Reads events up to the end of the track, damage, or `end`."""
        content = self._content
        events: list[Event] = []
        tick = status = port = 0
        sysex = b""  # the packets of an unfinished system-exclusive event
        stop = position
        try:
            while position < end:
                delta, position = _number(content, position)
                tick += delta
                if tick > _MAX_TICKS:
                    raise BadMidi("it claims more music than there is time")
                kind, data, position = self._event(position, end, status)
                stop = position
                if kind < SYSEX:
                    status = kind
                    events.append(Event(tick, kind, data, port))
                elif kind == META:
                    if data[0] == _END_OF_TRACK:
                        return _Events(Track(events, tick), stop, True, False)
                    if data[0] == PORT and len(data) > 1:
                        port = data[1]
                    events.append(Event(tick, kind, data))
                elif kind in (SYSEX, _CONTINUATION):
                    # A packet 0xF7 without a beginning holds any bytes, such as a whole event.
                    sysex = data if kind == SYSEX else (sysex + data if sysex else data[1:])
                    sysex = sysex[:_MAX_SYSEX]
                    if data.endswith(b"\xf7"):
                        events.append(Event(tick, SYSEX, sysex, port))
                        sysex = b""
        except IndexError:  # beyond the content, or beyond `end`
            return _Events(Track(events, tick), stop, False, True)
        return _Events(Track(events, tick), stop, False, False)

    def _event(self, position: int, end: int, status: int) -> tuple[int, bytes, int]:
        """Returns the status and data of an event, and the position after it.

        The event is read from `position`, after its time, to `end`, the end of the track. `status`
        is that of the last channel message, which running status repeats; 0 before any.

        Raises:
          IndexError: the event is not whole.
        """
        content = self._content
        while not status and position < end and content[position] < 0x80:
            position += 1
            self.num_skipped += 1
        kind = content[position]
        if kind >= 0x80:
            position += 1
        else:
            kind = status
        begin, size = position, _SYSTEM_SIZES.get(kind, 0)
        if kind < SYSEX:
            size = 1 if kind & 0xE0 == 0xC0 else 2
        elif kind == META and content[position] == _END_OF_TRACK and position + 1 >= end:
            size = 1  # its length, 0, is missing
        elif kind in (SYSEX, _CONTINUATION, META):
            size, position = _number(content, position + (kind == META))
        stop = position + size
        if stop > end:
            raise IndexError
        if kind == META:
            return kind, content[begin:begin + 1] + content[position:stop], stop
        data = content[position:stop]
        if kind < SYSEX and max(data) > 127:
            self.num_clipped += sum(byte > 127 for byte in data)
            data = bytes(min(byte, 127) for byte in data)
        return kind, data, stop


def _find_track(content: bytes, position: int) -> int:
    """Returns the position of the next track chunk; -1 at the end or before another file."""
    while not content.startswith(b"MTrk", position):
        if content.startswith(b"MThd", position):
            return -1
        end = _end_of_chunk(content, position)
        if not _CHUNK.match(content, position) or not (
                end == len(content) or _is_chunk(content, end)):
            track = content.find(b"MTrk", position)
            return track if content.find(b"MThd", position, track) < 0 else -1
        position = end
    return position


def _is_chunk(content: bytes, position: int) -> bool:
    """Returns whether a chunk begins here; an unknown one must end within the content."""
    return content.startswith((b"MTrk", b"MThd"), position) or (
        _CHUNK.match(content, position) is not None
        and position + 8 <= _end_of_chunk(content, position) <= len(content))


def _end_of_chunk(content: bytes, position: int) -> int:
    return position + 8 + int.from_bytes(content[position + 4:position + 8], "big")


def _end_of_header(content: bytes, start: int) -> int:
    """Returns the position after a header, which later standards may lengthen."""
    end = _end_of_chunk(content, start)
    return end if end >= start + 14 and _is_chunk(content, end) else start + 14


def _number(content: bytes, position: int) -> tuple[int, int]:
    """Returns a number of variable length, and the position after it.

    Raises:
      IndexError: it has more than four bytes without the zeros before it, or the content ends
        within it.
    """
    while content[position] == 0x80:  # a leading zero
        position += 1
    value = 0
    for end in range(position + 1, position + 5):
        byte = content[end - 1]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, end
    raise IndexError
