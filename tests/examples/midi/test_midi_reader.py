# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The reader of MIDI files: equal to a reading by mido alone, and as tolerant as players are."""

import contextlib
import gzip
import importlib.util
import io
import pathlib
import struct
import time

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.midi.data import midi_reader, piano_roll
from examples.midi.data.midi_reader import BadMidi
from examples.midi.data.piano_roll import Grid
from tests.examples.midi import midi_files
from tests.examples.midi.midi_files import chunk, file, melody, number, off, on, pedal, tempo


def _rows(content, *more):
    """Returns (start, end, end with pedal, pitch, drum) and `more` of each note, in seconds."""
    notes = midi_reader.read(content)
    fields = zip(*(getattr(notes, name).tolist() for name in ("pitch", "drum", *more)))
    return sorted((*times.tolist(), *values) for times, values in zip(notes.seconds, fields))


def _read_by_mido(content):
    """Returns `_rows` with velocity and program of a valid file, from mido's messages alone."""
    midi = mido.MidiFile(file=io.BytesIO(content))
    merged = []  # (tick, track, message), simultaneous ones in the order of tracks
    ends = []
    for index, track in enumerate(midi.tracks):
        tick = 0
        for message in track:
            tick += message.time
            merged.append((tick, index, message))
        ends.append(tick)
    merged.sort(key=lambda item: item[0])
    now, since, microseconds = 0.0, 0, 500_000
    seconds = {}
    for tick, _, message in merged:
        now += mido.tick2second(tick - since, midi.ticks_per_beat, microseconds)
        since = tick
        seconds[tick] = now
        if message.type == "set_tempo":
            microseconds = message.tempo
    notes, open_, strays = [], {}, []
    programs, sounds = {}, {}
    for tick, _, message in merged:
        if message.type == "program_change":
            programs[message.channel] = message.program
        if not message.is_meta and hasattr(message, "channel"):
            sounds[message.channel, tick] = programs.get(message.channel, 0)
    for tick, index, message in merged:
        if message.type not in ("note_on", "note_off"):
            continue
        key = index, message.channel, message.note
        if message.type == "note_on" and message.velocity:
            open_.setdefault(key, []).append((tick, message.velocity))
        elif open_.get(key):
            ended = [press for press in open_[key] if press[0] < tick] or open_[key]
            open_[key] = [press for press in open_[key] if press not in ended]
            notes += [(press, tick, key) for press in ended]
        else:
            strays.append((tick, key[1:]))
    for key, presses in open_.items():  # a release in another track ends them, or their track
        for press in presses:
            later = [tick for tick, other in strays if other == key[1:] and tick > press[0]]
            notes.append((press, min(later, default=ends[key[0]]), key))
    last = max((end for _, end, _ in notes), default=0)
    moves = [(tick, message) for tick, _, message in merged if message.is_cc(64)]
    rows = []
    for (start, velocity), end, (_, channel, pitch) in notes:
        held, down = end, False
        for tick, message in moves:  # the state of the pedal at the release, then its end
            if message.channel == channel:
                if tick <= end:
                    down = message.value >= 64
                elif down and message.value < 64:
                    held = tick
                    break
        else:
            held = max([end, last, *(tick for tick, message in moves
                                     if message.channel == channel)]) if down else end
        rows.append((*(seconds[tick] for tick in (start, end, held)), pitch, channel == 9,
                     velocity, sounds[channel, start]))
    return sorted(rows)


@st.composite
def _midi(draw):
    """The bytes of a valid file as mido writes it: several tracks, channels, tempi and a pedal."""
    midi = mido.MidiFile(type=1, ticks_per_beat=draw(st.sampled_from([24, 96, 480, 961])))
    for _ in range(draw(st.integers(1, 3))):
        track = mido.MidiTrack()
        for _ in range(draw(st.integers(0, 25))):
            delta = draw(st.sampled_from([0, 0, 1, 60, 200]))
            channel = draw(st.sampled_from([0, 3, 9]))
            pitch, value = draw(st.sampled_from([0, 60, 64, 127])), draw(
                st.sampled_from([0, 1, 63, 64, 127]))
            track.append(draw(st.sampled_from([
                mido.Message("note_on", channel=channel, note=pitch, velocity=value, time=delta),
                mido.Message("note_on", channel=channel, note=pitch, velocity=80, time=delta),
                mido.Message("note_off", channel=channel, note=pitch, time=delta),
                mido.Message("control_change", channel=channel, control=64, value=value,
                             time=delta),
                mido.Message("program_change", channel=channel, program=value, time=delta),
                mido.Message("pitchwheel", channel=channel, pitch=value, time=delta),
                mido.Message("sysex", data=[value, pitch], time=delta),
                mido.MetaMessage("text", text="la la", time=delta),
                mido.MetaMessage("time_signature", time=delta),
                mido.MetaMessage("set_tempo", tempo=1 + 9_000 * value, time=delta),
            ])))
        midi.tracks.append(track)
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


@pytest.mark.oracle
@settings(max_examples=60, deadline=None)
@given(content=_midi())
def test_notes_and_pedal_equal_a_reading_by_mido(content):
    _assert_equal_by_mido(content)


def _assert_equal_by_mido(content):
    ours, theirs = _rows(content, "velocity", "program"), _read_by_mido(content)
    assert len(ours) == len(theirs)
    if ours:
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-9)


@pytest.mark.oracle
def test_real_files_equal_a_reading_by_mido():
    music21 = importlib.util.find_spec("music21")
    if music21 is None:
        pytest.skip("its files come with music21")
    paths = sorted((pathlib.Path(music21.origin).parent / "midi" / "testPrimitive").glob("*.mid"))
    assert len(paths) > 10
    for path in paths:
        _assert_equal_by_mido(path.read_bytes())


# Two notes of an eighth each, at 120 beats a minute: what the repaired files below hold, too.
TWO = [(0.0, 0.25, 0.25, 60, False), (0.25, 0.5, 0.5, 62, False)]
BODY = b"".join(number(delta) + event for delta, event in [
    (0, on(60)), (240, off(60)), (0, on(62)), (240, off(62))])
END = b"\0\xff\x2f\0"
PLAIN = midi_files.header() + chunk(b"MTrk", BODY + END)


def _with(*events, after=b""):
    """Returns PLAIN with events of no duration before its notes, and bytes behind them."""
    return midi_files.header() + chunk(
        b"MTrk", b"".join(b"\0" + event for event in events) + BODY + after + END)


def _meta(kind, content=b""):
    return bytes([0xFF, kind]) + number(len(content)) + content


def _wrapped(content):
    """Returns a file in a RIFF container, as `.rmi` files are."""
    data = b"data" + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    info = b"LIST" + struct.pack("<I", 4) + b"INFO"
    return b"RIFF" + struct.pack("<I", 4 + len(info) + len(data) * 2) + b"RMID" + info + data + info


def _length(size, content=PLAIN):
    """Returns a file whose first track claims another size."""
    return content[:18] + struct.pack(">I", size) + content[22:]


# Files that players play; each reads as TWO. The second item is what is said of it.
PLAYED = {
    "RIFF": (_wrapped(PLAIN), ""),
    "MacBinary": (bytes([0, 4]) + b"song" + bytes(122) + PLAIN + bytes(40), ""),
    "text before": (b"From: MThd fans\r\n\r\n" + PLAIN, ""),
    "mail behind": (PLAIN + b"\r\n-- \r\nThe sender", ""),
    "long header": (b"MThd\0\0\0\x0a" + PLAIN[8:14] + b"more" + PLAIN[14:], ""),
    "short header": (b"MThd\0\0\0\x02" + PLAIN[8:], ""),
    "unknown chunk": (PLAIN[:14] + chunk(b"XFIH", b"abc") + PLAIN[14:], ""),
    "unknown chunk behind": (PLAIN + chunk(b"XFKM", b"abcde"), ""),
    "unknown chunk of a wrong size": (PLAIN[:14] + b"Junk\0\1\2\3" + PLAIN[14:], ""),
    "padding": (PLAIN[:14] + b"\0\0\0" + PLAIN[14:], ""),
    "key signatures": (_with(_meta(0x59), _meta(0x59, b"\x09\0"), _meta(0x59, b"\0\x07"),
                             _meta(0x59, b"\xf0"), _meta(0x59, b"\0\0\0\0")), ""),
    "time signatures": (_with(_meta(0x58), _meta(0x58, b"\0\0\0\0"), _meta(0x58, b"\4\xff\x18\x08"),
                              _meta(0x58, b"\4"), _meta(0x58, bytes(9))), ""),
    "other metas": (_with(_meta(0x54), _meta(0x20), _meta(0x21, b"\1\2\3"), _meta(0x00, b"\1"),
                          _meta(0x7F), _meta(0x60, b"?"), _meta(0x01, b"\xff\xfe")), ""),
    "short tempo": (_with(_meta(0x51), _meta(0x51, b"\1"), _meta(0x51, b"\0\0")), "tempo to 0"),
    "tempo 0": (_with(_meta(0x51, bytes(3))), "changes of tempo to 0, left out: 1"),
    "loud note": (PLAIN.replace(on(60), b"\x90\x3c\xff"), "data bytes above 127, clipped: 1"),
    "controller": (_with(b"\xb0\x07\xc8", b"\xc0\xff", b"\xe0\x80\x80"), "127, clipped: 4"),
    "SysEx above 127": (_with(b"\xf0\x04\xff\x80\x00\xf7"), ""),
    "SysEx without an end": (_with(b"\xf0\x02\x01\x02"), ""),
    "real-time messages": (_with(b"\xf8", b"\xfe", b"\xf2\0\0", b"\xf3\1", b"\xf1\1", b"\xf6"), ""),
    "running status after SysEx": (_with(b"\xb0\x07\x40", b"\xf0\x02\x01\xf7", b"\x07\x40"), ""),
    "running status after a meta": (_with(b"\xb0\x07\x40", _meta(0x01, b"la"), b"\x07\x40"), ""),
    "no status": (_with(b"\x07\x40\xb0\x07\x40"), "data bytes without a status, skipped: 2"),
    "a length of more": (_length(1 << 20), f"claims {1 << 20:,} bytes, and it has"),
    "the longest length": (_length(0xFFFFFFFF), "claims 4,294,967,295 bytes"),
    "a length of less": (_length(9), "claims 9 bytes, and it has"),
    "a length of 0": (_length(0), "claims 0 bytes"),
    "more tracks": (midi_files.header(tracks=900) + PLAIN[14:],
                    "its header claims 900 tracks, and it holds 1"),
    "no tracks": (midi_files.header(tracks=0) + PLAIN[14:], "claims 0 tracks, and it holds 1"),
    "no end of track": (midi_files.header() + chunk(b"MTrk", BODY), ""),
    "events behind the end": (midi_files.header() + chunk(b"MTrk", BODY + END + BODY + END),
                              "goes on after its end-of-track event; what follows was"),
    "several ends": (midi_files.header() + chunk(b"MTrk", BODY + END + END + bytes(9)), ""),
    "a long end of track": (midi_files.header() + chunk(b"MTrk", BODY + b"\0\xff\x2f\2ab"), ""),
    "an end of track cut off": (PLAIN[:-1], "claims"),
    "cut in a delta": (PLAIN[:-len(END)] + b"\x83", "track 1 is damaged"),
    "cut in a note": (PLAIN[:-len(END)] + b"\0\x90\x40", "track 1 is damaged"),
    "cut in a meta": (PLAIN[:-len(END)] + b"\0\xff\x01\x20la", "track 1 is damaged"),
    "an endless number": (midi_files.header() + chunk(b"MTrk", BODY + bytes([0x81]) * 5000),
                          "track 1 is damaged"),
    "another file behind": (PLAIN + melody([80]), "another file follows it, which was left out"),
    "another file after a gap": (PLAIN + b"\0" + melody([80]), "another file follows it"),
    "a padded delta": (midi_files.header() + chunk(
        b"MTrk", b"\x80\x80\x80\x80\x80\0\xb0\x07\x40" + BODY + END), ""),
    "a padded length": (_with(b"\xff\1\x80\x80\x80\x80\2la"), ""),
    "a text that names a chunk, and more behind": (
        _with(_meta(1, b"hi MTrk\0\0\0\4abcdefgh")) + b"junk", ""),
    "another signature": (b"MTHD" + PLAIN[4:], "the signature of its header is not MThd"),
    "no header": (b"RMID" + PLAIN[14:], "it has no header; taken as 480 ticks per beat"),
    "division 0": (midi_files.header(division=0) + PLAIN[14:],
                   "0 ticks per beat, taken as 480"),
    "format 7": (midi_files.header(format_=7) + PLAIN[14:], ""),
}


@pytest.mark.parametrize("name", PLAYED)
def test_what_players_play_is_read(name):
    content, expected = PLAYED[name]
    assert _rows(content) == TWO
    repairs = midi_reader.read(content).repairs
    assert expected in "; ".join(repairs) and bool(repairs) == bool(expected)


def test_a_wrong_length_does_not_cost_the_tracks_that_follow():
    both = file([(0, on(60)), (240, off(60))], [(240, on(62)), (240, off(62))])
    size = int.from_bytes(both[18:22], "big")
    for wrong in (0, 3, size + 5, len(both) - 22, 0x7FFFFFFF):
        assert _rows(_length(wrong, both)) == TWO
    cut = both[:22 + size - 8] + both[22 + size:]  # the first track loses its release, and its end
    assert [row[3] for row in _rows(cut)] == [60, 62]


def test_notes_of_length_zero_last_a_frame():
    content = file([(240, on(60)), (0, off(60)), (0, on(60)), (0, off(60)), (480, on(62)),
                    (0, b"\x90\x3e\0")])
    roll = piano_roll.from_notes(midi_reader.read(content), Grid(note=8, lowest=60, highest=62))
    np.testing.assert_array_equal(roll, [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]])


def test_notes_without_an_end_last_as_long_as_their_track():
    content = file([(0, on(60)), (480, tempo(120))], [(240, on(62)), (0, on(64)), (240, off(62))])
    assert [row[:2] + row[3:4] for row in _rows(content)] == [
        (0.0, 0.5, 60), (0.25, 0.5, 62), (0.25, 0.5, 64)]
    assert midi_reader.read(content).repairs == (
        "notes without an end, which end with their track: 2",)
    silenced = file([(0, on(60)), (240, b"\xb0\x7b\0"), (0, on(60)), (240, off(60))])
    assert [row[:2] for row in _rows(silenced)] == [(0.0, 0.25), (0.25, 0.5)]
    elsewhere = file([(0, on(60)), (960, tempo(120))], [(480, off(60))], [(240, off(60))])
    assert [row[:2] for row in _rows(elsewhere)] == [(0.0, 0.25)]
    assert midi_reader.read(elsewhere).repairs == ("notes that another track ends: 1",)


def test_the_pedal_is_down_from_64_on():
    for value, end in ((63, 0.25), (64, 0.5)):
        content = file([(0, bytes([0xB0, 64, value])), (0, on(60)), (240, off(60)),
                        (240, pedal(False))])
        assert [row[2] for row in _rows(content)] == [end]


def test_a_reset_of_the_controllers_releases_the_pedal():
    content = file([(0, pedal(True)), (0, on(60)), (240, off(60)), (240, b"\xb0\x79\0"),
                    (480, on(62)), (240, off(62))])
    assert [row[1:3] for row in _rows(content)] == [(0.25, 0.5), (1.25, 1.25)]


@pytest.mark.parametrize("frames, ticks, second", [
    (24, 80, 1920), (25, 40, 1000), (30, 100, 3000), (29, 100, 30_000 / 1001 * 100)])
def test_film_time_is_exact_and_needs_no_tempo(frames, ticks, second):
    division = (-frames << 8) | ticks
    content = file([(0, tempo(60)), (1000, on(60)), (10_000, off(60))], division=division)
    notes = midi_reader.read(content)
    np.testing.assert_allclose(notes.seconds[0, :2], [1000 / second, 11_000 / second], rtol=1e-14)
    np.testing.assert_allclose(notes.beats, notes.seconds, rtol=1e-14)  # 60 beats a minute


def test_film_time_without_ticks_is_read():
    notes = midi_reader.read(file([(1000, on(60)), (500, off(60))], division=-25 << 8))
    np.testing.assert_allclose(notes.seconds[0, :2], [1, 1.5])
    assert notes.repairs == ("its header says 0 ticks per film frame, taken as 40",)


def test_each_port_has_channels_of_its_own():
    port = _meta(0x21, b"\1")
    # One track of two devices, and another track of the second one, whose drums are on channel 11.
    content = file(
        [(0, b"\xc0\x0a"), (0, on(60)), (0, pedal(True)), (0, port), (0, b"\xc0\x14"),
         (0, _gs_rhythm(0xA, 1)), (0, on(60)), (240, off(60)), (0, _meta(0x21, b"\0")),
         (240, off(60)), (480, pedal(False)), (0, on(40, 10)), (0, off(40, 10))],
        [(0, on(60)), (0, port), (0, on(62)), (480, off(62)), (0, on(36, 9)), (0, off(36, 9)),
         (0, on(40, 10)), (0, off(40, 10)), (0, _meta(0x21, b"\0")), (0, off(60))])
    assert _rows(content, "program") == [
        (0.0, 0.25, 0.25, 60, False, 20), (0.0, 0.5, 0.5, 62, False, 20),
        (0.0, 0.5, 1.0, 60, False, 10), (0.0, 0.5, 1.0, 60, False, 10),
        (0.5, 0.5, 0.5, 36, True, 0), (0.5, 0.5, 0.5, 40, True, 0), (1.0, 1.0, 1.0, 40, False, 0)]
    notes = midi_reader.read(content)
    assert len(set(notes.voice.tolist())) == 7 and not notes.repairs


def test_tracks_of_format_2_follow_one_another():
    content = file([(0, tempo(60)), (0, on(60)), (480, off(60))], [(0, on(62)), (480, off(62))])
    content = content[:9] + b"\2" + content[10:]
    assert [row[:2] for row in _rows(content)] == [(0.0, 1.0), (1.0, 1.5)]


def test_nothing_goes_on_in_the_next_track_of_format_2():
    content = file(
        [(0, b"\xc0\x28"), (0, pedal(True)), (0, _bank(120, 1)), (0, on(60)), (0, on(50)),
         (240, off(60)), (240, on(36, 1)), (0, off(36, 1))],
        [(0, on(62)), (0, on(36, 1)), (240, off(50)), (240, off(62)), (0, off(36, 1))])
    content = content[:9] + b"\2" + content[10:]
    assert _rows(content, "program") == [
        (0.0, 0.25, 0.5, 60, False, 40), (0.0, 0.5, 0.5, 50, False, 40),
        (0.5, 0.5, 0.5, 36, True, 0),
        (0.5, 1.0, 1.0, 36, False, 0), (0.5, 1.0, 1.0, 62, False, 0)]
    notes = midi_reader.read(content)
    assert len(set(notes.voice.tolist())) == 4
    assert notes.repairs == ("notes without an end, which end with their track: 1",)


def _sysex(*data):
    return b"\xf0" + number(len(data) + 1) + bytes(data) + b"\xf7"


GS_RESET = _sysex(0x41, 0x10, 0x42, 0x12, 0x40, 0x00, 0x7F, 0x00, 0x41)
XG_ON = _sysex(0x43, 0x10, 0x4C, 0x00, 0x00, 0x7E, 0x00)
GM_ON = _sysex(0x7E, 0x7F, 0x09, 0x01)


def _gs_rhythm(block, value):
    return _sysex(0x41, 0x10, 0x42, 0x12, 0x40, 0x10 | block, 0x15, value, 0x00)


def _xg_mode(part, value):
    return _sysex(0x43, 0x10, 0x4C, 0x08, part, 0x07, value)


def _bank(value, channel):
    return bytes([0xB0 | channel, 0, value, 0, 0xC0 | channel, 0])


DRUMS = {
    "by default": ([], {9}),
    "GS, channel 11": ([GS_RESET, _gs_rhythm(0xA, 1)], {9, 10}),
    "GS, channel 1, the second map": ([_gs_rhythm(1, 2)], {0, 9}),
    "GS, channel 10 melodic": ([GS_RESET, _gs_rhythm(0, 0)], set()),
    "GS, reset": ([_gs_rhythm(0xF, 1), GS_RESET], {9}),
    "GS, a whole block of a part": ([_sysex(0x41, 0x10, 0x42, 0x12, 0x40, 0x1A, 0x13, 0, 0, 1, 0)],
                                    {9, 10}),
    "GS, bank 127 is melodic": ([GS_RESET, _bank(127, 3)], {9}),
    "GS in two packets": ([_gs_rhythm(0xA, 1)[:7].replace(b"\xf0\x0a", b"\xf0\x05"), b"\xf7\x05"
                           + _gs_rhythm(0xA, 1)[7:]], {9, 10}),
    "XG, by mode": ([XG_ON, _xg_mode(3, 1), _xg_mode(4, 3), _xg_mode(9, 0)], {3, 4}),
    "XG, by bank": ([XG_ON, _bank(127, 2), _bank(126, 5)], {2, 5, 9}),
    "XG, by bank, and back": ([XG_ON, _bank(127, 2), _bank(0, 2)], {9}),
    "a bank of channel 10": ([XG_ON, _bank(0, 9)], {9}),
    "GM2": ([_sysex(0x7E, 0x7F, 0x09, 0x03), _bank(120, 10), _bank(121, 11)], {9, 10}),
    "GM, reset": ([_xg_mode(3, 1), GM_ON], {9}),
    "another manufacturer": ([_sysex(0x42, 0x10, 0x4C, 0x08, 3, 0x07, 1), _sysex(0x41), _sysex()],
                             {9}),
}


@pytest.mark.parametrize("name", DRUMS)
def test_drum_channels_are_those_of_gs_xg_and_gm2(name):
    events, channels = DRUMS[name]
    track = [(0, event) for event in events]
    for channel in range(16):
        track += [(10, on(36, channel)), (10, off(36, channel))]
    drums = midi_reader.read(file(track)).drum
    assert set(np.flatnonzero(drums).tolist()) == channels


def test_a_channel_is_a_drum_channel_from_the_message_on():
    track = [(0, on(36, 2)), (10, off(36, 2)), (0, _xg_mode(2, 1)), (0, on(36, 2)),
             (10, off(36, 2)), (0, XG_ON), (10, on(36, 2)), (10, off(36, 2))]
    assert midi_reader.read(file(track)).drum.tolist() == [False, True, False]


REFUSED = {
    "empty": (b"", "the file is empty"),
    "text": (b"Dear all,\n", "is not a MIDI file"),
    "gzip": (gzip.compress(b"MThd"), "is compressed by gzip; unpack it first"),
    "a header": (midi_files.header()[:12], "damaged: it ends within its header"),
    "no track": (midi_files.header() + chunk(b"XFIH", b"abc"), "damaged: it holds no track"),
    "months": (file([(0, on(60)), (0x0FFFFFFF, off(60))], division=1), "claims .* hours"),
    "ages": (file([(0x0FFFFFFF, on(60))] * 5000), "claims more music than there is time"),
    "tracks": (midi_files.header() + b"MTrk" * 200_000, "it holds more than 65,535 tracks"),
    "large": (b"MThd" + bytes(midi_reader.MAX_BYTES), "too large; at most 2,097,152 bytes"),
    "beats": (file([(0, tempo(60_000_000)), (0, on(60)), (0x0FFFFFFF, off(60))]), "beats"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_file_says_why(name):
    data, message = REFUSED[name]
    with pytest.raises(BadMidi, match=message):
        midi_reader.read(data)


@settings(max_examples=60, deadline=None)
@given(content=_midi(), data=st.data())
def test_damage_is_read_or_refused_but_never_a_crash(content, data):
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for each in (bytes(damaged), bytes(damaged[:cut]), content[:cut]):
        try:
            notes = midi_reader.read(each)
        except BadMidi:
            continue
        assert (np.diff(notes.seconds, axis=1) >= 0).all() and np.isfinite(notes.seconds).all()


@pytest.mark.slow
@pytest.mark.parametrize("unit", [
    b"MTrk", b"MTrk\0\0\0\0z", b"MTrk\0\0\0\1", b"MTrk\0\0\0\7\0\xc0",
    b"MTrk\0\0\1\0\0", b"\0\x90\x3c\x40", b"\0",
    b"\0\xb0\x7b\0", b"\0\xf0\1a", b"\0\xf7\1a", b"\x81", b"\0\xf0\0",
    b"MTrk\0\0\0\1\0\xff\1\xff\xff\x7f",
    b"\0\xf0\x0a\x41\x10\x42\x12\x40\0\x7f\0\0\xf7"])
def test_a_hostile_file_takes_seconds_at_most(unit):
    size = midi_reader.MAX_BYTES - 40
    content = midi_files.header() + b"MTrk\0\x1f\0\0" + (unit * (size // len(unit)))
    start = time.perf_counter()
    with contextlib.suppress(BadMidi):
        midi_reader.read(content)
    assert time.perf_counter() - start < 30


def test_a_channel_is_silenced_once_at_a_tick():
    silence = (0, b"\xb0\x7b\0"), *[(0, b"\x7b\0")] * 200_000

    def seconds(num_sounding):
        content = file([(0, on(pitch)) for pitch in range(num_sounding)] + [*silence])
        start = time.process_time()
        notes = midi_reader.read(content)
        assert len(notes.pitch) == num_sounding
        return time.process_time() - start

    # A scan of all that sounds for each message takes more than twice as long.
    assert min(seconds(128), seconds(128)) < 2 * max(seconds(1), seconds(1))
