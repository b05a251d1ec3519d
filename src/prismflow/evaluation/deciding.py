"""What would decide each claim, stated before anything is trained: seeds, genes and hours.

A claim counts as decided where a true effect one margin away from the bound, in every one of its
tests, is found in all of them with 80 % probability. The spread over seeds and of a gene's
difference are assumptions of the claims file, because nothing has been trained yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.evaluation.price import Estimate
from prismflow.files import read_tsv
from prismflow.statistics.paired import Components
from prismflow.statistics.power import (
    POWER,
    enough_of_both,
    genes_needed,
    seeds_needed,
    smallest_difference,
)
from prismflow.statistics.verdicts import FEWEST_SEEDS

COLUMNS = (
    "claim", "tests", "seeds", "genes", "hours", "smallest_margin", "margin", "seeds_needed",
    "genes_needed", "both_needed", "hours_needed",
)  # fmt: skip


def count_test_genes(splits: Path, n_genes: int, share: float) -> int:
    """Test genes of the smallest fold; before there are splits, a share of all genes."""
    if not splits.is_file():
        return max(2, round(share * n_genes))
    table = read_tsv(splits, dtype=str).drop(columns="gene_id")
    return max(2, int((table == "test").sum().min()))


def deciding_table(
    claims: Sequence[Mapping[str, Any]],
    content: Mapping[str, Any],
    n_genes: int,
    estimates: Mapping[tuple[str, str, str], Estimate],
) -> pd.DataFrame:
    """One row per claim.

    Args:
        claims: of :func:`prismflow.plan.claims_request.claims_request`.
        content: ``margin``, ``level`` and ``planning`` of the claims file.
        n_genes: test genes of a fold.
        estimates: by cell, model and run.

    Returns:
        Columns :data:`COLUMNS`. ``smallest_margin`` is what the planned seeds and genes can decide,
        as a share of the MSE; ``seeds_needed`` and ``genes_needed`` decide at ``margin``, the other
        one kept as planned (infinite where no number does), ``both_needed`` raises the two
        together. ``hours`` are those of all planned runs of the claim, done or not;
        ``hours_needed`` grow with the seeds of ``both_needed``.
    """
    rows = [_row(claim, content, n_genes, estimates) for claim in claims]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(
    claim: Mapping[str, Any],
    content: Mapping[str, Any],
    n_genes: int,
    estimates: Mapping[tuple[str, str, str], Estimate],
) -> dict[str, Any]:
    margin, alpha = float(content["margin"]), 1 - float(content["level"])
    hours = sum(estimates[cell, model, run].hours for cell, model, run in claim["runs"])
    row = {"claim": claim["claim"], "tests": len(claim["readings"]), "seeds": claim["seeds"] or 0,
           "genes": n_genes, "hours": hours, "margin": margin}  # fmt: skip
    if not claim["readings"]:
        return row
    # All tests have to be decided together.
    power = 1 - (1 - POWER) / len(claim["readings"])
    worlds = bool(claim.get("worlds"))
    components = _over_worlds if worlds else _components
    noise = [components(weights, content["planning"], n_genes) for weights in claim["readings"]]
    seeds = int(claim["seeds"])
    both = [enough_of_both(margin, own, n_genes, alpha, power) for own in noise]
    together = (max(n for n, _ in both), max(n for _, n in both))
    words = f"{together[0]} seeds, {together[1]:,} genes"
    return {
        **row,
        "smallest_margin": max(
            smallest_difference(own, seeds, n_genes, alpha, power)
            if seeds >= FEWEST_SEEDS
            else math.inf
            for own in noise
        ),
        "seeds_needed": max(
            FEWEST_SEEDS, *(seeds_needed(margin, own, n_genes, alpha, power) for own in noise)
        ),
        "genes_needed": max(
            genes_needed(margin, own, max(seeds, FEWEST_SEEDS), n_genes, alpha, power)
            for own in noise
        ),
        "both_needed": "" if worlds else words,
        "hours_needed": hours * together[0] / seeds,
    }


def _components(weights: Sequence[float], planning: Mapping[str, Any], n_genes: int) -> Components:
    """Variance of a contrast, in units of the squared MSE; models vary independently."""
    total = sum(weight**2 for weight in weights)
    seed = total * float(planning["seed_sd"]) ** 2
    return Components(seed, total / 2 * float(planning["gene_sd"]) ** 2 / n_genes, 0.0)


def _over_worlds(weights: Sequence[float], planning: Mapping[str, Any], n_genes: int) -> Components:
    """The same of a contrast over simulated worlds: each has its own genes, so none are shared."""
    total = sum(weight**2 for weight in weights)
    return Components(total / 2 * float(planning["world_sd"]) ** 2, 0.0, 0.0)


def deciding_lines(table: pd.DataFrame, planning: Mapping[str, Any]) -> list[str]:
    """The table as Markdown, with what it takes for granted."""
    lines = [
        "",
        "What would decide each claim at its margin (found in all of its tests with 80 % "
        "probability if the truth lies one margin beyond the bound). Assumed before any training: "
        f"sd over seeds {100 * planning['seed_sd']:g} % of the MSE, sd of a gene's difference "
        f"{planning['gene_sd']:g} MSE, over simulated worlds "
        f"{100 * planning['world_sd']:g} % of the MSE. "
        "`smallest margin`: what the planned seeds and genes decide. "
        "Seeds alone keep the planned genes, genes alone the planned seeds; fewer than three seeds "
        "decide nothing. Hours: of all runs of the claim, done or not.",
        "",
        "| claim | tests | seeds | genes | hours | smallest margin | margin | seeds alone | "
        "genes alone | or both | hours for both |",
        "|" + "---|" * 11,
    ]
    for row in table.to_dict("records"):
        if not row["tests"]:
            lines.append(f"| {row['claim']} | not among the planned experiments |" + " |" * 9)
            continue
        if not row["both_needed"]:
            lines.append(_line_over_worlds(row))
            continue
        shown = (
            row["claim"], row["tests"], row["seeds"], f"{row['genes']:,}", f"{row['hours']:,.2f}",
            _percent(row["smallest_margin"]), _percent(row["margin"]), _count(row["seeds_needed"]),
            _count(row["genes_needed"]), row["both_needed"], f"{row['hours_needed']:,.2f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, shown)) + " |")
    return lines


def _line_over_worlds(row: Mapping[str, Any]) -> str:
    """Worlds in the place of seeds; their genes and hours are those of the experiment."""
    shown = (
        row["claim"], row["tests"], f"{row['seeds']} worlds", "–", "–",
        _percent(row["smallest_margin"]), _percent(row["margin"]),
        f"{_count(row['seeds_needed'])} worlds", "–", "–", "–",
    )  # fmt: skip
    return "| " + " | ".join(map(str, shown)) + " |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if math.isfinite(share) else "none"


def _count(number: float) -> str:
    return f"{number:,.0f}" if math.isfinite(number) else "none"
