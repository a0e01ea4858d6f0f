"""Figures: what is drawn where, read back from the Axes; and the pictures' colours told apart."""

import doctest
import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from lggseg.errors import LggError
from lggseg.measures.ellipsoid import corners, enclosing_ellipsoid
from lggseg.measures.shape import largest_outline
from lggseg.unet import UNet
from lggseg.viewer import plots


@pytest.fixture(autouse=True)
def figures():
    with mpl.rc_context({"backend": "agg"}):
        plots.use_style()
        yield
        plt.close("all")


IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
MASK = np.zeros((20, 30), bool)
MASK[5:9, 10:20] = True


def outlines(ax):
    """Colour, and extent (left, right, top, bottom), of every outline in the Axes."""
    found = []
    for contour in (c for c in ax.collections if isinstance(c, mpl.contour.ContourSet)):
        box = contour.get_paths()[0].get_extents()
        found.append(
            (
                mpl.colors.to_hex(contour.get_edgecolor()[0]).upper(),
                (box.x0, box.x1, box.y0, box.y1),
            )
        )
    return found


def test_outlines_lie_around_the_masks():
    ax = plots.show_slice(IMAGE, MASK, np.roll(MASK, 3, axis=1), title="slice 7")
    assert outlines(ax) == [
        (plots.TRUTH, (9.5, 19.5, 4.5, 8.5)),
        (plots.PREDICTION, (12.5, 22.5, 4.5, 8.5)),
    ]
    assert ax.get_title() == "slice 7"
    assert np.array_equal(ax.images[0].get_array(), IMAGE)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 29.5), (19.5, -0.5))


def test_outlines_close_at_the_edge():
    ((_, box),) = outlines(plots.show_slice(IMAGE[..., 1], np.ones((20, 30), bool)))
    assert box == (-0.5, 29.5, -0.5, 19.5)


def test_empty_masks_draw_nothing():
    assert outlines(plots.show_slice(IMAGE, ~MASK & MASK)) == []


def test_grey_values_are_not_stretched():
    dark = plots.show_slice(np.full((8, 8), 40, np.uint8), ax=plt.subplots()[1])
    assert dark.images[0].get_clim() == (0, 255)
    scores = plots.show_slice(np.linspace(-3, 2, 64).reshape(8, 8), ax=plt.subplots()[1])
    assert scores.images[0].get_clim() == (-3, 2)


@pytest.mark.parametrize(
    ("image", "mask", "words"),
    [
        (IMAGE[None], None, "index the volume"),
        (IMAGE[..., :2], None, r"\(20, 30, 2\)"),
        (IMAGE, MASK.T, "height and width"),
    ],
)
def test_bad_shapes(image, mask, words):
    with pytest.raises(LggError, match=words):
        plots.show_slice(image, mask)


def test_draws_into_the_axes_given():
    _, (left, right) = plt.subplots(1, 2)
    assert plots.show_slice(IMAGE, ax=left) is left
    assert not right.images


def test_tile_is_filled_row_by_row():
    stack = np.arange(1, 6)[:, None, None] * np.ones((1, 2, 3), int)
    assert plots.tile(stack, 3)[::2, ::3].tolist() == [[1, 2, 3], [4, 5, 0]]
    assert plots.tile(stack[:2], 6).shape == (2, 6)
    assert plots.tile(np.zeros((4, 5, 6, 3)), 2).shape == (10, 12, 3)


def test_montage_shows_the_slices_asked_for():
    volume = np.stack([np.full((20, 30), 10 * k, np.uint8) for k in range(9)])
    ax = plots.montage(volume, slices=[1, 4, 8], columns=2)
    assert ax.images[0].get_array()[::20, ::30].tolist() == [[10, 40], [80, 0]]
    assert [text.get_text() for text in ax.texts] == ["2", "5", "9"]
    assert len(plots.montage(np.zeros((40, 8, 8), np.uint8), ax=plt.subplots()[1]).texts) == 12


def test_montage_outlines_move_with_their_slices():
    masks = np.stack([MASK & False, MASK])
    ((_, box),) = outlines(plots.montage(np.stack([IMAGE, IMAGE]), masks, columns=2))
    assert box == (39.5, 49.5, 4.5, 8.5)


def test_closeup_cuts_out_what_is_drawn():
    image = np.arange(6 * 40 * 50, dtype=np.uint8).reshape(6, 40, 50)
    mask, prediction = np.zeros((2, 6, 40, 50), bool)
    mask[1, 20:24, 10:12] = True
    prediction[3, 22, 8:15] = True
    _, ax = plt.subplots()
    plots.closeup(image, mask, prediction, ax, margin=2)
    side = 6 + 2 * 2  # columns 8 to 14 are the widest
    assert [text.get_text() for text in ax.texts] == ["2", "4"]
    assert ax.images[0].get_array().shape[:2] == (side, 2 * side)


def test_closeup_stays_inside_a_small_picture():
    mask = np.zeros((1, 8, 9), bool)
    mask[0, 0, 0] = True
    _, ax = plt.subplots()
    plots.closeup(mask.astype(np.uint8), mask, mask, ax)
    assert ax.images[0].get_array().shape[:2] == (8, 9)


def test_legend():
    ax = plots.legend(plots.show_slice(IMAGE, MASK), prediction=None)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["manual mask"]


def test_panels_say_what_and_whose():
    figure, axes = plots.panels(
        1, 3, size=(9, 3), title="Brightness", data="PHANTOM cohort", sharey=True
    )
    assert figure.get_suptitle() == "Brightness\nPHANTOM cohort" and axes.shape == (3,)
    figure, ax = plots.panels(size=(4, 3), title="Alone")
    assert figure.get_suptitle() == "Alone" and isinstance(ax, mpl.axes.Axes)


def test_outlines_are_as_thick_as_asked():
    thin = plots.show_slice(IMAGE, MASK, np.roll(MASK, 3, axis=1), ax=plt.subplots()[1], line=1)
    assert [float(one.get_linewidth()[0]) for one in thin.collections] == [1, 0.7]


def test_a_region_and_signed_levels_keep_their_scale():
    region = plots.show_region(~MASK & MASK, plt.subplots()[1], title="none")
    assert region.images[0].get_clim() == (0, 1) and region.get_title() == "none"
    signed = plots.show_signed(np.full((4, 4), 3.0), 50, plt.subplots()[1])
    assert signed.images[0].get_clim() == (-50, 50)


def test_dots_by_group_draws_every_patient_once():
    values = pd.Series([1, 2, 3, np.nan, 5, 6.0])
    groups = pd.Series(["b", "a", "b", "b", None, "c"])
    ax = plots.dots_by_group(
        values, groups, plt.subplots()[1], colours={"a": plots.SKY}, order=["a", "b", "d"]
    )
    dots = [one.get_offsets() for one in ax.collections]
    assert [one[:, 1].tolist() for one in dots] == [[2], [1, 3]]
    assert all(np.abs(one[:, 0] - place).max() < 0.2 for place, one in enumerate(dots))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "d"]


def test_sorted_scores_draws_every_score_of_every_patient():
    scores = pd.DataFrame({"one": [0.1, 0.5, 0.9], "two": [0.3, 0.2, np.nan]})
    _, ax = plt.subplots()
    plots.sorted_scores(scores, ax, {"two": "red", "one": "blue"})
    assert [line.get_label() for line in ax.lines] == ["two", "one"]
    assert ax.lines[1].get_ydata().tolist() == [0.1, 0.5, 0.9]
    segments = ax.collections[0].get_segments()
    assert [segment[:, 1].tolist() for segment in segments] == [[0.1, 0.3], [0.2, 0.5], [0.9, 0.9]]


def test_means_stand_in_order_with_their_intervals():
    rows = {"ours": {"mean": (0.8, 0.7, 0.9)}, "theirs": {"mean": (0.82,), "median": (0.85,)}}
    _, ax = plt.subplots()
    plots.means_with_intervals(rows, ax, {"mean": "blue", "median": "orange"})
    interval, ours, mean, median = ax.lines
    assert interval.get_xdata().tolist() == [0.7, 0.9] and ours.get_xdata()[0] == 0.8
    assert ours.get_ydata()[0] < mean.get_ydata()[0] < median.get_ydata()[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ours", "theirs"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top


def test_heat_writes_numbers_or_notes_and_leaves_gaps():
    table = pd.DataFrame({"x": [0.25, np.nan], "y": [1.0, 0.5]}, index=["p", "q"])
    ax = plots.heat(table, plt.subplots()[1], 0, 1)
    assert [text.get_text() for text in ax.texts] == ["0.25", "1.00", "0.50"]
    noted = plots.heat(
        table, plt.subplots()[1], 0, 1, notes=table.map(lambda value: "*"), label="share"
    )
    assert [text.get_text() for text in noted.texts] == ["*"] * 3 and len(noted.figure.axes) == 2


def test_roc_curve_by_hand():
    scores, labels = np.array([4, 3, 2, 1]), np.array([True, False, True, False])
    ax = plots.roc_curve(scores, labels, plt.subplots()[1])
    assert ax.lines[1].get_xydata().tolist() == [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]]


def test_the_unit_square_has_the_line_on_which_both_are_equal():
    ax = plots.unit_square(plt.subplots()[1])
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert ax.get_xlim() == ax.get_ylim() == (-0.02, 1.02)


def test_zoom_shows_the_mask_and_its_margin():
    mask = np.zeros((50, 80), bool)
    mask[20:25, 40:61] = True
    ax = plt.subplots()[1]
    ax.imshow(mask)
    plots.zoom_to(mask, ax, margin=5)
    assert ax.get_xlim() == (35, 65)
    assert ax.get_ylim() == (29, 15)  # from top to bottom, as pictures are


def test_means_of_patients_with_intervals_by_hand():
    """Of two patients a drawn mean is one of the two or the middle: the interval is from one to the
    other.
    """
    scores = pd.DataFrame({5: [0.2, 0.4], 20: [0.6, 0.6]})
    ax = plots.means_of_patients(scores, plt.subplots()[1], shift=0.5, name="two")
    line, _, bars = ax.containers[0]
    assert line.get_xydata() == pytest.approx(np.array([[5.5, 0.3], [20.5, 0.6]]))
    ends = [segment[:, 1].tolist() for segment in bars[0].get_segments()]
    assert ends[0] == pytest.approx([0.2, 0.4])
    assert ends[1] == pytest.approx([0.6, 0.6])
    assert ax.get_legend_handles_labels()[1] == ["two"]


def test_two_measurements_on_the_line_of_equality():
    x = pd.Series([1.0, 2, 3])
    y = pd.Series([1.0, 3, 2.5])
    ax = plt.subplots()[1]
    dots = plots.equality(x, y, ax, shade=pd.Series([0.5, 0.8, 1]))
    assert dots.get_offsets().tolist() == [[1, 1], [2, 3], [3, 2.5]]
    assert ax.lines[0].get_xydata().tolist() == [[1, 1], [3, 3]]


def test_bland_altman_by_hand():
    """Differences 0, 1, 2: bias 1, standard deviation 1."""
    x = pd.Series([1.0, 2, 3])
    y = pd.Series([1.0, 3, 5])
    ax = plt.subplots()[1]
    dots = plots.bland_altman(x, y, ax, shade=pd.Series([0.5, 0.8, 1]))
    assert dots.get_offsets().tolist() == [[1, 0], [2.5, 1], [4, 2]]
    heights = [line.get_ydata()[0] for line in ax.lines]
    assert heights == pytest.approx([0, 1, 1 - 1.96, 1 + 1.96])


def test_the_sections_of_an_ellipsoid_lie_on_it():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3)) @ np.array([[3, 1, 0], [0, 5, 2], [0, 0, 4]])
    ellipsoid = enclosing_ellipsoid(points)
    for height in ellipsoid.centre[0] + np.array([-2.0, 0, 1.5]):
        section = plots.ellipsoid_section(ellipsoid, height, 12)
        off = np.column_stack([np.full(12, height), section]) - ellipsoid.centre
        np.testing.assert_allclose(
            np.sum(off @ np.linalg.inv(ellipsoid.matrix) * off, axis=1), 1, rtol=1e-6
        )
    assert np.isnan(plots.ellipsoid_section(ellipsoid, ellipsoid.centre[0] + 1e3)).all()


def test_the_tumour_s_slices_lie_in_their_sections():
    mask = np.zeros((5, 20, 20), bool)
    mask[1:4, 6:13, 5:15] = True
    axes = plt.subplots(1, 3)[1]
    plots.ellipsoid_slices(mask, enclosing_ellipsoid(corners(mask)), axes)
    assert [ax.get_title() for ax in axes] == ["slice 2", "slice 3", "slice 4"]
    for ax in axes:
        x, y = ax.lines[0].get_xydata().T
        # Around the pixels' corners.
        assert x.min() < 4.5 and x.max() > 14.5 and y.min() < 5.5 and y.max() > 12.5


def test_a_tumour_of_few_slices_is_drawn_once():
    mask = np.zeros((4, 20, 20), bool)
    mask[1:3, 5:15, 6:12] = True
    axes = plt.subplots(1, 4)[1]
    plots.ellipsoid_slices(mask, enclosing_ellipsoid(corners(mask)), axes)
    assert [ax.get_title() for ax in axes] == ["slice 2", "slice 3", "", ""]
    assert [ax.axison for ax in axes] == [True, True, False, False]


def test_outline_and_signal_are_coloured_by_sector():
    mask = np.zeros((2, 40, 40), bool)
    mask[1, 10:30, 8:32] = True
    line = largest_outline(mask)
    picture = plots.outline_by_sector(
        np.zeros((40, 40), np.uint8), line, plt.subplots()[1], title="slice 2"
    )
    signal = plots.signal_by_sector(line, plt.subplots()[1])
    assert len(picture.lines) == 10 and picture.get_title() == "slice 2"
    assert (
        len(picture.collections[0].get_offsets())
        == len(signal.collections[0].get_offsets())
        == len(line.radius)
    )
    assert len(np.unique(signal.collections[0].get_facecolors(), axis=0)) == 5


def test_examples_in_docstrings_print_what_they_say():
    assert doctest.testmod(plots, extraglobs={"np": np}).failed == 0


def test_activation_shapes_by_hand():
    assert plots.activation_shapes(UNet(features=4, depth=3), 32) == {
        "encoder.0": (4, 32, 32),
        "encoder.1": (8, 16, 16),
        "bottom": (16, 8, 8),
        "up.0": (16, 16, 16),
        "decoder.0": (8, 16, 16),
        "up.1": (8, 32, 32),
        "decoder.1": (4, 32, 32),
        "head": (1, 32, 32),
    }


def test_looking_leaves_the_model_as_it_was():
    model = UNet(features=2, depth=2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = [len(module._forward_hooks) for module in model.modules()]
    with pytest.raises(LggError):
        plots.activation_shapes(model, 33)
    plots.architecture(model, size=32)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [len(module._forward_hooks) for module in model.modules()] == hooks


@pytest.mark.parametrize("depth", range(2, 8))
def test_architecture_of_any_depth(depth):
    ax = plots.architecture(UNet(features=2, depth=depth), size=64)
    words = [text.get_text() for text in ax.texts]
    assert [word for word in words if word.startswith("push")] == [
        f"push {i}" for i in reversed(range(1, depth))
    ]
    channels = [int(word) for word in words if word.isdecimal()]
    assert sorted(channels) == sorted(
        [3, 1]
        + [2 * 2**level for level in range(depth)]
        + [4 * 2**level for level in range(depth - 1)]
        + [2 * 2**level for level in range(depth - 1)]
    )
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    boxes = sorted((patch.get_bbox() for patch in ax.patches), key=lambda box: box.x0)
    for box in boxes:
        assert left < box.x0 < box.x1 < right and bottom < box.y0 < box.y1 < top
    levels = [round(-(box.y0 + box.y1) / 2) for box in boxes]
    turn = levels.index(depth - 1)  # the letter U: down to the bottom, and up again
    assert levels[:turn] == sorted(levels[:turn]) and levels[turn:] == sorted(
        levels[turn:], reverse=True
    )


def test_up_convolutions_arrive_at_their_own_half():
    ax = plots.architecture(UNet(features=2, depth=2), size=64)
    joined = next(box for box in ax.patches if to_rgb(box.get_facecolor()) == to_rgb(plots.YELLOW))
    own = (joined.get_x() + 0.5 * joined.get_width(), joined.get_x() + joined.get_width())
    ends = [text.xy for text in ax.texts if isinstance(text, mpl.text.Annotation)]
    assert [x for x, y in ends if own[0] < x < own[1] and y == joined.get_y()]


def test_seed_dots_shows_every_training_and_the_mean():
    scores = pd.DataFrame({"depth 2": [0.2, 0.4, float("nan")], "depth 3": [0.5, 0.5, 0.8]})
    ax = plots.seed_dots(scores, plt.figure().subplots(), plots.ORANGE, "real patients", shift=0.1)
    dots, dashes = ax.lines[::2], ax.lines[1::2]
    assert [line.get_ydata().tolist() for line in dots] == [[0.2, 0.4], [0.5, 0.5, 0.8]]
    assert [line.get_xdata()[0] for line in dots] == [0.1, 1.1]
    assert [line.get_ydata()[0] for line in dashes] == pytest.approx([0.3, 0.6])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["depth 2", "depth 3"]
    assert ax.get_legend_handles_labels()[1] == ["real patients"]


def test_style_is_opaque_and_colours_differ():
    assert mpl.rcParams["savefig.facecolor"] == mpl.rcParams["figure.facecolor"] == "white"
    assert len({to_rgb(colour) for colour in plots.OKABE_ITO}) == 8
    for one, other in itertools.combinations([plots.TRUTH, plots.PREDICTION], 2):
        assert one != other
