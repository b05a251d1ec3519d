"""Test metrics of every model with the published values beside them (paper, Table 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.errors import InputError
from prismflow.figures.plots import common
from prismflow.figures.tables.render import (
    Block,
    Sheet,
    columns_with_values,
    count,
    number,
    ordered,
    spread,
)
from prismflow.labels import METRIC_LABEL, model_label
from prismflow.statistics.seeds import METRIC_COLUMNS, over_seeds

NEEDS = ("metrics", "comparisons")
METRICS = ("mse", "mae", "pearson", "spearman", "r2")
ALPHA = 0.05
_WITHIN = {True: "(yes)", False: "(no)"}
PUBLISHED_METRICS = ("mse", "mae", "pearson")
PUBLISHED_COLUMNS = ("experiment", "cell", "model", "metric", "value", "sd", "source")


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per cell and model, numbers in separate columns.

    Args:
        data: ``metrics``, the long table; ``comparisons`` of the experiment, if it has any.
        experiment: ``id``; ``models``, ``cells``, ``scenario`` (default full);
            ``published_experiment`` (default: the id) chooses the rows of the published table.
        context: ``published`` (columns :data:`PUBLISHED_COLUMNS`), ``published_cells``
            {cell: published cell} where they differ (simulated cells), ``model_labels``,
            ``model_order``; ``published_data`` if these are the paper's own data.

    Returns:
        Columns cell, model, label, n_seeds, n_genes, then <metric>_mean, _sd, _low and _high (95 %
        t-interval over seeds) for our runs,
        then published_cell, published_<metric>, published_<metric>_sd, published_source, then (on
        the paper's own data) <metric>_minus_published and <metric>_within_spreads: whether that
        difference is within both our sd and the published sd; then <metric>_decided_best: the best
        of its cell, better than every other model after Holm's correction. A model of the
        experiment without a result keeps its row, with n_seeds 0 and missing values.

    Raises:
        InputError: no result at all, or a published table without its columns.
    """
    table = common.select(data, "metrics", METRIC_COLUMNS, experiment, context)
    scenario = str(experiment.get("scenario", "full"))
    summary = over_seeds(table[table["scenario"] == scenario])
    if summary.empty:
        raise InputError(
            f"{common.figure_id(experiment)}: expected metrics of scenario {scenario}, found none; "
            "evaluate the runs first."
        )
    cells = common.cell_order(summary["cell"].unique(), experiment, context)
    given = [str(model) for model in experiment.get("models") or []]
    models = ordered([*given, *common.model_order(summary["model"].unique(), experiment)], context)
    published = _published(experiment, context)
    rows = [
        {
            "cell": cell,
            "model": model,
            "label": model_label(model, context),
            **_ours(summary[(summary["cell"] == cell) & (summary["model"] == model)]),
            **_theirs(published, _published_cell(cell, context), model),
        }
        for cell in cells
        for model in models
    ]
    for row in rows:
        if context.get("published_data") and row["cell"] == row["published_cell"]:
            row.update(_against_published(row))
        row.update(_decided_best(row, data.get("comparisons")))
    return pd.DataFrame(rows)


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """The printed form: a block per cell, mean ± sd, published values in their own columns."""
    ours = columns_with_values(table, [f"{metric}_mean" for metric in METRICS])
    theirs = columns_with_values(table, [f"published_{metric}" for metric in PUBLISHED_METRICS])
    metrics = [name.removesuffix("_mean") for name in ours]
    quoted = [name.removeprefix("published_") for name in theirs]
    columns = ["Model", *(METRIC_LABEL[name] for name in metrics), "seeds", "genes"]
    source = "paper, real cells" if context.get("simulated") else "paper"
    columns += [f"published {METRIC_LABEL[name]} ({source})" for name in quoted]
    compared = columns_with_values(table, [f"{name}_minus_published" for name in quoted])
    compared = [name.removesuffix("_minus_published") for name in compared]
    columns += [f"ours − published {METRIC_LABEL[name]} (within both sd?)" for name in compared]
    blocks = []
    for cell, rows in table.groupby("cell", sort=False):
        blocks.append(
            Block(
                _heading(str(cell), rows, bool(quoted), context),
                tuple(_line(row, metrics, quoted, compared) for row in rows.to_dict("records")),
                _bold(rows, metrics),
            )
        )
    return Sheet(
        columns=tuple(columns),
        align="l" + "r" * (len(columns) - 1),
        blocks=tuple(blocks),
        caption=_caption(experiment, context),
        notes=(*_bold_notes(table), *_notes(table, bool(quoted), context)),
    )


def _ours(rows: pd.DataFrame) -> dict[str, Any]:
    known = {row.metric: row for row in rows.itertuples()}
    result: dict[str, Any] = {
        "n_seeds": int(rows["n_seeds"].max()) if len(rows) else 0,
        "n_genes": int(rows["n_genes"].max()) if len(rows) else 0,
    }
    for metric in METRICS:
        for part in ("mean", "sd", "low", "high"):
            value = getattr(known[metric], part) if metric in known else float("nan")
            result[f"{metric}_{part}"] = value
    return result


def _published(experiment: Mapping[str, Any], context: Mapping[str, Any]) -> pd.DataFrame:
    table = context.get("published")
    if table is None:
        return pd.DataFrame(columns=list(PUBLISHED_COLUMNS))
    missing = [name for name in PUBLISHED_COLUMNS if name not in table.columns]
    if missing:
        raise InputError(
            f"published values: expected the columns {', '.join(PUBLISHED_COLUMNS)}, found no "
            f"{', '.join(missing)}."
        )
    name = str(experiment.get("published_experiment", experiment.get("id", "main")))
    return table[table["experiment"] == name]


def _published_cell(cell: str, context: Mapping[str, Any]) -> str:
    """The published cell that the sheet of cells names, or on the paper's own data the same name.

    A cell called K562 is not reason enough: labels, genes or split may be others.
    """
    named = (context.get("published_cells") or {}).get(cell)
    return str(named or (cell if context.get("published_data") else ""))


def _theirs(published: pd.DataFrame, cell: str, model: str) -> dict[str, Any]:
    rows = published[(published["cell"] == cell) & (published["model"] == model)]
    rows = rows[rows["value"].notna()]
    known = {row.metric: row for row in rows.itertuples()}
    result: dict[str, Any] = {"published_cell": cell if known else None}
    for metric in PUBLISHED_METRICS:
        row = known.get(metric)
        result[f"published_{metric}"] = float(row.value) if row else float("nan")
        result[f"published_{metric}_sd"] = float(row.sd) if row else float("nan")
    sources = sorted({str(row.source) for row in known.values()})
    result["published_source"] = "; ".join(sources) if sources else None
    return result


def _against_published(row: Mapping[str, Any]) -> dict[str, Any]:
    """Difference from the published mean, and whether both spreads cover it (None: unknown)."""
    result: dict[str, Any] = {}
    for metric in PUBLISHED_METRICS:
        delta = row[f"{metric}_mean"] - row[f"published_{metric}"]
        spreads = (row[f"{metric}_sd"], row[f"published_{metric}_sd"])
        known = not any(math.isnan(value) for value in (delta, *spreads))
        result[f"{metric}_minus_published"] = delta
        result[f"{metric}_within_spreads"] = abs(delta) <= min(spreads) if known else None
    return result


def _decided_best(row: Mapping[str, Any], comparisons: pd.DataFrame | None) -> dict[str, bool]:
    """Whether a model is better than every other one of its cell, after Holm's correction."""
    result = dict.fromkeys(("mse_decided_best", "pearson_decided_best"), False)
    if comparisons is None:
        return result
    mine = comparisons[
        (comparisons["cell"] == row["cell"]) & (comparisons["model"] == row["model"])
    ]
    by_mse = mine[mine["family"] == "best_mse"]
    by_pearson = mine[mine["family"] == "best_pearson"]
    if len(by_mse):
        result["mse_decided_best"] = bool((by_mse["decided_by"] == "seeds and genes").all())
    if len(by_pearson):
        result["pearson_decided_best"] = bool((by_pearson["p_pearson_holm"] < ALPHA).all())
    return result


def _bold(rows: pd.DataFrame, metrics: list[str]) -> frozenset[tuple[int, int]]:
    """Places of the metrics in which a model is decidedly the best."""
    return frozenset(
        (i, 1 + metrics.index(metric))
        for metric in ("mse", "pearson")
        if metric in metrics
        for i, best in enumerate(rows[f"{metric}_decided_best"])
        if best
    )


def _bold_notes(table: pd.DataFrame) -> list[str]:
    decided = table["mse_decided_best"].any() or table["pearson_decided_best"].any()
    text = (
        "Bold (MSE and Pearson r only): better than every other model of its cell over seeds and "
        "genes, p < 0.05 after Holm's correction"
    )
    return [f"{text}." if decided else f"{text}; no model is."]


def _line(
    row: Mapping[str, Any], metrics: list[str], quoted: list[str], compared: list[str]
) -> tuple[str, ...]:
    ran = row["n_seeds"] > 0
    values = [spread(row[f"{name}_mean"], row[f"{name}_sd"]) for name in metrics]
    counts = [count(row["n_seeds"]) if ran else "not run", count(row["n_genes"]) if ran else "–"]
    published = [spread(row[f"published_{name}"], row[f"published_{name}_sd"]) for name in quoted]
    differences = [
        _difference(row[f"{name}_minus_published"], row[f"{name}_within_spreads"])
        for name in compared
    ]
    return (str(row["label"]), *values, *counts, *published, *differences)


def _difference(delta: float, within: Any) -> str:
    return "–" if math.isnan(delta) else f"{number(delta)} {_WITHIN.get(within, '(sd unknown)')}"


def _heading(cell: str, rows: pd.DataFrame, quoted: bool, context: Mapping[str, Any]) -> str:
    label = common.cell_label(cell, context)
    if context.get("simulated"):
        label += " (simulated)"
    real = rows["published_cell"].dropna().unique()
    if quoted and len(real) and str(real[0]) != cell:
        label += f"; published values: real cell line {real[0]}"
    return label


def _caption(experiment: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    title = str(experiment.get("title") or "Test error and correlation of each model").rstrip(".")
    target = str(context.get("target_label") or "the expression label")
    text = f"{title}: mean ± sd over seeds alone, not over genes; errors (MSE, MAE) of {target}."
    return f"{text} Simulated data." if context.get("simulated") else text


def _notes(table: pd.DataFrame, quoted: bool, context: Mapping[str, Any]) -> list[str]:
    notes = []
    if (table["n_seeds"] == 1).any():
        notes.append("One seed has no sd.")
    if not quoted:
        return notes
    sources = sorted(set("; ".join(table["published_source"].dropna()).split("; ")))
    mapped = table["published_cell"].notna() & (table["published_cell"] != table["cell"])
    notes.append(
        "Columns headed 'published' are quoted, not computed here: "
        f"{'; '.join(sources)}; mean ± sd as printed there, the mean alone where no sd is known."
    )
    if mapped.any() or context.get("simulated"):
        notes.append(
            "They are of real cell lines, the other columns of simulated data: the two are not "
            "comparable in size and stand side by side for the order of the models only."
        )
    else:
        notes.append(
            "They are of the paper's own data (human genes, CAGE, test chromosomes 22 and X) and "
            "are comparable only with runs on the same data."
        )
    return notes
