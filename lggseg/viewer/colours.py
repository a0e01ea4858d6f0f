"""Okabe and Ito's colours, told apart by colour-blind readers too, and who wears which. Plain values, no matplotlib."""

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = OKABE_ITO = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
TRUTH, PREDICTION = GREEN, VERMILION  # the manual mask's, and the network's


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, each 0..255, of a colour "#RRGGBB".

    >>> rgb(TRUTH)
    (0, 158, 115)
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
