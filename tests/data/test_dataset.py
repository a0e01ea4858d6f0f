"""Slices as the network is shown them."""

import pickle

import numpy as np
import pytest
import torch

from lggseg.data.dataset import SliceDataset
from lggseg.errors import LggError
from lggseg.prepare.head_finder import find_head
from lggseg.prepare.network_grid import GridSpec


def test_slices_shapes_types_and_scale(phantom_cohort):
    dataset = SliceDataset(phantom_cohort, phantom_cohort.patients[:2], GridSpec(size=64))
    image, mask = dataset[5]
    assert (image.shape, image.dtype) == ((3, 64, 64), torch.float32)
    assert (mask.shape, mask.dtype) == ((1, 64, 64), torch.float32)
    assert (
        len(dataset)
        == phantom_cohort.summary.slices.iloc[:2].sum()
        == len(dataset.rows)
        == len(dataset.has_tumour)
    )
    tumour = torch.stack([mask for _, mask in dataset]).flatten(1)
    assert set(tumour.unique().tolist()) == {0.0, 1.0} and not tumour[~dataset.has_tumour].any()
    pixels = torch.stack([image for image, _ in dataset])
    assert -5 <= pixels.min() < -1 and 1 < pixels.max() <= 10


def test_slices_are_z_scores_of_the_volume_where_the_head_is(phantom_cohort):
    patient = next(
        p for p in phantom_cohort.patients if not find_head(phantom_cohort.volume(p).image).mirrored
    )
    volume = phantom_cohort.volume(patient)
    head = find_head(volume.image)
    top, left, side = head.box
    # As fine as the picture: nothing is resized.
    dataset = SliceDataset(phantom_cohort, [patient], GridSpec(size=side))
    image, mask = dataset[int(dataset.rows.tumour_pixels.argmax())]
    d = head.slices[int(dataset.rows.tumour_pixels.argmax())]
    rows, columns = (
        slice(max(0, top), min(256, top + side)),
        slice(max(0, left), min(256, left + side)),
    )
    expected = (
        volume.image[d, rows, columns].astype(float) - head.air[d] - head.centre
    ) / head.spread
    inside = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    np.testing.assert_allclose(
        image.permute(1, 2, 0).numpy()[inside], expected.clip(-5, 10), atol=1e-4
    )
    assert np.array_equal(mask[0].numpy()[inside] == 1, volume.mask[d, rows, columns])


def in_the_square(cohort, row) -> float:
    """Share of the head's square that is tumour, in the slice of one row of `SliceDataset.rows`."""
    return row.tumour_pixels / find_head(cohort.volume(row.patient).image).box[2] ** 2


def test_shrunken_mask_keeps_the_tumour_share(phantom_cohort):
    dataset = SliceDataset(
        phantom_cohort, phantom_cohort.patients[:3], GridSpec(size=128), tumour_only=True
    )
    assert dataset.has_tumour.all() and (dataset.rows.tumour_pixels > 0).all()
    shrunken = sum(float(mask.mean()) for _, mask in dataset)
    expected = sum(in_the_square(phantom_cohort, row) for row in dataset.rows.itertuples())
    assert shrunken == pytest.approx(expected, rel=0.05)


def test_slices_without_a_head_are_left_out(phantom_cohort, monkeypatch):
    patient = phantom_cohort.patients[0]
    volume = phantom_cohort.volume(patient)
    blank = volume.image.copy()
    blank[3] = 0
    monkeypatch.setattr(
        type(phantom_cohort), "volume", lambda *_: type(volume)(patient, blank, volume.mask)
    )
    dataset = SliceDataset(phantom_cohort, [patient], GridSpec(size=32))
    assert 4 not in dataset.rows.k.tolist() and len(dataset) == len(blank) - 1
    whole = [i for i, k in enumerate(dataset.rows.k) if k == 5]
    assert dataset.has_tumour[whole[0]] == volume.mask[4].any()


def test_soft_masks_hold_the_share_of_each_pixel(phantom_cohort):
    patients = phantom_cohort.patients[:1]
    hard, soft = (
        SliceDataset(phantom_cohort, patients, GridSpec(size=128), soft=s) for s in (False, True)
    )
    d = int(hard.rows.tumour_pixels.argmax())
    mask, share = hard[d][1], soft[d][1]
    assert (
        torch.equal(mask, (share >= 0.5).float())
        and 0 < ((share > 0) & (share < 1)).float().mean() < 0.1
    )
    assert share.mean() == pytest.approx(in_the_square(phantom_cohort, hard.rows.loc[d]), rel=0.02)


def test_context_slices_are_the_neighbours(phantom_cohort):
    patient = phantom_cohort.patients[0]
    single = SliceDataset(phantom_cohort, [patient], GridSpec(size=32))
    context = SliceDataset(phantom_cohort, [patient], GridSpec(size=32, context=1))
    last = len(single) - 1
    for d, neighbours in ((4, (3, 4, 5)), (0, (0, 0, 1)), (last, (last - 1, last, last))):
        assert torch.allclose(context[d][0], torch.cat([single[n][0] for n in neighbours]))
        assert torch.equal(context[d][1], single[d][1])


def test_augment_gets_the_pair(phantom_cohort):
    patients = phantom_cohort.patients[:1]
    dataset = SliceDataset(
        phantom_cohort, patients, GridSpec(size=32), lambda a, b: (a + 100, 1 - b)
    )
    plain = SliceDataset(phantom_cohort, patients, GridSpec(size=32))
    assert torch.equal(dataset[2][0], plain[2][0] + 100) and torch.equal(
        dataset[2][1], 1 - plain[2][1]
    )


def test_pickle_is_small_and_works(phantom_cohort):
    dataset = SliceDataset(phantom_cohort, phantom_cohort.patients, GridSpec(size=32))
    dataset[0]  # the memory map is open
    content = pickle.dumps(dataset)
    assert len(content) < 200_000
    assert all(torch.equal(a, b) for a, b in zip(pickle.loads(content)[3], dataset[3], strict=True))


def test_refusals_of_slices(phantom_cohort):
    with pytest.raises(LggError, match="no patient 'TCGA_XX_1'"):
        SliceDataset(phantom_cohort, ["TCGA_XX_1"])
    with pytest.raises(LggError, match="no slice"):
        SliceDataset(phantom_cohort, [])


def test_tumour_only_is_no_number_of_pixels(phantom_cohort):
    slices = [
        len(SliceDataset(phantom_cohort, phantom_cohort.patients[:1], tumour_only=only))
        for only in (True, 999)
    ]
    assert slices[0] == slices[1]


def test_a_patient_without_flair_is_named(phantom_cohort, monkeypatch):
    image = phantom_cohort.volume(phantom_cohort.patients[0]).image.copy()
    image[..., 1] = 0
    monkeypatch.setattr(phantom_cohort, "volume", lambda patient: type("", (), {"image": image}))
    with pytest.raises(LggError, match=f"{phantom_cohort.patients[0]}: FLAIR"):
        SliceDataset(phantom_cohort, phantom_cohort.patients[:1])
