"""The brain, its fluid, its coverings and vessels, and the tumour."""

import numpy as np

from .anatomy import ball, lateral_ventricles, stem, ventricles
from .patient import Look
from .tissue import Plane, soft


def draw_brain(plane: Plane, look: Look) -> None:
    """Everything inside the skull in one slice, the tumour last."""
    draw_coverings(plane)
    draw_cerebrum(plane)
    if plane.z < -0.1:
        draw_cerebellum(plane)
        draw_stem(plane)
    draw_fluid(plane, look)
    draw_vessels(plane)
    plane.image[:] *= 1 + 0.03 * plane.texture
    draw_tumour(plane, look)


def draw_coverings(plane: Plane) -> None:
    """The dura, a thin line inside the skull, and the fluid around the brain.

    Where the brain's surface slopes, at the top and at the bottom, lines would become too wide.
    """
    slope = 0.012 * max(0, plane.z) ** 2 + 0.25 * max(0, -0.5 - plane.z)
    plane.paint(soft(plane.brain + 0.032 - 1.5 * slope), "dura")
    plane.paint(soft(plane.brain + 0.02 - slope), "fluid")


def draw_cerebrum(plane: Plane) -> None:
    """Grey ribbon, white matter, deep nuclei, vessels in the sulci."""
    x = plane.x
    y = plane.y
    z = plane.z
    side = plane.side
    brain = plane.cerebrum
    texture = plane.texture
    cleft = np.abs(x + 0.01 * texture)  # between the hemispheres
    if abs(z) < 0.36:  # the corpus callosum connects them
        cleft += 3 * np.maximum(0, ball(x, y, z, (0, 0.02, 0.0), (0.5, 0.42, 0.36)))
    insula = np.abs(y + 0.1 - 0.3 * (side - 0.4) + 0.015 * texture)
    insula = insula + 3 * np.maximum(0, 0.4 - side)
    sulcus = plane.fold + 0.4 * np.maximum(0, brain - 0.13 - 0.04 * texture)
    groove = np.minimum(cleft, insula + 2 * max(0, abs(z) - 0.15))
    depth = np.minimum(np.minimum(brain, sulcus), groove)
    plane.paint(soft(depth - 0.007, 0.02), "grey")
    plane.paint(soft(depth - 0.05, 0.016), "white")
    if abs(z) < 0.16:
        thalamus = ball(side, y, z, (0.13, 0.08, 0.0), (0.1, 0.16, 0.16))
        putamen = ball(side + 0.2 * y, y, z, (0.27, -0.06, 0.0), (0.06, 0.2, 0.14))
        plane.paint(0.8 * soft(np.maximum(thalamus, putamen), 0.03), "grey")
    plane.spot("grey", (0.1, -0.22, 0.08), (0.05, 0.1, 0.14), 0.03)  # the caudate's head
    here = plane.window((-0.05, -1), (0.05, 1))
    plane.paint(soft(0.003 - cleft[here]) * soft(brain[here]), "dura", here)  # the falx
    in_sulci = soft(np.minimum(0.006 - sulcus, brain))
    plane.paint(in_sulci * soft(plane.vein - 0.9, 0.4), "vessel")


def draw_cerebellum(plane: Plane) -> None:
    """Cerebellum with its fine parallel folds."""
    x = plane.x
    y = plane.y
    z = plane.z
    level = plane.cerebellum
    plane.paint(soft(level + 0.02) * soft(-0.3 - z, 0.15), "fluid")
    plane.paint(soft(level), "grey")
    stripes = 0.3 + 0.3 * np.sin(85 * np.hypot(0.7 * x, y - 0.1) + 1.5 * plane.texture)
    plane.paint(soft(level - 0.04, 0.04) * stripes, "white")
    plane.spot("white", (0.2, 0.3, -0.52), (0.16, 0.1, 0.18), 0.1)


def draw_stem(plane: Plane) -> None:
    """Midbrain, pons or medulla in their cisterns."""
    here = plane.window((-0.45, -0.3), (0.45, 0.4))
    y = plane.y[here]
    level = stem(plane.x[here], y, plane.z)
    plane.spot("fluid", (0, -0.12, -0.3), (0.14, 0.12, 0.1))  # above the sella
    plane.spot("fluid", (0, 0.26, -0.17), (0.08, 0.05, 0.1))  # behind the midbrain
    top = soft(-0.18 - plane.z, 0.06)
    cistern = np.maximum(soft(0.1 - y, 0.1), soft(plane.z + 0.33, 0.1))
    plane.paint(top * soft(level + 0.018) * cistern, "fluid", here)
    plane.paint(top * soft(level), "white", here)
    plane.paint(0.35 * top * soft(level - 0.03, 0.04), "grey", here)
    plane.spot("fluid", (0, 0.165, -0.22), (0.012, 0.016, 0.12))  # the aqueduct


def draw_fluid(plane: Plane, look: Look) -> None:
    """Ventricles with their plexus, and what looks like a tumour in FLAIR: rims, small lesions."""
    for x, y, z, radius in look.lesions:
        plane.spot("lesion", (x, y, z), (radius, radius, 1.2 * radius), 0.03, mirror=False)
    if plane.z < 0.45:  # the ventricles end below
        draw_ventricles(plane, look)


def draw_ventricles(plane: Plane, look: Look) -> None:
    """The ventricles, the bright rims at their ends, and the plexus in them."""
    x = plane.x
    y = plane.y
    z = plane.z
    ends = soft(np.abs(y) - 0.2, 0.15)
    rims = ends * soft(lateral_ventricles(x, y, z, look.ventricles) + 0.035, 0.04)
    plane.paint(look.rims * rims * (plane.cerebrum > 0.05), "rim")
    level = ventricles(x, y, z, look.ventricles)
    plane.paint(soft(level), "fluid")
    here = plane.window((-0.25, 0.15), (0.25, 0.45))
    plexus = ball(plane.side[here], y[here], z, (0.14, 0.29, 0.08), (0.05, 0.08, 0.12))
    plane.paint(soft(np.minimum(plexus, level[here] + 0.004)), "plexus", here)


def draw_vessels(plane: Plane) -> None:
    """Arteries and veins.

    Blood flows, so they are dark until contrast medium makes them the brightest of all.
    """
    plane.spot("vessel", (0.13, -0.24, -0.46), (0.032, 0.032, 0.2))  # the carotid arteries
    plane.spot("vessel", (0.0, -0.12, -0.42), (0.024, 0.022, 0.22))  # the basilar artery
    plane.spot("vessel", (0.016, -0.4, 0.0), (0.014, 0.02, 0.18))  # anterior cerebral arteries
    plane.spot("vessel", (0.0, 0.31, 0.0), (0.018, 0.05, 0.07))  # the great vein
    plane.spot("vessel", (0.53, 0.32, -0.55), (0.05, 0.06, 0.16))  # the sigmoid sinuses
    if abs(plane.z + 0.2) < 0.06:
        draw_middle_arteries(plane)
    if abs(plane.z + 0.37) < 0.08:  # the transverse sinuses, the right one wider
        width = np.where(plane.x > 0, 0.014, 0.024)
        level = np.minimum(width - np.abs(plane.cerebellum + 0.03), 0.2 * (plane.y - 0.35))
        plane.paint(soft(level), "vessel")
    front = -1.1
    if plane.z < 0:
        front = 0.35
    here = plane.window((-0.08, front), (0.08, 1.1))
    wall = 0.012 + 0.03 * soft(plane.y[here], 1.0)  # the sinus along the falx widens to the back
    plane.paint(soft(wall - np.hypot(plane.x[here], plane.brain[here] + 0.01)), "vessel", here)


def draw_middle_arteries(plane: Plane) -> None:
    """The middle cerebral arteries, which run outwards."""
    here = plane.window((-0.42, -0.35), (0.42, 0))
    side = plane.side[here]
    texture = plane.texture[here]
    course = 0.008 - np.abs(plane.y[here] + 0.2 - 0.3 * (side - 0.1) + 0.025 * texture)
    course = np.minimum(course, np.minimum(side - 0.08, 0.38 - side))
    plane.paint(soft(course) * soft(plane.vein[here] + 0.5, 1), "vessel", here)


def draw_tumour(plane: Plane, look: Look) -> None:
    """Bright in FLAIR, dark before contrast; after it, some light up in patches or in a rim."""
    level = plane.tumour
    texture = plane.texture
    t1 = 0.39 - 0.03 * look.contrast
    flair = 0.42 * look.contrast * (1 + 0.07 * texture)
    weight = 0.88 * soft(level, look.softness)  # the tissue that it invades shines through
    for sequence, value in zip(plane.image, (t1, flair, t1 + 0.01), strict=True):
        sequence += weight * (value - sequence)
    if look.rim:
        where = 1 - soft(level - look.enhancing - 0.03, 0.02)
    else:
        where = soft(texture - 0.6, 0.4)
    enhancing = soft(level - look.enhancing, 0.02) * where
    plane.image[2] += enhancing * (0.9 - plane.image[2])
