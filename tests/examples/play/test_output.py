# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Films: their length and pace, and that there is a whole one or none; observations drawn."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from examples.play.envs import env
from examples.play.output import gif, painters
from examples.play.output.gif import Film
from tests.examples.play import games


def _frame(number, height=40, width=60):
    return np.full([height, width, 3], 5 * number % 256, np.uint8)


def _read(path):
    """Of a GIF: the brightness of each frame, and how long each is shown."""
    with Image.open(path) as image:
        frames = [(np.asarray(frame.convert("RGB"))[0, 0, 0], frame.info["duration"])
                  for frame in ImageSequence.Iterator(image)]
    return [bright for bright, _ in frames], [duration for _, duration in frames]


@pytest.mark.parametrize("rate, every, duration", [(10, 1, 100), (30, 1, 30), (50, 2, 40)])
def test_a_film_keeps_the_games_pace(tmp_path, rate, every, duration):
    with Film(tmp_path / "a.gif", rate) as film:
        for number in range(20):
            film.add(_frame(number))
    bright, durations = _read(tmp_path / "a.gif")
    assert bright == [5 * number for number in range(0, 20, every)]
    assert durations == [duration] * (20 // every)


def test_the_last_picture_is_held(tmp_path):
    with Film(tmp_path / "a.gif", 50) as film:
        for number in range(4):
            film.add(_frame(number), hold=1.0 if number == 3 else 0.0)
    assert _read(tmp_path / "a.gif") == ([0, 10, 15], [40, 40, 1040])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("in_the_writing", [False, True])
def test_a_film_is_whole_or_not_there(tmp_path, monkeypatch, error, in_the_writing):
    (tmp_path / "a.gif").write_bytes(b"an older film")

    def breaks(image, path, *rest, **options):
        path.write_bytes(b"half")
        raise error

    if in_the_writing:
        monkeypatch.setattr(Image.Image, "save", breaks)
    with pytest.raises(error), Film(tmp_path / "a.gif", 10) as film:
        film.add(_frame(1))
        if not in_the_writing:
            raise error
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
    assert (tmp_path / "a.gif").read_bytes() == b"an older film"


def test_a_film_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(gif, "_MAX_FRAMES", 3)
    with Film(tmp_path / "a.gif", 10) as film:
        for number in range(3):
            film.add(_frame(number), hold=1.0)
        assert not film.is_cut
        for number in range(3, 9):
            film.add(_frame(number), hold=1.0)
        assert film.is_cut
    assert _read(tmp_path / "a.gif")[0] == [0, 5, 10]


@pytest.mark.parametrize("shape, fitted", [
    ((400, 600), (213, 320)), ((200, 300), (200, 300)), ((7, 5), (161, 115))])
def test_pictures_of_a_size_to_look_at(shape, fitted):
    picture = gif.fitted(_frame(7, *shape))
    assert picture.shape == (*fitted, 3) and picture.dtype == np.uint8 and (picture == 35).all()


def test_a_line_of_text_stands_under_the_picture():
    picture = gif.captioned(_frame(3), "score 7")
    assert (picture[:40] == 15).all() and picture.shape == (56, 60, 3)
    assert picture[40:].max() == 255 and picture[40:].min() < 128
    assert (gif.captioned(_frame(3), "score 8") != picture).any()


@pytest.mark.parametrize("name", [
    "CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCar-v0", "LunarLander-v3"])
def test_a_state_is_drawn_as_the_environment_draws_it(name):
    """Where the state follows from what is observed, the same picture comes of both."""
    is_lander = name == "LunarLander-v3"
    env.hide_windows()
    real = env.make(name, render_mode="rgb_array")
    observation, _ = real.reset(seed=0)  # as the painter's, whose ground is not observed
    for number in range(40 * is_lander):  # until it is tilted and its legs hang down
        observation, *_ = real.step(int(number < 10))
        real.render()  # which lets the sparks of the engine fade
    game = env.game(name)
    painter = painters.painter(game, observation[None], 1)
    expected = gif.fitted(real.render()).astype(int)
    painted = painter.paint(observation[None], 0, 1).astype(int)
    assert expected.std() > 1
    # Rounding to 32 bits may move an edge by a pixel.
    assert (np.abs(painted - expected).max(-1) > 64).mean() < 4e-4
    moved = painter.paint(observation[None] + 0.5, 0, 1).astype(int)
    assert (np.abs(moved - expected).max(-1) > 64).mean() > 2e-3
    painter.close()
    real.close()


def test_velocities_are_not_needed_for_a_picture():
    whole, part = env.game("CartPole-v1"), env.game("CartPole-v1", (2, 0))
    observation = np.float32([0.3, 9, 0.1, 9])
    pictures_of = [
        painters.painter(game, observations[None], 1).paint(observations[None], 0, 1)
        for game, observations in ((whole, observation), (part, observation[[2, 0]]))]
    np.testing.assert_array_equal(*pictures_of)


def test_pictures_are_shown_as_they_are():
    game = env.game(games.PICTURES)
    observations = np.zeros([2, 5, 6, 3])
    observations[1, 0, 0] = [300, -7, 99.6]
    painted = painters.painter(game, observations, 2).paint(observations, 1, 2)
    assert painted.shape == (5 * 27, 6 * 27, 3)
    assert painted[0, 0].tolist() == [255, 0, 100] and not painted[30:, 30:].any()


def test_numbers_are_drawn_as_curves():
    game = env.game(games.COUNT)
    observations = np.stack([np.arange(11.0), np.full(11, 4.0)], 1)
    painter = painters.painter(game, observations, 11)
    first, half, whole = (painter.paint(observations, at, 5) for at in (0, 5, 10))
    orange = (whole[..., 0] > 150) & (whole[..., 2] < 100)
    assert orange.any() and not ((half[..., 0] > 150) & (half[..., 2] < 100)).any()
    assert np.flatnonzero(orange.any(0)).min() > np.flatnonzero((first < 100).any(0).any(-1)).min()
    rows, columns = np.nonzero(orange[:104])  # of the rising number
    assert np.corrcoef(rows, columns)[0, 1] < -0.99
    nothing = painter.paint(np.full([1, 2], np.nan), 0, 5)
    assert nothing.shape == whole.shape
