"""Test metrics of every model with the published values beside them (paper, Table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.errors import InputError
from prismflow.plots import common
from prismflow.plots.labels import METRIC_LABEL, model_label
from prismflow.statistics import METRIC_COLUMNS, over_seeds
from prismflow.tables.render import Block, Sheet, columns_with_values, count, spread

NEEDS = ("metrics",)
METRICS = ("mse", "mae", "pearson", "spearman", "r2")
PUBLISHED_METRICS = ("mse", "mae", "pearson")
PUBLISHED_COLUMNS = ("experiment", "cell", "model", "metric", "value", "sd", "source")


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per cell and model, numbers in separate columns.

    Args:
        data: ``metrics``, the long table.
        experiment: ``id``; ``models``, ``cells``, ``scenario`` (default full);
            ``published_experiment`` (default: the id) chooses the rows of the published table.
        context: ``published`` (columns :data:`PUBLISHED_COLUMNS`), ``published_cells``
            {cell: published cell} where they differ (simulated cells), ``model_labels``.

    Returns:
        Columns cell, model, label, n_seeds, n_genes, then <metric>_mean, <metric>_sd for our runs,
        then published_cell, published_<metric>, published_<metric>_sd, published_source. A model of
        the experiment without a result keeps its row, with n_seeds 0 and missing values.

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
    models = list(
        dict.fromkeys([*given, *common.model_order(summary["model"].unique(), experiment)])
    )
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
    blocks = []
    for cell, rows in table.groupby("cell", sort=False):
        blocks.append(
            Block(
                _heading(str(cell), rows, bool(quoted), context),
                tuple(_line(row, metrics, quoted) for row in rows.to_dict("records")),
            )
        )
    return Sheet(
        columns=tuple(columns),
        align="l" + "r" * (len(columns) - 1),
        blocks=tuple(blocks),
        caption=_caption(experiment, context),
        notes=tuple(_notes(table, bool(quoted), context)),
    )


def _ours(rows: pd.DataFrame) -> dict[str, Any]:
    known = {row.metric: row for row in rows.itertuples()}
    result: dict[str, Any] = {
        "n_seeds": int(rows["n_seeds"].max()) if len(rows) else 0,
        "n_genes": int(rows["n_genes"].max()) if len(rows) else 0,
    }
    for metric in METRICS:
        result[f"{metric}_mean"] = known[metric].mean if metric in known else float("nan")
        result[f"{metric}_sd"] = known[metric].sd if metric in known else float("nan")
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
    return str((context.get("published_cells") or {}).get(cell, cell))


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


def _line(row: Mapping[str, Any], metrics: list[str], quoted: list[str]) -> tuple[str, ...]:
    ran = row["n_seeds"] > 0
    values = [spread(row[f"{name}_mean"], row[f"{name}_sd"]) for name in metrics]
    counts = [count(row["n_seeds"]) if ran else "not run", count(row["n_genes"]) if ran else "–"]
    published = [spread(row[f"published_{name}"], row[f"published_{name}_sd"]) for name in quoted]
    return (str(row["label"]), *values, *counts, *published)


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
    text = f"{title}: mean ± sd over seeds; errors (MSE, MAE) of {target}."
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
