"""The colours of all figures: those of Okabe and Ito, which colour-blind readers can tell apart."""

BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
OKABE_ITO = (BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE)

TRUTH = GREEN  # the manual mask
PREDICTION = VERMILION  # the network's mask


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour, each 0 to 255.

    Parameters
    ----------
    colour : str
        As "#RRGGBB".

    Examples
    --------
    >>> rgb(TRUTH)
    (0, 158, 115)
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
