"""Does the 2019 paper's finding hold for the shapes of out-of-fold masks? By the rule of notebook
07.

Predicted shapes come from the table that the release wrote, manual ones are measured from the
cohort's masks or read with --manual. Where the table has `bevr_raw`, BEVR before small pieces were
removed, the same is said of it. The outcome becomes lggseg/published/replication.csv, and is
stamped into lggseg/published/README.md.
"""

import argparse
from pathlib import Path

import pandas as pd

from lggseg import open_cohort
from lggseg.files import atomic_write
from lggseg.genomics import Replication, cohort_features, replication
from lggseg.genomics.__main__ import read_features

from .command import command, execute
from .release import ROOT, stamp


def table(found: Replication, uncleaned: Replication | None = None) -> pd.DataFrame:
    """Everything in one table: what, manual, predicted, low, high (the interval of `predicted`),
    uncleaned.

    `uncleaned` is the same by masks whose small pieces were not removed; only what rests on BEVR is
    told of them.
    """
    rows = measured(found)
    frame = pd.DataFrame(rows, columns=["what", "manual", "predicted", "low", "high"])
    if uncleaned is not None:
        values = pd.DataFrame(measured(uncleaned)).set_index("what").predicted
        about_bevr = values.index.str.contains("bevr") | values.index.str.contains("lead")
        frame["uncleaned"] = frame.what.map(values[about_bevr])
    return frame


def measured(found: Replication) -> list[dict]:
    """One row per number."""
    rows = []
    for name, row in found.agreement.iterrows():
        rows.append({"what": f"r of {name}", "predicted": row.r, "low": row.low, "high": row.high})
    area = found.area["predicted"]
    rows.append(
        {
            "what": "AUC of 1/bevr for R2",
            "manual": found.area["manual"].value,
            "predicted": area.value,
            "low": area.low,
            "high": area.high,
        }
    )
    rows.append(
        {
            "what": "lead over chance that is kept",
            "manual": 1.0,
            "predicted": found.kept.value,
            "low": found.kept.low,
            "high": found.kept.high,
        }
    )
    rows.append({"what": "draws with the same verdict", "predicted": found.kept.same_word})
    rows.append({"what": "p (Bonferroni) of bevr and RNASeqCluster", **found.bonferroni})
    for (feature, cluster), row in found.claims.iterrows():
        rows.append(
            {
                "what": f"p of {feature} and {cluster}, paper < {row.paper:g}",
                "manual": row.manual,
                "predicted": row.predicted,
            }
        )
    return rows


def without_cleaning(path: str, predicted: pd.DataFrame) -> pd.DataFrame | None:
    """The predicted shapes with BEVR as it was before small pieces were removed, if the table has
    it.
    """
    stored = pd.read_csv(path).set_index("patient")
    if "bevr_raw" not in stored:
        return None
    return predicted.assign(bevr=stored.bevr_raw[predicted.index].astype(float))


def report(found: Replication, patients: int) -> str:
    """The outcome in sentences."""
    agreement = ", ".join(
        f"{name.upper()} {row.r:.2f} ({row.low:.2f} to {row.high:.2f})"
        for name, row in found.agreement.iterrows()
    )
    manual = found.area["manual"]
    predicted = found.area["predicted"]
    return (
        f"{patients} patients, {patients - int(found.agreement.n['bevr'])} of them without a "
        f"predicted shape. Correlation r of predicted with manual shapes: {agreement}. The area "
        f"under the curve for R2 is {predicted.value:.2f} ({predicted.low:.2f} to "
        f"{predicted.high:.2f}), where the manual masks of the same patients give "
        f"{manual.value:.2f} ({manual.low:.2f} to {manual.high:.2f}). BEVR with RNASeq has p = "
        f"{found.claims.predicted['bevr', 'RNASeqCluster']:.2g} (manual: "
        f"{found.claims.manual['bevr', 'RNASeqCluster']:.2g}); after Bonferroni's correction "
        f"{found.bonferroni['predicted']:.2g} (manual: {found.bonferroni['manual']:.2g}). Of the "
        f"paper's {len(found.claims)} claims {found.claims.predicted_holds.sum()} hold at its own "
        f"bounds (manual: {found.claims.manual_holds.sum()}). Of the manual masks' lead over "
        f"chance {found.kept.value:.0%} is kept ({found.kept.low:.0%} to {found.kept.high:.0%}). "
        f"By the rule of notebook 07 the finding is **{found.verdict}**, in "
        f"{found.kept.same_word:.0%} of resampled cohorts, too."
    )


def options() -> argparse.ArgumentParser:
    parser = command("replicate", __doc__)
    parser.add_argument(
        "--features",
        default=str(ROOT / "lggseg" / "published" / "oof_features.csv"),
        metavar="CSV",
        help=(
            "predicted shapes: patient, asd, mf, bevr (default: lggseg/published/oof_features.csv)"
        ),
    )
    parser.add_argument(
        "--manual", metavar="CSV", help="manual shapes, the same columns; else measured"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=ROOT,
        metavar="DIR",
        help="the project, whose lggseg/published is filled",
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    cohort = open_cohort(chosen.data)
    predicted = read_features(chosen.features)
    manual = read_features(chosen.manual) if chosen.manual else cohort_features(cohort)
    manual = manual.loc[manual.index.isin(predicted.index)]
    found = replication(manual, predicted, cohort.clusters)
    raw = without_cleaning(chosen.features, predicted)
    uncleaned = None if raw is None else replication(manual, raw, cohort.clusters)
    page = chosen.root / "lggseg" / "published" / "README.md"
    text = report(found, len(predicted))
    stamped = stamp(page, "replication", text)  # before anything is written: it may fail
    with atomic_write(page.with_name("replication.csv")) as part:
        table(found, uncleaned).to_csv(part, index=False, float_format="%.6g")
    with atomic_write(page) as part:
        part.write_text(stamped, encoding="utf-8")
    print(text)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
