"""What is not brain: scalp, skull, muscles, nose and orbits."""

import numpy as np

from .anatomy import outline
from .patient import Look
from .tissue import Plane, soft


def draw_skull(plane: Plane, look: Look) -> None:
    """Scalp and skull, and what lies around them.

    A slice is thick, so borders are hazy where the head slopes, towards the top.
    """
    edge = 0.012 + 0.05 * max(0, plane.z) ** 3
    level = outline(plane.x, plane.y, plane.z) + 0.7 * (plane.scalp - 0.05)  # grows outwards
    bone = np.maximum(level - plane.scalp, np.minimum(plane.brain + 0.04, level - 0.02))
    outside_brain = -0.025 - plane.brain
    in_scalp = 0.008 - np.abs(level - 0.6 * plane.scalp)
    plane.paint(soft(level, edge), "skin")
    plane.paint(soft(level - 0.014, edge), "fat")
    plane.paint(soft(in_scalp) * soft(plane.vein - 1.6, 0.5), "vessel")
    plane.paint(soft(bone, edge), "bone")
    plane.paint(look.diploe * soft(np.minimum(bone, outside_brain) - 0.016, 0.02), "marrow")
    if plane.z < 0.2:
        draw_muscles(plane, np.minimum(bone, outside_brain - 0.045))
    if plane.z < -0.15:
        draw_base(plane)
        draw_nose(plane)
        draw_orbits(plane, level)


def draw_muscles(plane: Plane, level: np.ndarray) -> None:
    """Muscles of the temples, and below them those of jaw and neck, with fat between them."""
    low = np.clip((-0.15 - plane.z) / 0.2, 0, 1)
    low = low * soft(plane.y + 0.65 + max(0, -0.3 - plane.z), 0.2)
    temple = np.clip((0.2 - plane.z) / 0.2, 0, 1) * soft(0.3 - np.abs(plane.y + 0.3), 0.1)
    plane.paint(soft(level + 0.015 * temple) * np.maximum(low, temple), "muscle")
    if plane.z < -0.15:
        between = soft(0.1 - np.abs(plane.texture), 0.15)
        plane.paint(0.7 * low * soft(level - 0.01) * between, "fat")


def draw_base(plane: Plane) -> None:
    """The base of the skull: the clivus, beside it petrous and mastoid bone, and the jaw joints."""
    plane.spot("bone", (0.36, 0.08, -0.6), (0.28, 0.12, 0.14), 0.03)
    plane.spot("bone", (0.64, 0.2, -0.58), (0.11, 0.18, 0.22), 0.03)
    plane.spot("bone", (0.0, -0.14, -0.6), (0.15, 0.12, 0.16), 0.03)
    plane.spot("marrow", (0.0, -0.16, -0.6), (0.11, 0.07, 0.14), 0.03)
    plane.spot("bone", (0.56, -0.16, -0.68), (0.07, 0.06, 0.18))
    plane.spot("marrow", (0.56, -0.16, -0.68), (0.04, 0.03, 0.16))


def draw_nose(plane: Plane) -> None:
    """Air in nose and sinuses, between walls of mucosa: septum and turbinates."""
    here = plane.window((-0.5, -1.1), (0.5, -0.2))
    side = plane.side[here]
    y = plane.y[here]
    z = plane.z
    cavity = 0.1 - 0.03 * np.abs(y + 0.75) / 0.3 - side
    cavity = np.minimum(cavity, np.minimum(y + 0.98, -0.46 - y) * 0.5)
    cavity = np.minimum(cavity, -0.2 - z)
    plane.paint(soft(cavity), "air", here)
    walls = np.abs(np.sin(40 * side + 0.8 * np.sin(16 * y + 40 * z)))  # the first is the septum
    plane.paint(soft(cavity) * soft(0.4 - walls, 0.3), "mucosa", here)
    plane.spot("air", (0.28, -0.66, -0.72), (0.14, 0.2, 0.14))  # the maxillary sinuses
    plane.spot("mucosa", (0, -0.38, -0.58), (0.13, 0.13, 0.13))  # the sphenoid sinus
    plane.spot("air", (0, -0.38, -0.58), (0.11, 0.11, 0.11))


def draw_orbits(plane: Plane, head: np.ndarray) -> None:
    """Cones of fat with an eye in front, four muscles in a sheath around it, the nerve inside."""
    if abs(plane.z + 0.42) > 0.2:
        return
    here = plane.window((-0.7, -1.1), (0.7, -0.3))
    side = plane.side[here]
    y = plane.y[here]
    up = plane.z + 0.42
    # Along the orbit's axis, from the eye's centre to the apex 0.45 behind it, and across it.
    deep = 0.534 * (0.34 - side) + 0.846 * (y + 0.8)
    across = 0.846 * (side - 0.34) + 0.534 * (y + 0.8)
    around = np.hypot(across, up)
    cone = 0.165 - 0.3 * np.maximum(deep, 0) - around
    cone = np.minimum(cone, np.minimum(head[here] - 0.02, 0.45 - deep))
    plane.paint(soft(cone + 0.025), "bone", here)
    plane.paint(soft(cone), "fat", here)
    sheath = 0.016 - np.abs(around - 0.108 + 0.2 * deep)
    sheath = np.minimum(sheath, np.minimum(deep - 0.01, 0.42 - deep))
    plane.paint(soft(sheath), "muscle", here)
    nerve = 0.024 - np.hypot(across + 0.01 * np.sin(12 * deep), 0.35 * up)
    nerve = np.minimum(nerve, np.minimum(deep - 0.1, 0.5 - deep))
    plane.paint(soft(nerve), "nerve", here)
    plane.spot("sclera", (0.34, -0.8, -0.42), (0.125, 0.125, 0.135))
    plane.spot("vitreous", (0.34, -0.8, -0.42), (0.108, 0.108, 0.12))
    plane.spot("lens", (0.345, -0.885, -0.42), (0.045, 0.022, 0.05))
