# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Reads notes from MIDI files: when each starts and ends, in seconds and in beats.

The size of a file, its number of notes and its duration are bounded, so that a few bytes cannot
claim months of music. Nothing here imports TensorFlow: worker processes read files with it.

Axes: N notes.
"""
from __future__ import annotations

import bisect
import collections
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from . import drum_channels, midi_events
from .midi_events import META, BadMidi, Event, Track

MAX_BYTES = 1 << 21  # of a file; three minutes of piano are 50 kB
MAX_HOURS = 4  # of music in a file
MAX_BEATS = 100_000
END_MARK = "vaeseq: end"  # a text event where a piece ends in silence

_MAX_NOTES = 1 << 18
_PORTS = 256  # of a track
_CHANNELS = 16 * _PORTS
_DEFAULT_TEMPO = 500_000  # microseconds a beat
_NOTE_OFF, _NOTE_ON, _CONTROL, _PROGRAM = 0x80, 0x90, 0xB0, 0xC0
_SUSTAIN, _PEDAL_DOWN = 64, 64
_ALL_SOUND_OFF, _RESET_CONTROLLERS, _ALL_NOTES_OFF = 120, 121, 123
_NTSC = 29  # frames a second by its number, which stands for 30,000 / 1,001

__all__ = ["BadMidi", "Notes", "read"]


class Notes(NamedTuple):
    """The notes of a piece."""

    seconds: np.ndarray  # float64 `[N, 3]`: start, end, and end with the sustain pedal applied
    beats: np.ndarray  # float64 `[N, 3]`: the same in quarter notes
    pitch: np.ndarray  # uint8 `[N]`, MIDI numbers: 60 is middle C
    velocity: np.ndarray  # uint8 `[N]`, 1 to 127: how hard the key is struck
    drum: np.ndarray  # bool `[N]`: whether the note is on a drum channel
    program: np.ndarray  # uint8 `[N]`, 0 to 127: the sound of the channel when the note starts
    voice: np.ndarray  # int32 `[N]`: equal for notes of one track, port and channel
    # float64 `[2]`: where the piece ends, in seconds and beats: with its last note, or later where
    # END_MARK marks trailing silence
    end: np.ndarray
    repairs: tuple[str, ...] = ()  # what was wrong with the file, and how it was read


class _Key(NamedTuple):
    """A key that is pressed and released, in ticks."""

    start: int
    end: int
    channel: int
    pitch: int
    velocity: int
    track: int


class _Press(NamedTuple):
    """A key that is down."""

    tick: int
    velocity: int


class _Clock(NamedTuple):
    """The times of ticks, linear between changes of tempo."""

    ticks: np.ndarray  # int64, of the changes; the first is 0
    times: np.ndarray  # `[changes, 2]`, their seconds and beats
    rates: np.ndarray  # `[changes, 2]`, seconds and beats per tick after each

    def at(self, ticks: np.ndarray) -> np.ndarray:
        """Returns the seconds and beats of ticks `[...]`, float64 `[..., 2]`."""
        change = np.searchsorted(self.ticks, ticks, "right") - 1
        return self.times[change] + (ticks - self.ticks[change])[..., None] * self.rates[change]


def read(content: bytes) -> Notes:
    """Returns the notes in the bytes of a MIDI file, sorted by their starts; there may be none.

    Raises:
      BadMidi: the file is not MIDI, is damaged from the start, or exceeds a limit.
    """
    if not content:
        raise BadMidi("the file is empty")
    if len(content) > MAX_BYTES:
        raise BadMidi(f"it is too large; at most {MAX_BYTES:,} bytes are read")
    file = midi_events.parse(content)
    tracks = _one_after_another(file.tracks) if file.format == 2 else file.tracks
    repairs = list(file.repairs)
    clock = _clock(tracks, file.division, repairs)
    keys = sorted(_keys(tracks, repairs))
    if len(keys) > _MAX_NOTES:
        raise BadMidi(f"{len(keys):,} notes; at most {_MAX_NOTES:,} are read")
    times = _times(keys, _pedals(tracks, max((key.end for key in keys), default=0)))
    is_drum = drum_channels.find(tracks)
    end = clock.at(np.array(max(_marked_end(tracks), times.max(initial=0))))
    seconds, beats = np.moveaxis(clock.at(times), -1, 0)
    if end[0] > 3600 * MAX_HOURS or end[1] > MAX_BEATS or not math.isfinite(end.sum()):
        raise BadMidi(f"it claims {end[0] / 3600:,.1f} hours and {end[1]:,.0f} beats of music; "
                      f"at most {MAX_HOURS} hours and {MAX_BEATS:,} beats are read")
    return Notes(
        seconds, beats, np.array([key.pitch for key in keys], np.uint8),
        np.array([key.velocity for key in keys], np.uint8),
        np.array([is_drum(key.channel, key.start) for key in keys], bool), _programs(tracks, keys),
        np.array([_CHANNELS * key.track + key.channel for key in keys], np.int32), end,
        tuple(repairs))


def _one_after_another(tracks: list[Track]) -> list[Track]:
    """Returns the tracks of format 2, each a piece of its own, in the order of their play.

    Each has ports of its own, so that no program or note goes on in the next one, and no pedal.
    """
    tempo = Event(0, META, bytes([midi_events.TEMPO]) + _DEFAULT_TEMPO.to_bytes(3, "big"))
    result, start = [], 0
    for number, track in enumerate(tracks):
        events = [event._replace(tick=start + event.tick, port=_PORTS * number + event.port)
                  for event in [tempo, *track.events]]
        start += track.end
        pedals_up = {event._replace(tick=start, data=bytes([_SUSTAIN, 0]))
                     for event in events if event.status & 0xF0 == _CONTROL}
        result.append(Track([*events, *pedals_up], start))
    return result


def _keys(tracks: list[Track], repairs: list[str]) -> list[_Key]:
    """Returns the keys pressed in all tracks.

    A release ends the keys of its own track. A key that is never released there ends with the next
    release of that key without a press in another track, or with its track.
    """
    keys: list[_Key] = []
    unended: list[_Key] = []
    releases: dict[tuple[int, int], list[int]] = collections.defaultdict(list)
    for number, track in enumerate(tracks):
        sounding: dict[int, dict[int, list[_Press]]] = collections.defaultdict(dict)
        last_silence: dict[int, int] = {}  # the tick of the last one of each channel
        for event in track.events:
            (tick, status, data, _), channel = event, event.channel
            kind = status & 0xF0
            if kind == _NOTE_ON and data[1]:
                sounding[channel].setdefault(data[0], []).append(_Press(tick, data[1]))
            elif kind in (_NOTE_OFF, _NOTE_ON):
                presses = sounding[channel].pop(data[0], [])
                if not presses:
                    releases[channel, data[0]].append(tick)
                # If an earlier note ends here, one that starts at this tick continues.
                earlier = [press for press in presses if press.tick < tick] or presses
                keys += [_Key(start, tick, channel, data[0], velocity, number)
                         for start, velocity in earlier]
                if len(earlier) < len(presses):
                    sounding[channel][data[0]] = presses[len(earlier):]
            elif kind == _CONTROL and last_silence.get(channel) != tick and (
                    data[0] == _ALL_SOUND_OFF or data[0] >= _ALL_NOTES_OFF):
                last_silence[channel] = tick
                keys += [_Key(start, tick, channel, pitch, velocity, number)
                         for pitch, (start, velocity) in _silence(sounding[channel], tick)]
        unended += [_Key(start, track.end, channel, pitch, velocity, number)
                    for channel, pitches in sounding.items()
                    for pitch, presses in pitches.items() for start, velocity in presses]
    for ticks in releases.values():
        ticks.sort()
    num_elsewhere = 0
    for key in unended:
        ticks = releases[key.channel, key.pitch]
        after = bisect.bisect_right(ticks, key.start)
        num_elsewhere += after < len(ticks)
        keys.append(key._replace(end=ticks[after]) if after < len(ticks) else key)
    if num_elsewhere:
        repairs.append(f"notes that another track ends: {num_elsewhere:,}")
    if len(unended) > num_elsewhere:
        repairs.append("notes without an end, which end with their track: "
                       f"{len(unended) - num_elsewhere:,}")
    return keys


def _silence(sounding: dict[int, list[_Press]], tick: int) -> list[tuple[int, _Press]]:
    """Removes the notes of a channel that sound before a tick, and returns pitches and presses."""
    ended = []
    for pitch in [pitch for pitch, presses in sounding.items() if presses[0].tick < tick]:
        presses = sounding.pop(pitch)
        later = [press for press in presses if press.tick >= tick]
        if later:
            sounding[pitch] = later
        ended += [(pitch, press) for press in presses if press.tick < tick]
    return ended


def _programs(tracks: list[Track], keys: list[_Key]) -> np.ndarray:
    """Returns the program of each key's channel when it is pressed, uint8 `[N]`; 0 without any."""
    changes: dict[int, list[tuple[int, int]]] = collections.defaultdict(list)
    for track in tracks:
        for event in track.events:
            if event.status & 0xF0 == _PROGRAM:
                changes[event.channel].append((event.tick, event.data[0]))
    for each in changes.values():
        each.sort(key=lambda change: change[0])
    programs = np.zeros(len(keys), np.uint8)
    for number, key in enumerate(keys):
        following = bisect.bisect_right(
            changes[key.channel], key.start, key=lambda change: change[0])
        if following:
            programs[number] = changes[key.channel][following - 1][1]
    return programs


def _pedals(tracks: list[Track], last: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Returns for each channel the ticks of pedal releases, and of the presses before them."""
    changes: dict[int, list[tuple[int, bool]]] = collections.defaultdict(list)
    for track in tracks:
        for event in track.events:
            if event.status & 0xF0 != _CONTROL:
                continue
            controller, value = event.data
            if controller == _SUSTAIN:
                changes[event.channel].append((event.tick, value >= _PEDAL_DOWN))
            elif controller in (_ALL_SOUND_OFF, _RESET_CONTROLLERS):
                changes[event.channel].append((event.tick, False))
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


def _times(
    keys: list[_Key], pedals: dict[int, tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Returns start, end, and end with the pedal applied of each key in ticks, int64 `[N, 3]`."""
    times = np.empty([len(keys), 3], np.int64)
    for row, key in zip(times, keys):
        ups, downs = pedals.get(key.channel, (np.zeros(0), np.zeros(0)))
        following = int(np.searchsorted(ups, key.end, "right"))
        # The pedal was down at the key's release: the note sounds until the pedal is released.
        is_down = following < len(ups) and downs[following] <= key.end
        row[:] = key.start, key.end, int(ups[following]) if is_down else key.end
    return times


def _marked_end(tracks: list[Track]) -> int:
    mark = bytes([midi_events.TEXT]) + END_MARK.encode()
    return max((event.tick for event in _meta_events(tracks) if event.data == mark), default=0)


def _clock(tracks: list[Track], division: int, repairs: list[str]) -> _Clock:
    """Returns the clock of a file, by its division and the tempo changes of all tracks."""
    tempi = {0: _DEFAULT_TEMPO}
    num_zero = 0
    for event in sorted(
            (event for event in _meta_events(tracks) if event.data[0] == midi_events.TEMPO),
            key=lambda event: event.tick):
        tempo = int.from_bytes(event.data[1:4], "big") if len(event.data) > 3 else 0
        if tempo:
            tempi[event.tick] = tempo
        else:
            num_zero += 1
    if num_zero:
        repairs.append(f"changes of tempo to 0, left out: {num_zero:,}")
    ticks = np.array(list(tempi), np.int64)
    beat_seconds = np.array(list(tempi.values())) / 1e6
    if division < 0:  # the tempo says what a beat is, and a tick is part of a second
        frames, ticks_per_frame = -(division >> 8), division & 0xFF
        frame_seconds = 1001 / 30_000 if frames == _NTSC else 1 / frames
        seconds = np.full(len(ticks), frame_seconds / ticks_per_frame)
        beats = seconds / beat_seconds
    else:
        seconds, beats = beat_seconds / division, np.full(len(ticks), 1 / division)
    rates = np.stack([seconds, beats], 1)
    passed = np.cumsum(np.diff(ticks)[:, None] * rates[:-1], 0)
    return _Clock(ticks, np.concatenate([np.zeros([1, 2]), passed]), rates)


def _meta_events(tracks: list[Track]) -> Iterator[Event]:
    return (event for track in tracks for event in track.events if event.status == META)
