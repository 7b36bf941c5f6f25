# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Finds the drum channels of MIDI files: channel 10, and those that a file makes drum channels.

    Roland GS    a system-exclusive message makes a part a rhythm part or a melodic one
    Yamaha XG    one sets the mode of a part; so does the bank 126 or 127 of its sounds
    General MIDI Level 2    bank 120

In GS these banks are melodic, so that they say nothing after a GS message. The channel of a part is
the one that it has after a reset.
"""
from __future__ import annotations

import bisect
import collections
from collections.abc import Callable

from .midi_events import SYSEX, Event, Track

DRUM_CHANNEL = 9  # channel 10, counted from 0
_CONTROL, _BANK_SELECT = 0xB0, 0
_DRUM_BANKS = (120, 126, 127)
_GS_MODE, _XG_MODE = 0x15, 0x07  # addresses of the mode of a part, within the part's memory


def find(tracks: list[Track]) -> Callable[[int, int], bool]:
    """Returns a function of an `Event.channel` and a tick: whether it is a drum channel then."""
    ports: dict[int, _Changes] = collections.defaultdict(_Changes)
    events = (event for track in tracks for event in track.events
              if event.status == SYSEX or event.status & 0xF0 == _CONTROL
              and event.data[0] == _BANK_SELECT)
    for event in sorted(events, key=lambda event: event.tick):
        ports[event.port].add(event)
    return lambda channel, tick: ports[channel // 16].is_drum(channel % 16, tick)


class _Changes:
    """When channels of a port become drum channels or melodic ones; events are added in order."""

    def __init__(self) -> None:
        self._is_gs = False
        self._parts = {DRUM_CHANNEL: True}  # by system-exclusive messages
        self._banks: dict[int, bool] = {}
        self._ticks: dict[int, list[int]] = collections.defaultdict(list)
        self._values: dict[int, list[bool]] = collections.defaultdict(list)

    def is_drum(self, channel: int, tick: int) -> bool:
        """Returns whether a channel is a drum channel after the events of a tick."""
        number = bisect.bisect_right(self._ticks[channel], tick)
        return self._values[channel][number - 1] if number else channel == DRUM_CHANNEL

    def add(self, event: Event) -> None:
        """Adds a system-exclusive message or a bank select."""
        if event.status != SYSEX:
            channel = event.status & 0x0F
            self._banks[channel] = event.data[1] in _DRUM_BANKS and not self._is_gs
            self._record(channel, event.tick)
            return
        message = event.data.removesuffix(b"\xf7")
        gs, xg = message[:1] == b"\x41", message[:1] == b"\x43"
        if gs and message[2:4] == b"\x42\x12":  # data set, with a checksum at the end
            address, data = message[4:7], message[7:-1]
            self._is_gs = True
            if address in (b"\x40\x00\x7f", b"\x00\x00\x7f"):
                self._reset(event.tick)
            elif len(address) == 3 and address[0] == 0x40 and address[1] & 0xF0 == 0x10:
                self._set_part(_gs_channel(address[1] & 0x0F), _GS_MODE - address[2], data,
                               event.tick)
        elif xg and message[2:3] == b"\x4c":
            address, data = message[3:6], message[6:]
            if address in (b"\x00\x00\x7e", b"\x00\x00\x7f"):
                self._is_gs = False
                self._reset(event.tick)
            elif len(address) == 3 and address[0] == 0x08:
                self._set_part(address[1], _XG_MODE - address[2], data, event.tick)
        elif message[:1] == b"\x7e" and message[2:4] in (b"\x09\x01", b"\x09\x03"):
            self._is_gs = False
            self._reset(event.tick)

    def _set_part(self, channel: int, offset: int, data: bytes, tick: int) -> None:
        """Sets the mode of a part where the data written to its memory include it."""
        if 0 <= offset < len(data):
            self._parts[channel] = data[offset] != 0
            self._banks[channel] = False
            self._record(channel, tick)

    def _reset(self, tick: int) -> None:
        """Makes channel 10 the only drum channel."""
        self._parts, self._banks = {DRUM_CHANNEL: True}, {}
        for channel in range(16):
            self._record(channel, tick)

    def _record(self, channel: int, tick: int) -> None:
        self._ticks[channel].append(tick)
        self._values[channel].append(
            self._parts.get(channel, False) or self._banks.get(channel, False))


def _gs_channel(block: int) -> int:
    """Returns the channel of a block of GS parts: 0 is part 10, 1 to 9 the parts before it."""
    return DRUM_CHANNEL if block == 0 else block - 1 if block < 10 else block
