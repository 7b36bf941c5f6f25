# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Builds MIDI files for the tests, byte by byte, and piano rolls."""

import io
import struct

import numpy as np


def number(value):
    """Returns a variable-length number."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def header(tracks=1, division=480, format_=1):
    return b"MThd" + struct.pack(">IHHH", 6, format_, tracks, division & 0xFFFF)


def chunk(kind, content):
    return kind + struct.pack(">I", len(content)) + content


def file(*tracks, division=480):
    """Returns a file of tracks, each a list of (delta, event bytes)."""
    chunks = [header(len(tracks), division)]
    for track in tracks:
        events = [*track, (0, b"\xff\x2f\x00")]
        chunks.append(chunk(b"MTrk", b"".join(number(delta) + event for delta, event in events)))
    return b"".join(chunks)


def on(pitch, channel=0):
    return bytes([0x90 | channel, pitch, 80])


def off(pitch, channel=0):
    return bytes([0x80 | channel, pitch, 0])


def pedal(down, channel=0):
    return bytes([0xB0 | channel, 64, 127 if down else 0])


def tempo(beats_per_minute):
    return b"\xff\x51\x03" + struct.pack(">I", 60_000_000 // beats_per_minute)[1:]


def program(number_, channel=0):
    return bytes([0xC0 | channel, number_])


def melody(pitches=(60, 62, 64, 65), ticks=240, channel=0):
    """Returns a file with one note after the other, an eighth each."""
    track = []
    for pitch in pitches:
        track += [(0, on(pitch, channel)), (ticks, off(pitch, channel))]
    return file(track)


def write_scales(folder, notes=20):
    """Makes a folder of ten files, each a scale of its own beginning."""
    folder.mkdir()
    for number in range(10):
        scale = [60 + (number + step) % 12 for step in range(notes)]
        (folder / f"{number}.mid").write_bytes(melody(scale))


def content(midi):
    """Returns the bytes of a `pretty_midi.PrettyMIDI`."""
    buffer = io.BytesIO()
    midi.write(buffer)
    return buffer.getvalue()


def random_roll(grid, frames=60, seed=0):
    """Returns a roll with long, short and repeated notes, silent at both ends."""
    rng = np.random.default_rng(seed)
    sounding = np.repeat(rng.random([frames // 3, grid.parts * grid.pitches]) < 0.1, 3, axis=0)
    sounding[rng.random(sounding.shape) < 0.1] = False
    sounding[:2], sounding[-2:] = False, False
    if not grid.onsets:
        return sounding.astype(np.uint8)
    before = np.concatenate([np.zeros_like(sounding[:1]), sounding[:-1]])
    begins = sounding & (~before | (rng.random(sounding.shape) < 0.2))
    return np.concatenate([begins, sounding & ~begins], 1).astype(np.uint8)
