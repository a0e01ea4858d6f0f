"""Learn an expected Dice from rough scans, and judge it by patients it did not learn from.

TABLE is the folder that `experiments.robustness` wrote, with all members together as a judge. A
model is fitted for "several" members, and one for "one", by the members alone, which cannot
disagree. Of each patient half the weight lies on the scan as it is. Everything is reported by
patients in ten groups, each judged by a model fitted on the others:

- Spearman's correlation of expected and true Dice
- area under the curve: does a low expected Dice find the masks with Dice below 0.7?
- coverage: how often the true Dice lies in the 80 % interval, and how wide that is
- warnings: how many failures (Dice below 0.5) have one, and how many good masks (above 0.8); which
  kinds of alarm are given where

And, from the stored maps: are voxels of probability 0.8 tumour in 80 % of cases? Expected
calibration error of the scans as they are, before and after all logits are divided by one
temperature, which is likewise fitted on the others.

With --publish the tables go into the package: the model's trust_signs and trust_levels, and
trust_patients, trust_figures, trust_warnings, reliability and outlines, of which notebooks speak.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.stats import mannwhitneyu, spearmanr
from tqdm.auto import tqdm

from lggseg import Cohort, LggError, fold_patients, open_cohort
from lggseg.measures.trust import FAR, ONE, SEVERAL, TrustModel, alarms, scaled
from lggseg.prepare.scanner import HARSH_CHANGES

from .command import command, execute
from .conformal import outlines
from .maps import read_maps, to_bytes
from .release import ROOT
from .robustness import CLEAN, TOGETHER, Judges, read_settings, read_table
from .tables import write_csv

SIGNS = {
    SEVERAL: ("agreement", "confidence", "volume", "largest", "continuity", "brightness"),
    ONE: ("confidence", "volume", "largest", "continuity", "brightness"),
}
RIDGE = 0.05  # of the weights' squares, beside a mean squared error of standardised values
WITHIN = (0.05, 0.97)  # Dice beyond these is taken as these before log odds are taken
GROUPS = 10
NEAR = 0.12  # width of the window of ranks over which quantiles are taken
STEPS = 15  # rows of the table of levels
FAILED = 0.7
POOR = 0.5
GOOD = 0.8
POSSIBLE = 3  # byte of a probability of about 0.01: nearly all voxels of a scan are below it
LEVEL = 0.8  # of the interval
ODD_HEAD = "implausible head"  # kind of alarm, beside those of `lggseg.measures.trust.alarms`
BYTES = np.arange(256) / 255


def design(rows: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """Signs on the scale on which they are summed: float (rows, signs)."""
    return np.array([[scaled(name, value) for value in rows[name]] for name in names]).T


def weights_of(rows: pd.DataFrame) -> np.ndarray:
    """Half of each patient's weight on the scan as it is, the rest on its changes; 1 in all."""
    clean = (rows.change == CLEAN).rename("clean")
    weight = 0.5 / rows.groupby([rows.patient, clean]).change.transform("size")
    return (weight / weight.sum()).to_numpy()


def fit(rows: pd.DataFrame, names: tuple[str, ...]) -> TrustModel:
    """The model of these rows: ridge regression of the log odds of Dice, then the table of levels.

    Rows with an empty mask say nothing and are left out.

    Raises
    ------
    LggError
        where no other row is left
    """
    rows = rows[rows.volume > 0]
    if rows.empty:
        raise LggError(
            "every mask of the table is empty, so there is nothing to learn an expected Dice from; "
            "judge networks that find tumours"
        )
    values = design(rows, names)
    weight = weights_of(rows)
    target = rows.dice.clip(*WITHIN)
    target = np.log(target / (1 - target)).to_numpy()
    known = np.where(np.isnan(values), 0, weight[:, None])
    filled = np.nan_to_num(values)
    mean = (known * filled).sum(axis=0) / known.sum(axis=0)
    sd = np.sqrt((known * (filled - mean) ** 2).sum(axis=0) / known.sum(axis=0)).clip(min=1e-3)
    standard = np.nan_to_num((values - mean) / sd).clip(-FAR, FAR)
    standard = np.column_stack([standard, np.ones(len(rows))])
    penalty = RIDGE * np.diag([1.0] * len(names) + [0.0])
    solution = np.linalg.solve(
        (standard.T * weight) @ standard + penalty, (standard.T * weight) @ target
    )
    table = pd.DataFrame(
        {"mean": [*mean, 0.0], "sd": [*sd, 1.0], "weight": solution}, index=[*names, "constant"]
    )
    return TrustModel(table, levels(standard @ solution, rows.dice.to_numpy(), weight))


def levels(score: np.ndarray, dice: np.ndarray, weight: np.ndarray) -> pd.DataFrame:
    """Mean and quantiles of Dice among the rows of about the same rank by score.

    None of them falls from row to row.
    """
    order = np.argsort(score)
    score, dice, weight = score[order], dice[order], weight[order]
    rank = np.cumsum(weight) - weight / 2
    rows = []
    for place in np.linspace(NEAR / 4, 1 - NEAR / 4, STEPS):
        near = weight * np.exp(-0.5 * ((rank - place) / (NEAR / 2)) ** 2)
        rows.append(
            {
                "score": np.interp(place, rank, score),
                "expected_dice": np.average(dice, weights=near),
                "low": quantile(dice, near, (1 - LEVEL) / 2),
                "high": quantile(dice, near, (1 + LEVEL) / 2),
            }
        )
    return pd.DataFrame(rows).cummax()


def quantile(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    """Quantile of weighted values.

    >>> quantile(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), 0.5)
    2.0
    """
    order = np.argsort(values)
    reached = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][min(np.searchsorted(reached, share), len(values) - 1)])


def out_of_fold(rows: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """The rows with expected_dice, low, high, warned, by models that never saw the patient."""
    parts = []
    for patients in groups(rows):
        held_out = rows[rows.patient.isin(patients)]
        model = fit(rows[~rows.patient.isin(patients)], names)
        told = pd.DataFrame(
            [expected(model, dict(row)) for _, row in held_out.iterrows()], held_out.index
        )
        parts.append(pd.concat([held_out, told], axis=1))
    return pd.concat(parts).loc[rows.index]


def groups(rows: pd.DataFrame) -> list[list[str]]:
    """Patients in groups of about the same size, every hospital in proportion."""
    patients = sorted(rows.patient.unique())
    return fold_patients(patients, min(GROUPS, len(patients)))


def expected(model: TrustModel, row: dict) -> dict:
    """What would be said of one row.

    Returns
    -------
    dict
        expected_dice, low, high; alarms (their kinds, separated by semicolons) and warned, their
        number
    """
    values = (0.0, 0.0, 0.0)
    if row["volume"] > 0:
        values = model.expect(row)
    kinds = [*alarms(row, values[0])]
    if row["doubts"] > 0:
        kinds.append(ODD_HEAD)
    told = dict(zip(("expected_dice", "low", "high"), values, strict=True))
    return told | {"alarms": "; ".join(kinds), "warned": len(kinds)}


SCANS = {
    "as scanned": lambda rows: rows[rows.change == CLEAN],
    "changed": lambda rows: rows[~rows.change.isin([CLEAN, *HARSH_CHANGES])],
    "harshly changed": lambda rows: rows[rows.change.isin([*HARSH_CHANGES])],
    "all but harsh": lambda rows: rows[~rows.change.isin([*HARSH_CHANGES])],
}


def figures(rows: pd.DataFrame) -> dict:
    """How good expected Dice, interval and warnings are on these rows.

    NaN where there is nothing to compare.
    """
    failed = rows.dice < FAILED
    within = rows.dice.between(rows.low, rows.high)
    both = failed.any() and not failed.all()
    return {
        "scans": len(rows),
        "spearman": spearmanr(rows.expected_dice, rows.dice).statistic,
        "failures": int(failed.sum()),
        "auroc": area(-rows.expected_dice[failed], -rows.expected_dice[~failed])
        if both
        else np.nan,
        "coverage": within.mean(),
        "width": (rows.high - rows.low).mean(),
        "poor": int((rows.dice < POOR).sum()),
        "poor_warned": int((rows.warned[rows.dice < POOR] > 0).sum()),
        "good": int((rows.dice > GOOD).sum()),
        "good_warned": int((rows.warned[rows.dice > GOOD] > 0).sum()),
    }


def warning_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How many scans had which alarm, by true Dice.

    Returns
    -------
    DataFrame
        one row per `alarm`, then any and none; columns `failed` (Dice below 0.5), `between`, and
        `fair` (from 0.7)
    """
    bounds = [-1, np.nextafter(POOR, 0), np.nextafter(FAILED, 0), 1]
    outcome = pd.cut(rows.dice, bounds, labels=["failed", "between", "fair"])
    given = rows.alarms.str.split("; ")
    kinds = sorted({kind for kinds in given for kind in kinds if kind})
    counts = {}
    for kind in kinds:
        has = [kind in kinds for kinds in given]
        counts[kind] = outcome[has].value_counts(sort=False)
    counts["any"] = outcome[rows.alarms != ""].value_counts(sort=False)
    counts["none"] = outcome[rows.alarms == ""].value_counts(sort=False)
    table = pd.DataFrame.from_dict(counts, orient="index", columns=["failed", "between", "fair"])
    return table.rename_axis("alarm").reset_index()


def area(positive: pd.Series, negative: pd.Series) -> float:
    """Chance that a positive is greater than a negative, ties counting half."""
    return float(mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative)))


def rows_of(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The rows that a model for "several" members or for "one" learns from."""
    alone = table.judge != TOGETHER
    if kind == SEVERAL:
        return table[~alone & table.agreement.notna()]
    return table[alone if alone.any() else ~alone]


def histograms(cohort: Cohort, table: Path) -> pd.DataFrame:
    """Voxels of each scan as it is by probability.

    One row per patient and byte, columns voxels and tumour.
    """
    judges = Judges([Path(source) for source in read_settings(table)["sources"]])
    parts = []
    for patient in tqdm(sorted(read_table(table).patient.unique()), "reliability"):
        volume = cohort.volume(patient)
        paths = judges.files(patient, table / "maps")
        members = np.concatenate([clean_maps(path) for path in paths])
        stored = to_bytes(members.mean(axis=0))
        truth = np.asarray(volume.mask)
        voxels = np.bincount(stored.ravel(), minlength=256)
        tumour = np.bincount(stored[truth], minlength=256)
        parts.append(
            pd.DataFrame(
                {"patient": patient, "byte": range(256), "voxels": voxels, "tumour": tumour}
            )
        )
    return pd.concat(parts, ignore_index=True)


def clean_maps(path: Path) -> np.ndarray:
    """The members' maps of the scan as it is, float32 (members, slices, height, width)."""
    return next(maps for name, maps in read_maps(path) if name == CLEAN)


def pooled(counts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and tumour per byte from POSSIBLE up, each patient weighing the same.

    Both are float (256 - POSSIBLE,).
    """
    counts = counts[counts.byte >= POSSIBLE]
    total = counts.groupby("patient").voxels.transform("sum").clip(lower=1)
    shares = counts[["voxels", "tumour"]].div(total, axis=0).groupby(counts.byte).sum()
    return shares.voxels.to_numpy(), shares.tumour.to_numpy()


def temper(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities whose logits are divided by a temperature: above 1 less sure, below 1 surer.

    >>> temper(np.array([0.5, 0.9]), 2).round(2)
    array([0.5 , 0.75])
    """
    logit = np.log(probability / (1 - probability))
    return 1 / (1 + np.exp(-logit / temperature))


def best_temperature(counts: pd.DataFrame) -> float:
    """The temperature at which the voxels' likelihood is greatest."""
    voxels, tumour = pooled(counts)
    probability = BYTES[POSSIBLE:].clip(1 / 510, 1 - 1 / 510)

    def loss(logarithm: float) -> float:
        p = temper(probability, np.exp(logarithm))
        return -(tumour * np.log(p) + (voxels - tumour) * np.log(1 - p)).sum()

    return float(np.exp(minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded").x))


def reliability(counts: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Ten bins of probability before and after the temperature, and that of all patients.

    Columns: `scale` ("before" or "after"), `probability` (mean in the bin), `tumour` (the fraction
    that is), `voxels` (the bin's share of all).
    """
    kept = BYTES[POSSIBLE:].clip(1 / 510, 1 - 1 / 510)
    parts = []
    for patients in groups(counts):
        mine = counts.patient.isin(patients)
        voxels, tumour = pooled(counts[mine])
        after = temper(kept, best_temperature(counts[~mine]))
        parts.append(
            pd.DataFrame({"before": kept, "after": after, "voxels": voxels, "tumour": tumour})
        )
    everything = pd.concat(parts)
    tables = []
    for scale in ("before", "after"):
        bins = np.minimum((everything[scale] * 10).astype(int), 9)
        weighted = everything.assign(mass=everything[scale] * everything.voxels).groupby(bins)
        sums = weighted[["mass", "voxels", "tumour"]].sum()
        tables.append(
            pd.DataFrame(
                {
                    "scale": scale,
                    "probability": sums.mass / sums.voxels,
                    "tumour": sums.tumour / sums.voxels,
                    "voxels": sums.voxels / sums.voxels.sum(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True), best_temperature(counts)


def calibration_error(table: pd.DataFrame) -> pd.Series:
    """Expected calibration error per scale.

    It is the mean distance of probability and tumour, by the bins' share of voxels.
    """
    distance = (table.probability - table.tumour).abs() * table.voxels
    return distance.groupby(table.scale, sort=False).sum()


def published_tables(
    found: dict[str, pd.DataFrame], models: dict[str, TrustModel]
) -> dict[str, pd.DataFrame]:
    """What --publish writes, by name, except for the reliability."""
    weights = [
        model.weights.rename_axis("sign").reset_index().assign(members=kind)
        for kind, model in models.items()
    ]
    steps = [model.levels.assign(members=kind) for kind, model in models.items()]
    columns = ["patient", "change", "dice", "expected_dice", "low", "high", "warned", "alarms"]
    several = found.get(SEVERAL, found[ONE])
    return {
        "trust_signs": pd.concat(weights)[["members", "sign", "mean", "sd", "weight"]].round(5),
        "trust_levels": pd.concat(steps)[
            ["members", "score", "expected_dice", "low", "high"]
        ].round(4),
        "trust_patients": several[[*columns, "soft_dice", *SIGNS[SEVERAL]]].round(4),
        "trust_figures": figures_table(found).round(4),
        "trust_warnings": warnings_by_scan(several),
    }


def figures_table(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per model and kind of scan."""
    rows = []
    for kind, table in found.items():
        for name, chosen in SCANS.items():
            rows.append({"members": kind, "scan": name, **figures(chosen(table))})
    return pd.DataFrame(rows)


def warnings_by_scan(rows: pd.DataFrame) -> pd.DataFrame:
    """`warning_table` for each kind of scan, the kind in the column `scan`."""
    tables = [warning_table(chosen(rows)).assign(scan=name) for name, chosen in SCANS.items()]
    return pd.concat(tables)[["scan", "alarm", "failed", "between", "fair"]]


def report(
    found: dict[str, pd.DataFrame], calibration: pd.DataFrame, temperature: float
) -> Iterator[str]:
    """What is printed."""
    yield figures_table(found).round(3).to_string(index=False)
    yield warnings_by_scan(found.get(SEVERAL, found[ONE])).to_string(index=False)
    yield calibration.round(3).to_string(index=False)
    error = calibration_error(calibration)
    yield (
        f"Expected calibration error {error['before']:.3f}, and {error['after']:.3f} after a "
        f"temperature fitted on other patients ({temperature:.2f} on all)"
    )


def options() -> argparse.ArgumentParser:
    parser = command("trust", __doc__)
    parser.add_argument(
        "table", type=Path, metavar="TABLE", help="folder that `experiments.robustness` wrote"
    )
    parser.add_argument(
        "--publish", action="store_true", help="write the package's published tables"
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, metavar="DIR", help="the project, for --publish"
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    table = read_table(chosen.table)
    found = {}
    models = {}
    for kind, names in SIGNS.items():
        rows = rows_of(table, kind)
        if len(rows):
            models[kind] = fit(rows, names)
            found[kind] = out_of_fold(rows, names)
    counts = histograms(open_cohort(chosen.data), chosen.table)
    calibration, temperature = reliability(counts)
    for text in report(found, calibration, temperature):
        print(text, end="\n\n")
    if chosen.publish:
        tables = published_tables(found, models) | {
            "reliability": calibration.round(5),
            "outlines": outlines(counts, groups(counts)).round(5),
        }
        for name, content in tables.items():
            write_csv(content, chosen.root / "lggseg" / "published" / f"{name}.csv")


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
