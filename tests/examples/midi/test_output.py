# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Samples as MusicXML, pictures and a page."""

import argparse
import functools
from collections import Counter
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest

from examples.midi.commands import _shared
from examples.midi.commands._shared import write_samples
from examples.midi.data import piano_roll
from examples.midi.data.piano_roll import Grid
from examples.midi.output import html, musicxml, plots
from tests.examples.midi import midi_files
from vaeseq.cli.arguments import UsageError
from vaeseq.runs.progress import Progress


def _without_ties(score):
    """Returns pitch, start and end in quarters of each note of a music21 score."""
    notes = []
    for chord in score.flatten().notes:
        for note in getattr(chord, "notes", [chord]):
            start, end = float(chord.offset), float(chord.offset + chord.quarterLength)
            if note.tie is None or note.tie.type == "start":
                notes.append([note.pitch.midi, start, end])
            else:
                (tied,) = [one for one in notes
                           if one[0] == note.pitch.midi and abs(one[2] - start) < 1e-6]
                tied[2] = end
    return notes


@pytest.mark.oracle
@pytest.mark.parametrize("grid, quarters", [
    (Grid(note=16, lowest=52, highest=67, onsets=True), 1 / 4),
    (Grid(note=12, lowest=52, highest=67, onsets=True), 1 / 3),
    (Grid(note=10, lowest=52, highest=67), 2 / 5),
    (Grid(rate=10, lowest=60, highest=67), 1 / 4)])
def test_music21_reads_the_notes_of_a_roll(grid, quarters, tmp_path):
    converter = pytest.importorskip("music21.converter")
    roll = midi_files.random_roll(grid)
    musicxml.save(tmp_path / "a.musicxml", roll, grid, title="A piece")
    score = converter.parse(tmp_path / "a.musicxml")
    elements = Counter((pitch, round(start / quarters, 3), round((end - start) / quarters, 3))
                    for pitch, start, end in _without_ties(score))
    pitch, start, end, *_ = piano_roll.played(roll, grid)
    assert elements == Counter(zip(pitch.tolist(), start.tolist(), (end - start).tolist()))
    (tempo,) = {mark.number for mark in score.flatten().getElementsByClass("MetronomeMark")}
    assert tempo * quarters * grid.frame_seconds * 1000 == pytest.approx(quarters ** 2 * 60_000)
    assert score.metadata.title == "A piece"


@pytest.mark.oracle
def test_music21_reads_the_notes_of_each_part(tmp_path):
    converter = pytest.importorskip("music21.converter")
    grid = Grid(note=16, lowest=52, highest=67, parts=2)
    rolls, _ = piano_roll.split_parts(midi_files.random_roll(grid), grid)
    musicxml.save(tmp_path / "a.musicxml", np.concatenate(rolls, axis=1), grid, title="")
    score = converter.parse(tmp_path / "a.musicxml")
    assert len(list(ElementTree.parse(tmp_path / "a.musicxml").iter("metronome"))) == 1
    staves = [[staff for staff in score.parts if staff.partName == f"Part {number}"]
              for number in (1, 2)]
    for roll, pair in zip(rolls, staves):
        elements = Counter(
            (pitch, start) for staff in pair for pitch, start, _ in _without_ties(staff))
        one = piano_roll.played(roll, Grid(note=16, lowest=52, highest=67))
        assert elements == Counter(zip(one.pitch.tolist(), (one.start / 4).tolist()))


@pytest.mark.parametrize("frames", [0, 1, 16, 17])
def test_every_measure_of_both_staves_is_full(frames, tmp_path):
    grid = Grid(note=16)
    roll = np.zeros([frames, grid.columns], np.uint8)
    roll[:, 40] = 1
    musicxml.save(tmp_path / "a.musicxml", roll, grid, title="")
    measures = ElementTree.parse(tmp_path / "a.musicxml").findall("part/measure")
    assert len(measures) == max(1, -(-frames // 16))
    for measure in measures:
        for staff in ("1", "2"):
            durations = [int(note.findtext("duration")) for note in measure.findall("note")
                         if note.findtext("staff") == staff]
            assert sum(durations) == 16


@pytest.mark.parametrize("pitches, fifths, names", [
    ((60, 62, 64, 65, 67, 69, 71, 66, 70), 0, ["C", "D", "E", "F", "G", "A", "B", "F1", "B-1"]),
    ((61, 63, 65, 66, 68, 70, 72), -5, ["D-1", "E-1", "F", "G-1", "A-1", "B-1", "C"]),
    ((64, 66, 68, 69, 71, 73, 75), 4, ["E", "F1", "G1", "A", "B", "C1", "D1"])])
def test_notes_are_spelled_by_the_key(pitches, fifths, names, tmp_path):
    roll = np.zeros([len(pitches), 88], np.uint8)
    roll[np.arange(len(pitches)), np.array(pitches) - 21] = 1
    musicxml.save(tmp_path / "a.musicxml", roll, Grid(note=16), title="")
    root = ElementTree.parse(tmp_path / "a.musicxml")
    assert root.findtext("part/measure/attributes/key/fifths") == str(fifths)
    assert [pitch.findtext("step") + pitch.findtext("alter", "")
            for pitch in root.iter("pitch")] == names
    octaves = [int(pitch.findtext("octave")) for pitch in root.iter("pitch")]
    assert octaves == [pitch // 12 - 1 for pitch in pitches]


def test_drums_are_unpitched_and_no_part_of_the_key(tmp_path):
    grid = Grid(note=16, parts=2, drums=True, programs=(40, 128))
    roll = np.zeros([32, 2, 88], np.uint8)
    roll[::2, 0, [60 - 21, 64 - 21, 67 - 21]] = 1  # C major
    roll[::2, 1, 42 - 21] = 1  # closed hi-hat, more often than any pitch; 42 would be F sharp
    roll[[0, 16], 1, 36 - 21] = 1
    musicxml.save(tmp_path / "a.musicxml", roll.reshape([32, -1]), grid, title="")
    root = ElementTree.parse(tmp_path / "a.musicxml")
    assert root.findtext("part/measure/attributes/key/fifths") == "0"
    violin, drums = root.findall("part-list/score-part")
    assert [child.tag for child in violin] == ["part-name", "score-instrument", "midi-instrument"]
    assert [child.tag for child in drums] == [
        "part-name", *["score-instrument"] * 2, *["midi-instrument"] * 2]
    assert [(child.tag, child.text) for child in violin.find("midi-instrument")] == [
        ("midi-channel", "1"), ("midi-program", "41")]
    assert [[(child.tag, child.text) for child in midi]
            for midi in drums.findall("midi-instrument")] == [
        [("midi-channel", "10"), ("midi-program", "1"), ("midi-unpitched", str(number))]
        for number in (37, 43)]
    pitched, part = root.findall("part")
    assert [child.tag for child in pitched.find("measure/attributes")] == [
        "divisions", "key", "time", "staves", "clef", "clef"]
    assert pitched.find(".//unpitched") is None and part.find(".//pitch") is None
    attributes = part.find("measure/attributes")
    assert [child.tag for child in attributes] == ["divisions", "time", "clef"]
    assert attributes.findtext("clef/sign") == "percussion" and part.find(".//backup") is None
    bass, hi_hat = part.findall("measure/note")[:2]
    assert [child.tag for child in hi_hat] == [
        "chord", "unpitched", "duration", "instrument", "voice", "type", "notehead", "staff"]
    assert [bass.find("unpitched")[0].text, hi_hat.find("unpitched")[1].text] == ["F", "5"]
    names = {element.get("id"): element.findtext("instrument-name")
             for element in drums.findall("score-instrument")}
    assert [names[note.find("instrument").get("id")] for note in (bass, hi_hat)] == [
        "Bass Drum 1", "Closed Hi Hat"]
    for measure in part.findall("measure"):
        assert sum(int(note.findtext("duration")) for note in measure.findall("note")
                   if note.find("chord") is None) == 16


def test_one_part_of_drums_has_their_name(tmp_path):
    roll = np.zeros([4, 88], np.uint8)
    roll[:, [0, 87]] = 1  # drums that General MIDI does not name
    grid = Grid(note=4, drums=True, programs=(128,))
    musicxml.save(tmp_path / "a.musicxml", roll, grid, title="")
    part = ElementTree.parse(tmp_path / "a.musicxml").find("part-list/score-part")
    assert part.findtext("part-name") == "Drums"
    assert [name.text for name in part.iter("instrument-name")] == ["Drum 21", "Drum 108"]


@pytest.mark.parametrize("options, blue", [
    ({"kept_notes": np.repeat([[0], [1]], 4, axis=0)}, 0), ({"prime_frames": 4}, 1)],
    ids=["kept notes", "a prime"])
def test_the_colour_of_a_note_changes_where_its_origin_does(options, blue, tmp_path):
    grid = Grid(rate=1, lowest=60, highest=60)
    picture = plots.save_roll(tmp_path / "a.png", np.ones([8, 1]), grid, title="", **options)
    pixels = matplotlib.image.imread(tmp_path / "a.png")
    width = picture.width * (picture.right - picture.left)
    colours = [(pixels[:, round(picture.left * picture.width + width * share), 2]
                - pixels[:, round(picture.left * picture.width + width * share), 0]).max()
               for share in (1 / 4, 3 / 4)]  # how blue they are
    assert colours[blue] > 0.3 and colours[1 - blue] < 0.2


def test_names_that_are_not_utf8_or_formulas_are_shown(tmp_path):
    name = "caf\udce9 $x_$"  # as os.fsdecode reads Latin-1
    write_samples(argparse.Namespace(out_dir=tmp_path / "out", log_dir=tmp_path),
                  [html.Sample("a", name, np.ones([4, 88]))], Grid(rate=4), "Samples", name,
                  total=1)
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert page.count("caf\\udce9 $x_$") == 3


def test_progress_counts_the_samples_that_are_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_shared, "Progress", functools.partial(Progress, every=0))
    samples = (html.Sample(name, "", np.ones([4, 88])) for name in "ab")
    write_samples(argparse.Namespace(out_dir=tmp_path, log_dir=tmp_path), samples, Grid(rate=4),
                  "Samples", "", total=2)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "draw 1/2 samples (50 %)", "draw 2/2 samples (100 %)"]


@pytest.mark.parametrize("argument", ["prime", "melody", "piece", "start", "goal", "end"])
def test_a_sample_does_not_replace_the_piece_that_it_is_made_of(argument, tmp_path):
    piece = tmp_path / "samples" / "sample-2.mid"
    piece.parent.mkdir()
    piece.write_bytes(b"a piece")
    args = argparse.Namespace(out_dir=None, log_dir=tmp_path, **{argument: str(piece)})
    samples = [html.Sample(f"sample-{number}", "", np.ones([4, 88])) for number in (1, 2)]
    with pytest.raises(UsageError, match="--out-dir: .* would replace .*sample-2.mid', which the"):
        write_samples(args, samples, Grid(rate=4), "Samples", "", total=2)
    assert piece.read_bytes() == b"a piece"


def test_a_picture_says_where_its_frames_are(tmp_path):
    roll = np.zeros([40, 88], np.uint8)
    roll[[0, -1], 40] = 1
    picture = plots.save_roll(tmp_path / "a.png", roll, Grid(rate=4), title="A piece")
    pixels = matplotlib.image.imread(tmp_path / "a.png")
    assert pixels.shape[1] == picture.width
    is_note = (np.abs(pixels[..., :3] - np.array([0x1F, 0x5A, 0x94]) / 255) < 0.02).all(-1)
    columns = np.flatnonzero(is_note.any(0))
    left, right = picture.left * picture.width, picture.right * picture.width
    assert abs(columns[0] - left) < 3 and abs(columns[-1] - right) < 3
