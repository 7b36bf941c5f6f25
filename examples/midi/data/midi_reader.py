# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Reads notes from MIDI files: when each starts and ends, in seconds and in beats.

The size of a file, its number of notes and its duration are bounded, so that a few bytes cannot
claim months of music. Nothing here imports TensorFlow: worker processes read files with it.

Axes: N notes.
"""
from __future__ import annotations

import collections
import io
import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

MAX_BYTES = 1 << 21  # of a file; three minutes of piano are 50 kB
MAX_HOURS = 4  # of music in a file
MAX_BEATS = 100_000
DRUM_CHANNEL = 9
END_MARK = "vaeseq: end"  # a text event where a piece ends in silence

_MAX_TICKS = 1 << 40
_MAX_NOTES = 1 << 18
# A variable-length number continues while bytes are above 127; mido reads any length.
_ENDLESS_NUMBER = re.compile(rb"[\x80-\xff]{2048}")
_DEFAULT_TEMPO = 500_000  # microseconds a beat
_SUSTAIN, _PEDAL_DOWN = 64, 64


class BadMidi(ValueError):  # noqa: N818 (a file is bad, not the program)
    """A file is not readable music; the message says why."""


class Notes(NamedTuple):
    """The notes of a piece.

    Attributes:
      seconds: float64 `[N, 3]`: start, end, and end with the sustain pedal applied.
      beats: float64 `[N, 3]`: the same in quarter notes.
      pitch: uint8 `[N]`, MIDI numbers: 60 is middle C.
      drum: bool `[N]`: whether the note is on the drum channel.
      end: float64 `[2]`: where the piece ends, in seconds and beats: with its last note, or later
        where END_MARK marks trailing silence.
    """

    seconds: np.ndarray
    beats: np.ndarray
    pitch: np.ndarray
    drum: np.ndarray
    end: np.ndarray


class _Event(NamedTuple):
    """A note in ticks; `held` is its end with the sustain pedal applied."""

    start: int
    end: int
    held: int
    pitch: int
    drum: bool


def read(content: bytes) -> Notes:
    """Returns the notes in the bytes of a MIDI file, sorted by their starts; there may be none.

    Raises:
      BadMidi: the file is not MIDI, is damaged, or exceeds a limit.
    """
    import mido
    if not content:
        raise BadMidi("the file is empty")
    if len(content) > MAX_BYTES:
        raise BadMidi(f"{len(content):,} bytes; at most {MAX_BYTES:,} are read")
    if not content.startswith(b"MThd"):
        raise BadMidi("it does not begin as a MIDI file")
    if _ENDLESS_NUMBER.search(content):
        raise BadMidi("it holds a number without end")
    try:
        file = mido.MidiFile(file=io.BytesIO(content))
    except Exception as error:
        reason = str(error) if isinstance(error, (OSError, ValueError)) else ""
        raise BadMidi(f"damaged: {reason or 'it ends too early'}") from None
    if file.ticks_per_beat <= 0:
        raise BadMidi("its time is in film frames (SMPTE), not in beats")
    tracks = [list(_absolute(track)) for track in file.tracks]
    events, marked = _events(tracks), _marked_end(tracks)
    return _notes(events, marked, _tempi(tracks, file.ticks_per_beat), file.ticks_per_beat)


def _absolute(track: Iterable) -> Iterator[tuple[int, object]]:
    """Yields the messages of a track, each with its absolute tick."""
    tick = 0
    for message in track:
        tick += message.time
        if tick > _MAX_TICKS:
            raise BadMidi("it claims more music than there is time")
        yield tick, message


def _events(tracks: list[list]) -> list[_Event]:
    """Returns the notes of all tracks; drops notes that are never ended."""
    keys = [note for track in tracks for note in _pressed(track)]
    if len(keys) > _MAX_NOTES:
        raise BadMidi(f"{len(keys):,} notes; at most {_MAX_NOTES:,} are read")
    pedals = _pedals(tracks, max((note[1] for note in keys), default=0))
    events = []
    for start, end, channel, pitch in keys:
        ups, downs = pedals.get(channel, (np.zeros(0), np.zeros(0)))
        following = int(np.searchsorted(ups, end, "right"))
        # The pedal was down at the key's release: the note sounds until the pedal is released.
        down = following < len(ups) and downs[following] <= end
        held = int(ups[following]) if down else end
        events.append(_Event(start, end, held, pitch, channel == DRUM_CHANNEL))
    return sorted(events)


def _pressed(track: list) -> Iterator[tuple[int, int, int, int]]:
    """Yields the start, end, channel and pitch of each note of a track."""
    sounding: dict[tuple[int, int], list[int]] = collections.defaultdict(list)
    for tick, message in track:
        if message.type == "note_on" and message.velocity > 0:
            sounding[message.channel, message.note].append(tick)
        elif message.type in ("note_on", "note_off"):
            # A note that starts at this tick continues; earlier ones end here.
            key = message.channel, message.note
            ending = [start for start in sounding[key] if start < tick]
            sounding[key] = [start for start in sounding[key] if start >= tick and ending]
            for start in ending:
                yield start, tick, *key


def _pedals(tracks: list[list], last: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Returns for each channel the ticks of pedal releases, and of the presses before them."""
    changes = collections.defaultdict(list)
    for track in tracks:
        for tick, message in track:
            if message.type == "control_change" and message.control == _SUSTAIN:
                changes[message.channel].append((tick, message.value >= _PEDAL_DOWN))
    pedals = {}
    for channel, moves in changes.items():
        ups, downs, since = [], [], None
        moves.sort(key=lambda move: move[0])
        for tick, is_down in [*moves, (max(last, moves[-1][0]), False)]:
            if is_down:
                since = tick if since is None else since
            elif since is not None:
                ups.append(tick)
                downs.append(since)
                since = None
        pedals[channel] = np.array(ups), np.array(downs)
    return pedals


def _marked_end(tracks: list[list]) -> int:
    return max((tick for track in tracks for tick, message in track
                if message.type == "text" and message.text == END_MARK), default=0)


def _tempi(tracks: list[list], ticks_per_beat: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the ticks of tempo changes, their seconds, and the seconds per tick after each."""
    changes = {0: _DEFAULT_TEMPO}
    for tick, message in sorted(
            (item for track in tracks for item in track if item[1].type == "set_tempo"),
            key=lambda item: item[0]):
        changes[tick] = message.tempo
    ticks = np.array(list(changes), np.int64)
    lengths = np.array(list(changes.values())) / 1e6 / ticks_per_beat
    seconds = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * lengths[:-1])])
    return ticks, seconds, lengths


def _notes(
    events: list[_Event], marked: int, tempi: tuple[np.ndarray, ...], ticks_per_beat: int
) -> Notes:
    times = np.array([event[:3] for event in events], np.int64).reshape(-1, 3)
    end = np.array([max(marked, times.max(initial=0))])
    seconds, beats = _seconds(times, tempi), times / ticks_per_beat
    ends = np.concatenate([_seconds(end, tempi), end / ticks_per_beat])
    if ends[0] > 3600 * MAX_HOURS or ends[1] > MAX_BEATS or not math.isfinite(ends.sum()):
        raise BadMidi(f"it claims {ends[0] / 3600:,.1f} hours and {ends[1]:,.0f} beats of music; "
                      f"at most {MAX_HOURS} hours and {MAX_BEATS:,} beats are read")
    return Notes(seconds, beats, np.array([event.pitch for event in events], np.uint8),
                 np.array([event.drum for event in events], bool), ends)


def _seconds(ticks: np.ndarray, tempi: tuple[np.ndarray, ...]) -> np.ndarray:
    changes, seconds, lengths = tempi
    at = np.searchsorted(changes, ticks, "right") - 1
    return seconds[at] + (ticks - changes[at]) * lengths[at]
