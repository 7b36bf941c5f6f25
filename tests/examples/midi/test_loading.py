# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Loading of files: names, duplicates, the cache, archives, and why a file is skipped."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from examples.midi.data import archives, cache, chorales, loading, midi_reader, sources
from examples.midi.data.piano_roll import Grid
from tests.examples.midi import midi_files
from vaeseq.cli.arguments import UsageError
from vaeseq.runs.log_dir import LogDir

GRID = Grid(note=8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """Two files of music, one in a folder with an odd name, and one of each skipped kind."""
    top = tmp_path / "music"
    (top / "deep \udcff\n").mkdir(parents=True)
    (top / "a.mid").write_bytes(midi_files.melody())
    (top / "deep \udcff\n" / "B.MIDI").write_bytes(midi_files.melody([70, 72]))
    (top / "empty.mid").write_bytes(b"")
    (top / "text.mid").write_text("Dear all,")
    (top / "drums.mid").write_bytes(midi_files.melody(channel=9))
    (top / "silent.mid").write_bytes(midi_files.file([(480, midi_files.tempo(90))]))
    (top / "high.mid").write_bytes(midi_files.melody([120]))
    (top / "notes.txt").write_text("another suffix")
    return top


def test_a_folder_is_searched_and_skipped_files_are_listed(folder):
    collection = loading.load([str(folder)], GRID)
    assert [os.path.basename(piece.name) for piece in collection.pieces] == ["a.mid", "B.MIDI"]
    assert [len(roll) for roll in collection.rolls] == [4, 2]
    reasons = {os.path.basename(name): reason for name, reason in collection.skipped}
    assert reasons == {
        "empty.mid": "the file is empty", "text.mid": "it is not a MIDI file",
        "drums.mid": "it holds drums only, which are left out without drums=true",
        "silent.mid": "it holds no notes", "high.mid": "it holds no notes from 21 to 108"}
    summary = collection.summary()
    assert summary.startswith("2 files, 2 pieces, 0.0 minutes, 6 notes; 5 files skipped:\n")
    assert "drums.mid': it holds drums only" in summary


def test_repaired_files_are_listed_from_the_cache_too(tmp_path):
    (tmp_path / "cut.mid").write_bytes(midi_files.melody()[:-9])
    (tmp_path / "cut to nothing.rmi").write_bytes(midi_files.melody()[:24])
    (tmp_path / "whole.mid").write_bytes(midi_files.melody())
    summaries = [loading.load([str(tmp_path)], GRID).summary() for _ in range(2)]
    assert "; 1 file skipped:" in summaries[0]
    assert "nothing.rmi': it holds no notes; track 1 is damaged" in summaries[0]
    assert "\n1 file read in spite of errors:\n" in summaries[0]
    assert summaries[0].endswith("cut.mid': track 1 claims 40 bytes, and it has 31; notes without "
                                 "an end, which end with their track: 1")
    assert summaries[0] == summaries[1]


def test_notes_outside_of_the_range_are_counted(tmp_path):
    (tmp_path / "a.mid").write_bytes(midi_files.melody([60, 62, 30, 100, 101]))
    (tmp_path / "drums.mid").write_bytes(midi_files.file(*(
        [(0, midi_files.on(pitch, channel)), (240, midi_files.off(pitch, channel))]
        for pitch, channel in ((60, 0), (20, 9)))))
    grid = Grid(note=8, lowest=48, highest=84)
    expected = "left out 3 notes outside of lowest_note=48 and highest_note=84"
    collection = loading.load([str(tmp_path)], grid)
    assert collection.notes == 3 and collection.outside == expected
    assert f"minutes, 3 notes; {expected}" in collection.summary()
    with_drums = loading.load([str(tmp_path)], dataclasses.replace(grid, drums=True))
    assert with_drums.outside.startswith("left out 4 notes")
    assert not loading.load([str(tmp_path)], Grid(note=8)).outside
    low = loading.load([_archive(tmp_path / "a.npz")], Grid(lowest=24))  # its notes are 21 to 26
    assert low.outside.startswith("left out 3 notes outside of lowest_note=24")


def test_a_file_matched_twice_is_loaded_once(folder):
    (folder / "same.mid").symlink_to(folder / "a.mid")
    names = [str(folder / "a.mid"), str(folder / "./a.mid"), str(folder / "s*.mid"),
             str(folder / "**" / "*.MIDI")]
    collection = loading.load(names, GRID)
    assert [os.path.basename(piece.name) for piece in collection.pieces] == ["a.mid", "B.MIDI"]
    assert loading.load([str(folder.parent / "mus*")], GRID).files == 2


@pytest.mark.parametrize("name, message", [
    ("none.mid", "no such file or folder: 'none.mid'"),
    ("none*.mid", "expected a pattern that matches files"),
    ("none.npz:train", "expected music, found none. 'none.npz:train': no such file"),
    ("a.npz", "say which of its splits"),
    ("a.npz:trian", "'trian_lengths', found test, test_lengths, train, "),
])
def test_a_name_that_matches_nothing_is_refused(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _archive("a.npz")
    with pytest.raises(UsageError, match=message.replace("*", r"\*")):
        loading.load([name], GRID)


def test_files_without_music_are_one_error(folder):
    with pytest.raises(UsageError, match="expected music, found none.*empty.mid.*is empty"):
        loading.load([str(folder / "e*.mid"), str(folder / "t*.mid")], GRID)


def test_a_pipe_is_skipped_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.mid")
    with pytest.raises(UsageError, match="a pipe or a device"):
        loading.load([str(tmp_path)], GRID)


def test_an_unreadable_folder_is_listed(folder, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if "deep" in os.fspath(path):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    collection = loading.load([str(folder)], GRID)
    assert collection.files == 1
    reasons = [reason for name, reason in collection.skipped if "deep" in name]
    assert reasons == ["Permission denied"]


def test_worker_processes_keep_the_order_of_files(tmp_path):
    for number in range(20):
        (tmp_path / f"{number:02}.mid").write_bytes(midi_files.melody([40 + number]))
    collection = loading.load([str(tmp_path)], GRID, jobs=2)
    lowest = [int(np.flatnonzero(roll[0])[0]) + 21 for roll in collection.rolls]
    assert lowest == list(range(40, 60))


def test_loading_and_the_command_line_import_no_tensorflow():
    code = ("import sys, examples.midi.data.loading, examples.midi.cli; "
            "sys.exit('tensorflow' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_cache_is_keyed_by_content(folder, monkeypatch):
    before = loading.load([str(folder)], GRID)
    monkeypatch.setattr(midi_reader, "read", lambda content: pytest.fail("parsed again"))
    (folder / "a.mid").rename(folder / "renamed.mid")
    renamed = loading.load([str(folder / "renamed.mid")], GRID)
    np.testing.assert_array_equal(renamed.rolls[0], before.rolls[0])


@pytest.mark.parametrize("damage", [b"", b"PK\3\4nonsense", None])
def test_a_damaged_cache_entry_is_ignored(damage, folder):
    loading.load([str(folder)], GRID)
    for path in cache.folder().iterdir():
        if damage is None:
            path.write_bytes(path.read_bytes()[:200])
        else:
            path.write_bytes(damage)
    assert loading.load([str(folder)], GRID).notes == 6


def test_an_unwritable_cache_is_ignored(folder, tmp_path):
    (tmp_path / "cache").write_text("a file")
    assert loading.load([str(folder)], GRID).notes == 6


def test_rolls_beyond_the_memory_limit_are_skipped(folder, monkeypatch):
    monkeypatch.setattr(loading, "MAX_BYTES", 4 * 88)
    collection = loading.load([str(folder)], GRID)
    assert collection.files == 1 and "no room" in dict(collection.skipped)[
        next(name for name, _ in collection.skipped if name.endswith("MIDI"))]


def _archive(path, **changes):
    roll = np.eye(6, 88, dtype=np.uint8)
    arrays = {}
    for split in archives.SPLITS:
        arrays |= {split: roll, f"{split}_lengths": np.array([2, 4], np.int32)}
    arrays |= changes
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})
    return f"{path}:train"


def test_an_archive_gives_the_pieces_of_a_split(tmp_path):
    collection = loading.load([_archive(tmp_path / "a.npz")], Grid())
    assert [len(roll) for roll in collection.rolls] == [2, 4]
    assert collection.pieces[1].name.endswith("a.npz:train[1]")
    np.testing.assert_array_equal(np.concatenate(collection.rolls), np.eye(6, 88))
    onsets = loading.load([f"{tmp_path}/a.npz:test"], Grid(onsets=True))
    assert onsets.rolls[0].shape == (2, 176) and onsets.notes == 6


def test_the_frames_of_an_archive_last_as_long_as_it_says(tmp_path):
    cases = [({}, [1, 1, 1, 1]), ({"rate": 4.0}, [1, 1, 1, 1]), ({"rate": 2.0}, [2, 2, 2, 2]),
             ({"rate": 8}, [1, 1]), ({"grid": 8}, [1, 1, 1, 1]), ({"grid": 4}, [2, 2, 2, 2]),
             ({"rate": 3}, [1, 2, 1, 1])]  # middles of new frames at 3/8, 9/8, 15/8, ...
    for number, (clock, lasting) in enumerate(cases):
        name = _archive(tmp_path / f"{number}.npz", **clock)
        (_, roll) = loading.load([name], Grid(rate=4)).rolls
        frames = np.argmax(roll, 1).tolist()
        assert [frames.count(pitch) for pitch in sorted(set(frames))] == lasting, clock


@pytest.mark.parametrize("clock, message", [
    ({"rate": 0.0}, "expected 'rate' to be a number from 0.5 to 100, found float64 0.0"),
    ({"rate": np.nan}, "found float64 nan"),
    ({"grid": 8.0}, "whole number from 1 to 192, found float64 8"),
    ({"grid": 1000}, "found int64 1000"), ({"rate": [2, 2]}, "found int64"),
    ({"rate": "2"}, "'rate' is not an array of numbers"),
    ({"rate": 2, "grid": 8}, "expected a rate or a grid, found both")])
def test_a_clock_that_is_none_is_refused(clock, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        loading.load([_archive(tmp_path / "a.npz", **clock)], Grid())


def test_a_run_on_archives_takes_their_clock(folder, tmp_path):
    lines = []
    rated, gridded, silent = (
        _archive(tmp_path / f"{number}.npz", **clock)
        for number, clock in enumerate([{"rate": 3.0}, {"grid": 16}, {}]))
    assert sources.clock([rated, silent], lines.append) == {"rate": 3.0}
    assert sources.clock([gridded], lines.append) == {"grid": 16}
    assert sources.clock([rated, str(folder)], lines.append) == {}
    assert sources.clock([silent], lines.append) == {"rate": 2.0}
    assert len(lines) == 1 and "does not say how long a frame is" in lines[0]


@pytest.mark.parametrize("changes, message", [
    ({"train": np.zeros([6, 128], np.uint8)}, r"of shape \[frames, 88\], got \[6, 128\]"),
    ({"train": np.full([6, 88], 2)}, "expected only 0 and 1 in 'train', found 2"),
    ({"train": None}, "expected the arrays 'train' and 'train_lengths'"),
    ({"train_lengths": np.array([2, 3])}, "add up to 5, but 'train' has 6 frames"),
    ({"train_lengths": np.array([0, 6])}, "whole numbers from 1"),
    ({"train": np.zeros([6, 88], np.uint8)}, "its pieces hold no notes from 21 to 108"),
    ({"train": np.array([{}])}, "allow_pickle=False"),
])
def test_an_archive_of_another_shape_is_refused(changes, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        loading.load([_archive(tmp_path / "a.npz", **changes)], Grid())


def test_a_run_on_the_chorales_finds_them_in_another_cache(tmp_path, monkeypatch):
    def make_archive(folder):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / folder))
        cache.folder().mkdir(parents=True)
        rolls = np.eye(6, 88, dtype=np.uint8)
        archives.save(cache.folder() / "bach_chorales-2.npz", {
            name: [rolls[number:]] for number, name in enumerate(archives.SPLITS)}, chorales.CLOCK)

    log_dir, grid = LogDir(tmp_path), Grid(note=16)
    make_archive("one")
    music = sources.read([], [], 0.1, grid, print)
    assert music.description.valid_files == [] and music.description.valid_checksum
    old = dataclasses.replace(
        music.description, valid_files=[f"{tmp_path}/gone/bach_chorales-1.npz:valid"])
    make_archive("two")
    for description in (music.description, old):
        description.save(log_dir)
        again = sources.reload(log_dir, grid, print)
        np.testing.assert_equal([piece.roll for piece in again.valid],
                                [piece.roll for piece in music.valid])
        (held_out,) = sources.held_out(log_dir, grid, print)
        np.testing.assert_array_equal(held_out.roll, music.valid[0].roll)


def test_without_music21_the_error_names_the_package(monkeypatch):
    monkeypatch.setattr(chorales.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'vaeseq\[chorales\]'"):
        chorales.archive()


def test_a_cache_folder_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    pytest.importorskip("music21")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"file/.*cannot be written .*XDG_CACHE_HOME=DIR"):
        chorales.archive()


def test_the_archive_of_chorales_is_made_once(monkeypatch):
    pytest.importorskip("music21")
    rolls = [np.eye(3 + number, 88, dtype=np.uint8) for number in range(20)]
    monkeypatch.setattr(chorales, "_rolls", lambda: rolls)
    path = chorales.archive()
    splits = archives.load(path)
    assert [len(splits[name]) for name in archives.SPLITS] == [16, 2, 2]
    assert archives.load_clock(path).grid == 16
    monkeypatch.setattr(chorales, "_rolls", lambda: pytest.fail("made twice"))
    assert chorales.archive() == path
