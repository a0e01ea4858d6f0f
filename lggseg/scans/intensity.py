"""From any range of intensities to bytes: black for air and padding, white for the brightest of
what is shown.
"""

import numpy as np

# Percentile of the foreground from which on everything is white, as in the data set.
SATURATED = 99.5


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Intensities (D,H,W) of one sequence, in any real type, as uint8 (D,H,W); bytes stay as they
    are.

    Linear between the level of air and the 99.5th percentile of the foreground, both over all
    slices: a single voxel, however bright or dark, changes nothing. What holds no picture (NaN,
    infinity, a constant padding, the constant around a stripped brain) is black. Where there is
    nothing but a constant, all is black.

    >>> to_bytes(np.array([[[0, 0, 0, 0], [0, 500, 1000, 0], [0, 0, 0, 0]]]))[0, 1].tolist()
    [0, 128, 255, 0]
    """
    if values.dtype == np.uint8:
        return values
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    shown, around = foreground_mask(values)
    if not shown.any():
        return np.zeros(values.shape, np.uint8)
    black, white = levels(values[shown], around)
    scaled = (np.where(shown, values, black) - black) / (white - black)
    return np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)


def foreground_mask(values: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Where float (D,H,W) shows something, bool, and the constant around it, if there is one.

    What is shown is finite, and neither that constant nor a padding below it.
    """
    shown = np.isfinite(values)
    faces = [values.take(end, axis) for axis in range(3) for end in (0, -1)]
    rim, counts = np.unique(np.concatenate([face.ravel() for face in faces]), return_counts=True)
    around = float(rim[counts.argmax()]) if 2 * counts.max() >= counts.sum() else None
    if around is not None:
        shown &= values != around
    for _ in range(2):  # air that was masked, and a padding below it
        if (padding := lowest_plateau(values[shown])) is not None:
            shown &= values != padding
    return shown, around


def lowest_plateau(values: np.ndarray) -> float | None:
    """The lowest of values (n,), if it is a padding; else None.

    One value in a thousand holds it and a gap parts it from the rest, or it is negative and one in
    a hundred holds it.
    """
    if not values.size:
        return None
    lowest = values.min()
    rest = values[values > lowest]
    share = 1 - rest.size / values.size
    if not rest.size or share < 0.001:
        return None
    low, high = np.percentile(rest, (0.1, SATURATED))
    if low - lowest > 0.1 * (high - low) or (lowest < 0 and share >= 0.01):
        return float(lowest)
    return None


def levels(values: np.ndarray, around: float | None) -> tuple[float, float]:
    """The levels that become black and white, for all values (n,) of a picture and the constant
    around it.

    Air is black: that constant, or 0 where magnitudes start, unless even the darkest values are far
    above it. Where many values lie below 0 (the scan was standardised) black is the darkest of
    them.
    """
    darkest, high = np.percentile(values, (0.5, SATURATED))
    air = around if around is not None and around >= 0 else 0.0
    black = darkest
    if np.mean(values < air) < 0.1:
        black = air if darkest - air < 0.5 * (high - air) else darkest
    foreground = values[values > black + 0.1 * (high - black)]
    white = np.percentile(foreground, SATURATED) if foreground.size else high
    return (float(black), float(white)) if white > black else (float(white) - 1, float(white))
