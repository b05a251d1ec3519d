"""The paper's claims with their verdicts for the data at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.figures.plots import common
from prismflow.figures.tables.render import NOT_AVAILABLE, Block, Sheet, count, interval, number

NEEDS = ("claims",)
_COLUMNS = (
    "Test", "Cell", "Effect [95 % interval]", "Relative", "Supported if", "Verdict", "Seeds",
    "Genes", "See",
)  # fmt: skip


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """The claims as :mod:`prismflow.evaluation.claims` judged them."""
    return common.require(data, "claims", experiment)


def sheet(
    table: pd.DataFrame,
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
    errors: pd.DataFrame | None = None,
) -> Sheet:
    """All verdicts, then a block per claim with the paper's figure in the heading, a line per test.

    Args:
        table: columns of :data:`prismflow.evaluation.claims.COLUMNS`.
        experiment: ``margin`` and ``level`` of the claims file.
        context: ``target_label``.
        errors: rates of false verdicts: ``claim_id``, ``world``, ``supported``, ``false_below``.
    """
    blocks = [_summary(table)]
    for position, (_, rows) in enumerate(table.groupby("claim_id", sort=False), start=1):
        records = rows.to_dict("records")
        first = records[0]
        heading = (
            f"{position}. {first['claim']}: {first['verdict']} ({first['data']}). "
            f"Paper, {first['paper']}: {first['published']} [{first['source']}]."
        )
        bold = frozenset((i, 5) for i in range(len(records)))
        blocks.append(Block(heading, tuple(_line(row, context) for row in records), bold))
    columns = tuple(
        name.replace("95", f"{float(experiment['level']) * 100:g}") for name in _COLUMNS
    )
    return Sheet(
        columns=columns,
        align="llrrrlrrl",
        blocks=tuple(blocks),
        caption="What the paper claims, and what the runs at hand say",
        notes=(*_notes(table, experiment, context), *_rates(table, errors)),
    )


def _summary(table: pd.DataFrame) -> Block:
    """One line per claim: how its tests came out, and its verdict."""
    lines = []
    for position, (_, rows) in enumerate(table.groupby("claim_id", sort=False), start=1):
        first = rows.iloc[0]
        counts = rows["test_verdict"].value_counts(sort=False)
        made = rows[rows["n_seeds"].notna()]
        lines.append(
            (
                f"{position}. {first['claim']}",
                ", ".join(dict.fromkeys(made["cell"].dropna())) or NOT_AVAILABLE,
                ", ".join(f"{number_of} {name}" for name, number_of in counts.items()),
                NOT_AVAILABLE,
                NOT_AVAILABLE,
                str(first["verdict"]),
                count(made["n_seeds"].min()),
                count(made["n_genes"].min()),
                f"paper, {first['paper']}",
            )
        )
    bold = frozenset((i, 5) for i in range(len(lines)))
    return Block(f"Verdicts. Data: {table['data'].iloc[0]}", tuple(lines), bold)


def _line(row: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[str, ...]:
    why = "" if pd.isna(row["why"]) or not row["why"] else f" ({row['why']})"
    verdict = f"{row['test_verdict']}{why}"
    if pd.isna(row["effect"]):
        blank = (NOT_AVAILABLE,) * 4
        return (row["test"], *blank, verdict, NOT_AVAILABLE, NOT_AVAILABLE, row["evidence"])
    if row["metric"] == "parameters":
        effect, bound = f"{row['effect']:+,.0f}", f"{row['bound']:,.0f}"
    else:
        effect, bound = interval(row["effect"], row["low"], row["high"]), number(row["bound"])
    cell = NOT_AVAILABLE if pd.isna(row["cell"]) else common.cell_label(row["cell"], context)
    return (
        row["test"],
        cell,
        effect,
        f"{100 * row['relative']:+.1f} %".replace("-", "−"),
        f"{row['holds']} {bound}",
        verdict,
        count(row["n_seeds"]),
        count(row["n_genes"]),
        row["evidence"],
    )


def _rates(table: pd.DataFrame, errors: pd.DataFrame | None) -> list[str]:
    """How often the rule of each claim errs, by the claim's number in the table."""
    if errors is None:
        return []
    shown = []
    for position, name in enumerate(dict.fromkeys(table["claim_id"]), start=1):
        rows = errors[errors["claim_id"] == name]
        if len(rows):
            found = 100 * rows.loc[rows["world"] == "true", "supported"]
            shown.append(
                f"{position}: below {100 * rows['false_below'].max():.1f} %, "
                f"{found.min():.0f} to {found.max():.0f} %"
            )
    return [
        "How often the rule of each claim errs in simulated studies (with 95 % "
        "confidence, the worst world), and how often it says supported where the claim is clearly "
        f"true: {'; '.join(shown)} (docs/statistics.md)."
    ]


def _blocks(table: pd.DataFrame) -> str:
    """How far genes are from independent samples."""
    text = (
        "Genes with one TSS, neighbouring windows or nearly the same sequence are one block in the "
        "bootstrap."
    )
    made = table[table["design_effect"].notna()]
    if made.empty:
        return text
    return (
        f"{text} At least {count(made['n_blocks'].min())} blocks; they change the variance over "
        f"genes by factors of {made['design_effect'].min():.2f} to "
        f"{made['design_effect'].max():.2f} (design effect)."
    )


def _notes(
    table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> list[str]:
    target = str(context.get("target_label") or "the expression label")
    notes = [
        f"Effects are differences in the MSE of {target} on the test genes, with intervals over "
        "seeds and genes (hierarchical bootstrap); relative: to the first model subtracted.",
        "Supported: the whole interval lies on the claimed side of the bound. Contradicted: the "
        "whole interval lies on its other side. Undecided: the bound lies inside. Fewer than three "
        "seeds decide nothing. A claim is supported if all of its tests are (or any, where "
        "config/claims.yaml says so), and contradicted if one of k is at the level corrected for k "
        "chances; in part: what was not tested could still contradict it. "
        f"Bounds other than zero are the equivalence margin, {100 * experiment['margin']:g} % of "
        "the MSE of the first model subtracted, stated in config/claims.yaml.",
        _blocks(table),
        "Published figures are quoted; none of them enters an effect or a verdict, except the "
        "number of parameters that the count is held against.",
    ]
    if (table["metric"] == "mse over worlds").any():
        notes.append(
            "Effects over simulated worlds, named in brackets: paired by world, t-interval over "
            "worlds, which are counted in the column of seeds; each has its own genome, test genes "
            "and training."
        )
    if context.get("simulated"):
        notes.append(
            "The data are simulated from known causes: a verdict here says whether a claim holds "
            "in that simulation, nothing about human cells."
        )
    return notes
