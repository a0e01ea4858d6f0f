from itertools import permutations

import numpy as np
import pytest

from lggseg.errors import LggError
from lggseg.prepare.head_finder import find_head
from lggseg.scans.channels import check_sequences, compose, name_channels, odd_sequence, parse_order


def head(levels=(60, 90, 120), depth=3) -> np.ndarray:
    """A disc in black air whose three sequences have these levels, with some noise."""
    y, x = np.ogrid[:64, :64]
    disc = np.hypot(y - 32, x - 32) < 24
    noise = np.random.default_rng(0).integers(-9, 10, (depth, 64, 64, 3))
    return ((np.array(levels) + noise) * disc[..., None]).astype(np.uint8)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("flair,t1,t1ce", ["flair", "pre", "post"]),
        ("FLAIR", ["flair"]),
        (" pre , Flair,post", ["pre", "flair", "post"]),
        ("T1-pre,T1Gd,T2-FLAIR,T2", ["pre", "post", "flair", None]),
        ("flair,-,skip", ["flair", None, None]),
    ],
)
def test_order(text, names):
    assert parse_order(text) == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("flair,adc", "no sequence 'adc'"),
        ("t1,t1ce", "FLAIR 0 times"),
        ("", "no sequence ''"),
        ("flair,t1,", "no sequence ''"),
        ("flair,flair", "2 times"),
        ("flair,t1,pre", "no sequence twice"),
    ],
)
def test_orders_that_say_nothing(text, words):
    with pytest.raises(LggError, match=words):
        parse_order(text)


def test_channels_by_name():
    values = np.arange(3).reshape(1, 1, 1, 3)
    named = {
        name: int(channel.item()) for name, channel in name_channels(values, None, "x").items()
    }
    assert named == {"pre": 0, "flair": 1, "post": 2}
    named = {
        name: int(channel.item())
        for name, channel in name_channels(values, ["flair", None, "pre"], "x").items()
    }
    assert named == {"flair": 0, "pre": 2}
    assert [*name_channels(values[..., :1], None, "x")] == ["flair"]
    with pytest.raises(LggError, match="x: 2 sequences; say which is which"):
        name_channels(values[..., :2], None, "x")
    with pytest.raises(LggError, match="x: 3 sequences, but the order names 2"):
        name_channels(values, ["flair", "pre"], "x")


def test_flair_stands_in_and_it_is_told():
    image = head()
    found, warnings = compose({"flair": image[..., 1], "post": image[..., 2]})
    np.testing.assert_array_equal(found, image[..., [1, 1, 2]])
    assert warnings == ["no pre-contrast T1; FLAIR stands in, as it does in the data set"]
    found, warnings = compose({"flair": image[..., 1]})
    assert (
        found == image[..., [1, 1, 1]]
    ).all() and "no pre-contrast T1 and no post-contrast T1" in warnings[0]
    assert compose(dict(zip(("pre", "flair", "post"), np.moveaxis(image, 3, 0))))[1] == []


@pytest.mark.parametrize("constant", [0, 77])
def test_a_sequence_that_shows_nothing_is_told(constant):
    image = head()
    image[..., 0] = constant
    assert check_sequences(image) == ["pre-contrast T1 shows nothing; FLAIR stands in"]


def test_nan_is_told():
    flair = head()[..., 1].astype(np.float32)
    flair[0, 0, :5] = np.nan
    image, warnings = compose({"flair": flair})
    assert "FLAIR: 5 voxels are NaN or infinite" in warnings[0] and (image[0, 0] == 0).all()


def test_where_flair_shows_nothing_there_is_no_scan():
    with pytest.raises(LggError, match="shows nothing"):
        check_sequences(np.full((2, 20, 20, 3), 50, np.uint8))
    image = head()
    image[..., 1] = 0
    with pytest.raises(LggError, match="FLAIR"):
        check_sequences(image)


def brain(order=(0, 1, 2)) -> np.ndarray:
    """A disc of grey matter with white stripes: brighter in both T1, darker in FLAIR; channels in
    this order.
    """
    y, x = np.ogrid[:100, :100]
    white = np.broadcast_to((x // 4 + y // 4) % 2 == 0, (5, 100, 100))
    t1, flair = np.where(white, 130, 100), np.where(white, 90, 110)
    noise = np.random.default_rng(0).integers(-5, 6, (5, 100, 100, 3))
    image = (np.stack([t1, flair, t1], axis=3) + noise) * (np.hypot(y - 50, x - 50) < 45)[..., None]
    return image[..., list(order)].astype(np.uint8)


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_another_sequence_in_flairs_place_is_seen(order):
    image = brain(order)
    assert odd_sequence(image, find_head(image)) == order.index(1)
    assert [*map(bool, [check_sequences(image)])] == [order[1] != 1]
    if order[1] != 1:
        assert "check the order" in check_sequences(image)[0]


@pytest.mark.parametrize(("margin", "told"), [({}, 1), ({"margin": 0.2}, None)])
def test_a_faint_likeness_is_enough(margin, told):
    """Of what both T1 share little is left under noise, and FLAIR has none of it."""
    image = brain()
    image[..., 1] = np.where(image[..., 1] > 0, 100, 0)
    noise = np.random.default_rng(1).normal(0, 24, image.shape)
    image = np.where(image > 0, (image + noise).clip(1, 255), 0).astype(np.uint8)
    assert odd_sequence(image, find_head(image), **margin) == told


def test_what_cannot_be_told_is_not_told():
    # A copy of FLAIR; no contrast at all.
    for image in (brain((1, 1, 2)), brain((0, 1, 1)), head()):
        assert odd_sequence(image, find_head(image)) is None


def test_phantoms_raise_no_alarm(phantom_cohort):
    for patient in phantom_cohort.patients:
        image = phantom_cohort.volume(patient).image
        assert odd_sequence(image, find_head(image)) in (None, 1)


@pytest.mark.real
def test_flair_is_told_apart_on_real_patients(real_cohort):
    found = []
    for patient in real_cohort.patients:
        image = np.asarray(real_cohort.volume(patient).image)
        if any((image[..., s] == image[..., 1]).all() for s in (0, 2)):
            continue  # a sequence is missing: a copy of FLAIR stands there
        for order in ((0, 1, 2), (1, 0, 2), (0, 2, 1)):
            mixed = np.ascontiguousarray(image[..., order])
            odd = odd_sequence(mixed, find_head(mixed))
            found.append("unclear" if odd is None else "FLAIR" if order[odd] == 1 else "wrong")
    share = {word: found.count(word) / len(found) for word in ("FLAIR", "unclear", "wrong")}
    print(len(found), share)
    assert share["FLAIR"] >= 0.95 and share["wrong"] <= 0.02


def test_a_mask_with_levels_between_is_no_scan():
    """Saved as JPEG, or smoothed: black and white, and something on the edge."""
    y, x = np.ogrid[:64, :64]
    soft = np.clip(255 * (12 - np.hypot(y - 32, x - 32)), 0, 255)
    mask = np.repeat(soft[None], 3, axis=0).astype(np.uint8)
    mask[:, :, :8] = np.random.default_rng(0).integers(0, 6, (3, 64, 8))
    with pytest.raises(LggError, match="FLAIR shows little but black and white, as a mask"):
        compose({"flair": mask})
    with pytest.raises(LggError, match="pre-contrast T1 shows little but black and white"):
        compose({"flair": head()[..., 1], "pre": mask})


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (4, 5)])
def test_a_mosaic_is_no_scan(rows, columns):
    with pytest.raises(LggError, match=f"shows {rows * columns} things of like size side by side"):
        check_sequences(np.tile(head(depth=1), (1, rows, columns, 1)))
