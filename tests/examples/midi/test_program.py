# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi from end to end: every command but tune and export, and refused options."""

import functools
import json
import os
import re
import shutil
import wave

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from examples.midi.cli import program
from examples.midi.commands import _shared, evaluate
from examples.midi.data import lines, midi_reader, piano_roll, sources
from examples.midi.data.loading import Piece
from examples.midi.data.piano_roll import Grid
from examples.midi.hparams import MidiHParams
from examples.midi.model import PROGRAM, saved_mean
from tests.examples.midi import midi_files
from tests.in_process import assert_one_line
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress

SMALL = ("vae_type=ISEQ,latent_size=2,latent_decoder_fc_layers=[4],rnn_hidden_sizes=[6],"
         "lowest_note=55,highest_note=79,decoder=bernoulli,sequence_size=16,batch_size=4,"
         "relative_channels=0,recall=0,context_skip=false,"
         "num_shards=1,grid=8,velocity=true,log_prob_samples=2,dropout=0,divergence_strength_half=0")


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A folder of scales, with one file that is not MIDI."""
    folder = tmp_path_factory.mktemp("music") / "scales"
    midi_files.write_scales(folder)
    (folder / "bad.mid").write_bytes(b"Dear all,")
    return folder


@pytest.fixture(scope="module")
def log_dir(music, tmp_path_factory):
    """A trained run."""
    folder = tmp_path_factory.mktemp("run") / "log"
    assert program.run(["train", "--log-dir", str(folder), "--train-files", str(music), "--hparams",
                        SMALL, "--num-steps", "6", "--valid-every", "3"]) == 0
    return folder


def test_tensorboard_has_a_picture_and_a_sound_of_each_validation(log_dir):
    read = EventAccumulator(str(log_dir / "events"), {"tensors": 0}).Reload()
    kinds = {tag: read.SummaryMetadata(tag).plugin_data.plugin_name
             for tag in read.Tags()["tensors"]}
    assert kinds["sample/roll"] == "images" and kinds["sample/sound"] == "audio"
    assert [event.step for event in read.Tensors("sample/roll")] == [3, 6]


def _roll(path, grid):
    return piano_roll.from_notes(midi_reader.read(path.read_bytes()), grid)


GRID = MidiHParams().parse(SMALL).frames


def test_training_writes_the_files_of_a_run(log_dir):
    files = {path.name for path in log_dir.iterdir()}
    assert {"run.json", "hparams.json", "music.json", "notes.json", "metrics.jsonl",
            "checkpoints", "events"} <= files
    lines = [json.loads(line) for line in (log_dir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    assert lines[-1]["valid_nats_per_step"] < lines[0]["valid_nats_per_step"]


def test_the_same_command_resumes_and_other_music_is_refused(log_dir, music, midi):
    again = ["train", "--log-dir", log_dir, "--train-files", music]
    ended = midi(*again, "--num-steps", 6)
    assert ended.status == 0 and "Step 6: nothing to do" in ended.out
    assert "10 files, 10 pieces, 0.8 minutes, 200 notes; 1 file skipped" in ended.err
    assert "bad.mid': it is not a MIDI file" in ended.err
    other = midi("train", "--log-dir", log_dir, "--train-files", music / "1.mid")
    assert other.status == 2 and "is trained on other music" in other.err
    hparams = midi(*again, "--grid", 16)
    assert hparams.status == 2 and "grid=8, but grid=16 was given" in hparams.err
    contrary = midi(*again, "--grid", 8, "--hparams", "grid=16")
    assert contrary.status == 2
    assert "--grid 8: expected one value of grid, got 16 by --hparams" in contrary.err


@pytest.mark.xla
def test_evaluate_scores_the_held_out_music(log_dir, midi):
    score = json.loads(midi("evaluate", "--log-dir", log_dir, "--json").out)
    assert list(score) == ["nats_per_step", "bits_per_step", "perplexity", "steps", "bound",
                           "num_samples", "standard_error"]
    assert score["steps"] == 20 and score["bound"] == "elbo" and score["num_samples"] == 2


def test_evaluate_scores_each_name_and_plots_histograms(log_dir, music, midi, tmp_path):
    two = midi("evaluate", "--log-dir", log_dir, "--eval-files", music, music / "3.mid", "--json")
    rows = [json.loads(line) for line in two.out.splitlines()]
    assert [row["corpus"] for row in rows] == [str(music), str(music / "3.mid")]
    assert [row["steps"] for row in rows] == [200, 20]
    ended = midi("evaluate", "--log-dir", log_dir, "--eval-files", music / "3.mid", music / "4.mid",
                 "--histograms", tmp_path / "h.png")
    figures = [float(line.split()[0]) for line in ended.out.splitlines()[1:3]]
    assert figures == sorted(figures) and "elbo, 2 samples +- " in ended.out
    assert ended.status == 0 and "pitch_classes C#" in ended.out
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((tmp_path / "h.json").read_text())
    assert numbers["data"]["notes_per_frame"] == 1.0
    assert sum(numbers["samples"]["pitch_classes"]) == pytest.approx(1, abs=1e-2)
    (tmp_path / "mine.json").write_text('{"my": "data"}')
    for picture in (tmp_path / "mine.png", log_dir / "notes.png"):
        replaced = picture.with_suffix(".json").read_bytes()
        assert_one_line(midi("evaluate", "--log-dir", log_dir, "--histograms", picture),
                        "--histograms: the numbers would replace")
        assert picture.with_suffix(".json").read_bytes() == replaced


def test_drums_have_no_pitch_classes_and_no_intervals():
    grid = Grid(lowest=60, highest=71, parts=2, drums=True)
    roll = np.zeros([4, *grid.shape], np.uint8)
    roll[:, 0, 0, [0, 4]] = 1
    alone = evaluate._statistics([roll.reshape([4, -1])], grid)
    roll[:, 1, 0, 6] = 1
    numbers = evaluate._statistics([roll.reshape([4, -1])], grid)
    assert numbers["notes_per_frame"] == 3 and numbers["density"][3] == 1
    assert all(numbers[name] == alone[name] for name in ("pitch_classes", "intervals"))


def test_evaluate_shows_progress_in_frames_unless_it_prints_json(log_dir, music, midi, monkeypatch):
    monkeypatch.setattr(evaluate, "Progress", functools.partial(Progress, every=0))
    words = ["evaluate", "--log-dir", log_dir, "--eval-files", music / "3.mid", music / "4.mid"]
    shown = re.findall(r"evaluate (.*) frames \(", midi(*words, status=0).err)
    assert shown == ["20/40", "40/40"]
    assert "frames (" not in midi(*words, "--json", status=0).err


def test_no_name_is_scored_before_all_are_read(log_dir, music, midi, tmp_path):
    (tmp_path / "drums.mid").write_bytes(midi_files.melody(channel=9))
    ended = midi("evaluate", "--log-dir", log_dir, "--json", "--eval-files", music / "3.mid",
                 tmp_path / "drums.mid", music / "4.mid")
    assert_one_line(ended, "it holds drums only")
    assert ended.out == ""


def test_samples_are_compared_with_music_over_lengths(log_dir, music, midi, tmp_path):
    words = ("evaluate", "--log-dir", log_dir, "--samples", 2)
    ended = midi(*words, "--eval-files", music, "--json", "--plot", tmp_path / "q.png", status=0)
    report = json.loads(ended.out)
    for rows in (report["samples"], report["real"]):
        assert [row["length"] for row in rows] == [10, 30, 100]
    generated, real = report["samples"][-1], report["real"][-1]
    # A held-out scale stands in the training music, and samples of an untrained model do not.
    assert real["longest_copy"] == 20 > generated["longest_copy"]
    assert real["forward_nats"] < generated["forward_nats"] and generated["bleu"] is None
    assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_generates_the_same_files(log_dir, midi, tmp_path):
    words = ["generate", "--log-dir", log_dir, "--length", 5, "--num-samples", 2, "--seed", 3]
    ended = midi(*words, "--out-dir", tmp_path / "a")
    assert ended.status == 0 and "index.html" in ended.out
    kinds = ("mid", "musicxml", "wav", "png")
    names = {f"sample-{number}.{kind}" for number in (1, 2) for kind in kinds}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {*names, "index.html"}
    resolution = (tmp_path / "a" / "sample-1.mid").read_bytes()[12:14]
    assert int.from_bytes(resolution, "big") == 480
    assert len(_roll(tmp_path / "a" / "sample-1.mid", GRID)) == 20
    with wave.open(str(tmp_path / "a" / "sample-1.wav")) as file:
        assert file.getnframes() == 5 * file.getframerate()
    page = (tmp_path / "a" / "index.html").read_text()
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page)) == names
    assert not re.search(r"https?:|//", page.replace("</", ""))
    assert midi(*words).status == 0  # into the run
    assert (log_dir / "samples" / "index.html").is_file()
    for name in names:
        same = (tmp_path / "a" / name).read_bytes() == (log_dir / "samples" / name).read_bytes()
        assert same, name


def test_a_prime_is_continued_at_another_rate_and_links_are_not_followed(
    log_dir, music, midi, tmp_path
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "sample-1.mid").symlink_to(elsewhere / "file")
    words = ["generate", "--log-dir", log_dir, "--length", 2, "--out-dir", tmp_path, "--prime",
             music / "3.mid", "--prime-length", 1.5, "--rate"]  # 12 frames
    assert midi(*words, 8).status == 0
    whole = _roll(tmp_path / "sample-1.mid", GRID)
    assert len(whole) == 12 + 16
    np.testing.assert_array_equal(whole[:11], _roll(music / "3.mid", GRID)[:11])
    assert not (tmp_path / "sample-1.mid").is_symlink() and list(elsewhere.iterdir()) == []
    with wave.open(str(tmp_path / "sample-1.wav")) as file:
        assert file.getnframes() == 3.5 * file.getframerate()
    assert_one_line(midi(*words, 101), "--rate")


def test_a_folder_of_samples_that_is_a_link_is_refused(log_dir, midi, tmp_path):
    log = shutil.copytree(log_dir, tmp_path / "log", ignore=shutil.ignore_patterns("samples"))
    (log / "samples").symlink_to(tmp_path)
    ended = midi("generate", "--log-dir", log, "--length", 1)
    assert ended.status == 2 and "expected a folder, not a link" in ended.err


def test_latents_are_moved_and_interpolated(log_dir, music, midi, tmp_path):
    moved = midi("latent", "--log-dir", log_dir, "--out-dir", tmp_path / "a", "--length", 4,
                 "--dimension", 1, "--num-samples", 3)
    assert moved.status == 0
    assert "moved by -3.00" in (tmp_path / "a" / "index.html").read_text()
    walk = midi("latent", "--log-dir", log_dir, "--out-dir", tmp_path / "b", "--length", 4,
                "--from", music / "1.mid", "--to", music / "7.mid", "--num-samples", 3)
    assert walk.status == 0 and "50 % of the way" in (tmp_path / "b" / "index.html").read_text()
    assert len(list((tmp_path / "b").glob("*.wav"))) == 3


def test_a_melody_is_harmonised_below_it(log_dir, music, midi, tmp_path):
    ended = midi("harmonise", "--log-dir", log_dir, "--out-dir", tmp_path, "--melody",
                 music / "3.mid", "--num-samples", 2, "--num-particles", 8)
    assert ended.status == 0
    assert re.search(r"log-evidence of the kept notes: -\d+\.\d+ nats per frame, 20 frames, 16 "
                     "particles", ended.out)
    melody = _roll(music / "3.mid", GRID)
    rolls = [_roll(tmp_path / f"sample-{number}.mid", GRID)[:20] for number in (1, 2)]
    for roll in rolls:
        np.testing.assert_array_equal(lines.keep(roll, "melody", GRID).roll, melody)
        assert (roll > 0).sum() > (melody > 0).sum()
        assert len(np.unique(roll[:, :25])) > 5  # velocities
    assert (rolls[0] != rolls[1]).any()


def test_only_a_melody_without_a_length_is_reported_as_cut(
    log_dir, music, midi, monkeypatch, tmp_path
):
    monkeypatch.setattr(_shared, "MAX_SECONDS", 3)
    words = ["harmonise", "--log-dir", log_dir, "--out-dir", tmp_path, "--melody", music / "3.mid",
             "--num-particles", 4]
    cut = midi(*words, status=0)
    assert "3.mid': cut to its first 12 of 20 frames" in cut.err and "12 frames" in cut.out
    assert "cut to" not in midi(*words, "--length", 3, status=0).err


def test_an_error_is_one_line(log_dir, music, midi, tmp_path):
    generate = ["generate", "--log-dir", log_dir, "--out-dir"]
    (tmp_path / "file").write_text("x")
    cases = [
        (["generate", "--log-dir", tmp_path / "none"], "no such directory"),
        (["generate", "--log-dir", tmp_path], "expected the log directory of a vaeseq-midi run"),
        ([*generate, tmp_path / "file"], "is not one"),
        ([*generate, "/proc/here"], "proc"),
        ([*generate, tmp_path, "--length", "0"], "above 0 and at most 1800; got '0'"),
        ([*generate, tmp_path, "--length", "31557600"], "at most 1800; got '31557600'"),
        ([*generate, tmp_path, "--length", "0.01"], "expected at least a frame, 0.25 seconds"),
        ([*generate, tmp_path, "--length", "1799", "--prime", music / "1.mid"],
         "at most 1800 seconds together, got 5 and 1799"),
        ([*generate, tmp_path, "--prime", music / "bad.mid"], "is not a MIDI file"),
        ([*generate, tmp_path, "--prime", tmp_path / "no.mid"], "no such file or folder"),
        (["harmonise", "--log-dir", log_dir], "required: --melody"),
        (["harmonise", "--log-dir", log_dir, "--melody", tmp_path / "no.mid"], "no such file"),
        (["evaluate", "--log-dir", log_dir, "--eval-files", music / "bad.mid"], "found none"),
        (["evaluate", "--log-dir", log_dir, "--histograms", tmp_path / "h.json"], "FILE.png"),
        (["evaluate", "--log-dir", log_dir, "--samples", 2, "--histograms", tmp_path / "h.png"],
         "--histograms has no effect with --samples"),
        (["evaluate", "--log-dir", log_dir, "--samples", 2, "--bound", "elbo"],
         "--bound has no effect with --samples"),
        (["train", "--log-dir", tmp_path / "new", "--train-files", music / "b*"], "found none"),
        (["train", "--log-dir", tmp_path / "new", "--hparams", "decoder=mask"], "'masked'"),
        (["latent", "--log-dir", log_dir, "--dimension", "2"], "one of the 2 from 0 to 1; got 2"),
        (["latent", "--log-dir", log_dir, "--to", music / "1.mid"], "give it with --from"),
    ]
    for words, message in cases:
        assert_one_line(midi(*words), message)
    assert not (tmp_path / "new").exists()


def test_changed_music_is_refused(log_dir, music, midi):
    extra = music / "extra.mid"
    extra.write_bytes(midi_files.melody())
    try:
        ended = midi("evaluate", "--log-dir", log_dir)
    finally:
        os.unlink(extra)
    assert ended.status == 2 and "has changed since the run began" in ended.err


def test_an_output_does_not_replace_music_of_the_run(log_dir, midi, tmp_path):
    picture, record = tmp_path / "mine.png", log_dir / "music.json"
    picture.write_text("mine")
    whole = record.read_text()
    try:
        for content, message in (
                (json.dumps({**json.loads(whole), "train_files": ["/gone", str(picture)]}),
                 "would replace"), (whole[:-9], "The log directory is damaged")):
            record.write_text(content)
            assert_one_line(
                midi("evaluate", "--log-dir", log_dir, "--histograms", picture), message)
            assert picture.read_text() == "mine"
    finally:
        record.write_text(whole)


def test_the_names_of_many_files_are_read_again(tmp_path):
    description = sources.Description(
        [f"/{number:0180}" for number in range(99_999)], 1, [], 0, 0.1)
    description.save(LogDir(tmp_path, PROGRAM))
    assert (tmp_path / "music.json").stat().st_size > 1 << 24
    assert sources.Description.load(LogDir(tmp_path, PROGRAM)) == description


@pytest.mark.parametrize("name", ["music.json", "notes.json"])
def test_a_damaged_run_is_refused(name, log_dir, midi):
    path = log_dir / name
    whole = path.read_text()
    run, hparams = LogDir(log_dir, PROGRAM), MidiHParams().parse(SMALL)
    try:
        for text in ("", "{}", "[1, 2", "[2.0]", "null"):
            path.write_text(text)
            with pytest.raises(ValueError, match=f"{name}'.* The log directory is damaged"):
                sources.Description.load(run), saved_mean(run, hparams)
        ended = midi("evaluate", "--log-dir", log_dir)
    finally:
        path.write_text(whole)
    assert_one_line(ended, "The log directory is damaged")


def test_held_out_pieces_are_evenly_spread():
    pieces = [Piece(str(number), np.ones([10, 1])) for number in range(20)]
    grid = Grid(note=4)
    train, valid = sources.split(pieces, 0.1, grid)
    assert [piece.name for piece in valid] == ["5", "15"] and len(train) == 18
    (train,), (valid,) = sources.split(pieces[:1], 0.25, grid)
    assert len(train.roll) == 8 and len(valid.roll) == 2  # from a bar on
    assert sources.split(pieces, 0.0, grid) == (pieces, [])
    assert [len(part) for part in sources.split(pieces[:2], 0.9, grid)] == [1, 1]
