"""From anatomy to grey levels: the scanner's blur and noise, offsets, and missing sequences."""

from dataclasses import replace

import numpy as np
import pytest

from lggseg.phantom.scanning import NULL, acquire, blur, draw_slices, inversion_recovery


def test_blur_gives_each_neighbour_its_share():
    image = np.zeros((5, 5))
    image[2, 2] = 1
    one = np.array([0, 0.2, 0.6, 0.2, 0])
    assert blur(image, 0.2) == pytest.approx(np.outer(one, one))


def test_missing_sequences_are_copies_of_flair(default):
    plan, _, _ = default
    pre, post = ({p.folder for p in plan if name in p.missing} for name in ("pre", "post"))
    assert pre < post and (len(pre), len(post)) == (3, 5)
    for missing in ((), ("post",), ("pre", "post")):
        patient = next(patient for patient in plan if patient.missing == missing)
        image, _ = next(draw_slices(patient))
        for channel, name in ((0, "pre"), (2, "post")):
            assert (image[..., channel] == image[..., 1]).all() == (name in patient.missing)


def test_grey_air_is_in_one_sequence_of_who_says_so(default):
    patient = next(patient for patient in default[0] if patient.air and not patient.signed)
    image, mask = next(draw_slices(patient))
    corner = np.median(image[:30, :30], (0, 1))
    assert corner[0] == pytest.approx(patient.air, abs=10) and corner[1:].max() < 15
    plain, same = next(draw_slices(replace(patient, air=0)))
    assert np.array_equal(plain[..., 1:], image[..., 1:]) and np.array_equal(mask, same)
    expected = patient.air + (1 - patient.air / 255) * plain[..., 0]
    assert np.abs(image[..., 0] - expected).max() <= 1.01  # compressed, not clipped


def test_an_offset_does_not_touch_a_copy_of_flair(default):
    patient = replace(default[0][0], air=50, missing=("pre", "post"))
    image = acquire(
        np.full((3, 8, 8), 0.5, np.float32),
        np.zeros((8, 8)),
        patient,
        np.random.default_rng(0),
        np.ones((8, 8)),
    )
    assert (image[..., 0] == image[..., 1]).all() and (image[..., 2] == image[..., 1]).all()


def test_a_signed_sequence_has_tissue_on_both_sides_of_air():
    """Air and bone stay at 0, what is as bright as NULL too; fluid is below,
    white matter and fat above.
    """
    # Air, bone, fluid, a tissue at NULL, white matter, fat.
    before = np.array([0, 0.06, 0.13, NULL, 0.5, 0.95])
    canvas = np.stack([before, before, before])[:, None]
    shown = inversion_recovery(canvas, np.ones((1, 6)))[0]
    assert shown[:2].tolist() == [0, 0] and shown[3] == pytest.approx(0)
    assert shown[2] < -0.5 and 0.2 < shown[4] < 0.4 and 0.9 < shown[5] < 1
    outside = inversion_recovery(canvas, np.zeros((1, 6)))[0]
    assert outside[2] == 0 and outside[3:].tolist() == shown[3:].tolist()


def test_the_signed_patient_s_tumour_is_darker_than_air(default):
    """As in TCGA_FG_A4MU, where 84 % of the tumour is; and nothing else of the patient differs."""
    patient = next(patient for patient in default[0] if patient.signed)
    image, mask = map(np.stack, zip(*draw_slices(patient)))
    tumour = image[..., 0][mask > 0]
    assert 0.7 < np.mean(tumour <= patient.air) < 0.95
    assert np.median(image[:, :30, :30, 0]) == pytest.approx(patient.air, abs=2)
    plain = np.stack([one for one, _ in draw_slices(replace(patient, signed=False))])
    assert np.array_equal(plain[..., 1:], image[..., 1:])
