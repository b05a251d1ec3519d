"""What the grid of confounded worlds says: measures per world, summaries, paired differences.

The worlds are the replicates: each has its own genome, test genes and training seed, so intervals
over worlds cover all three. Models are compared within worlds, which share genes and labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from prismflow.errors import InputError
from prismflow.files import read_tsv, write_tsv
from prismflow.statistics.agreement import correlation
from prismflow.statistics.permutation import holm
from prismflow.statistics.seeds import t_interval

CONTROLS = ("activity", "active", "distal", "stability")
"""True causes of expression that are held fixed when errors are correlated with C."""
KEY = ["training", "test", "model", "output"]
MEASURES: dict[str, str] = {
    "mse": "MSE",
    "pearson": "Pearson r",
    "reliance": "MSE added when DNase and Hi-C are exchanged between test genes",
    "recovery": "MSE added when H3K27ac is exchanged between test genes",
    "error_c": "partial correlation of the error with C, true causes fixed",
    "shift": "MSE minus MSE where the shortcut holds",
}
REFERENCE = ("prism_n0", "direct")
"""Model and output that the others are compared with: Prism without contexts."""
COMPARED = ("mse", "reliance", "recovery", "error_c", "shift")


def partial_correlation(x: np.ndarray, y: np.ndarray, controls: np.ndarray) -> float:
    """Correlation of (n,) x and y after a linear regression of both on (n, k) controls.

    NaN where nothing is left of one of them.
    """
    design = np.column_stack([np.ones(len(x)), controls])
    left, right = (v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y))
    scale = np.sqrt((left**2).sum() * (right**2).sum())
    negligible = 1e-12 * len(x) * max(float(np.std(x) * np.std(y)), 1e-300)
    return float((left * right).sum() / scale) if scale > negligible else float("nan")


def world_measures(predictions: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Measures of every model and output on every set of test genes of one world.

    Args:
        predictions: test, model, perturbation, output, gene_id, observed, predicted.
        truth: test, gene_id, background (C) and :data:`CONTROLS`.

    Returns:
        test, model, output, measure (of :data:`MEASURES`, without ``shift``), value, n_genes. A
        model that does not read the exchanged signals has no such measure.
    """
    rows = []
    causes = {kappa: table.set_index("gene_id") for kappa, table in truth.groupby("test")}
    for (kappa, model, output), own in predictions.groupby(["test", "model", "output"]):
        tables = dict(iter(own.groupby("perturbation")))
        full = tables["full"]
        true = causes[kappa].loc[full["gene_id"]]
        observed, predicted = full["observed"].to_numpy(), full["predicted"].to_numpy()
        mse = float(((predicted - observed) ** 2).mean())
        values = {
            "mse": mse,
            "pearson": correlation(predicted, observed),
            "error_c": partial_correlation(
                predicted - observed,
                true["background"].to_numpy(float),
                true[list(CONTROLS)].to_numpy(float),
            ),
        }
        for measure, name in (("reliance", "background"), ("recovery", "cause")):
            exchanged = tables.get(f"{name}_permuted")
            if exchanged is not None:
                error = exchanged["predicted"] - exchanged["observed"]
                values[measure] = float((error**2).mean()) - mse
        rows += [(kappa, model, output, m, v, len(full)) for m, v in values.items()]
    columns = ["test", "model", "output", "measure", "value", "n_genes"]
    return pd.DataFrame(rows, columns=columns)


def context_measures(contexts: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """How the mean context weight of a gene goes with its background and its true activity.

    Returns:
        test, model, context, measure (``mean_kept``, ``r_background``, ``r_activity``), value.
    """
    rows = []
    causes = {kappa: table.set_index("gene_id") for kappa, table in truth.groupby("test")}
    for (kappa, model, context), own in contexts.groupby(["test", "model", "context"]):
        true = causes[kappa].loc[own["gene_id"]]
        kept = own["kept"].to_numpy()
        values = {"mean_kept": float(kept.mean())}
        for cause in ("background", "activity"):
            constant = np.ptp(kept) < 1e-6
            r = np.nan if constant else correlation(kept, true[cause].to_numpy())
            values[f"r_{cause}"] = r
        rows += [(kappa, model, context, m, v) for m, v in values.items()]
    return pd.DataFrame(rows, columns=["test", "model", "context", "measure", "value"])


def summarise_contexts(measures: pd.DataFrame) -> pd.DataFrame:
    """Context measures averaged over a model's contexts, then over worlds with 95 % t-interval.

    Correlations enter by their size: which context is the first one differs between runs.

    Returns:
        training, test, model, measure, mean, low, high, n_worlds.
    """
    table = measures.assign(value=measures["value"].abs())
    key = ["training", "test", "model", "measure"]
    worlds = table.groupby([*key, "replicate"], sort=True)["value"].mean().reset_index()
    rows = []
    for group_key, group in worlds.groupby(key, sort=True):
        i = t_interval(group["value"].to_numpy())
        rows.append((*group_key, i.mean, i.low, i.high, i.n))
    return pd.DataFrame(rows, columns=[*key, "mean", "low", "high", "n_worlds"])


def with_shift(measures: pd.DataFrame) -> pd.DataFrame:
    """``measures`` of all worlds with ``shift``: MSE minus that where the shortcut is intact.

    Only worlds whose training kappa is among their test kappas have it.
    """
    mse = measures[measures["measure"] == "mse"]
    own = ["training", "replicate", "model", "output"]
    intact = mse.loc[mse["test"] == mse["training"], [*own, "value"]]
    broken = mse[mse["test"] != mse["training"]]
    pairs = broken.merge(intact, on=own, suffixes=("", "_intact"))
    pairs["value"] -= pairs.pop("value_intact")
    return pd.concat([measures, pairs.assign(measure="shift")], ignore_index=True)


def summarise(measures: pd.DataFrame) -> pd.DataFrame:
    """Mean, sd and 95 % t-interval over worlds.

    Returns:
        training, test, model, output, measure, mean, sd, low, high, n_worlds, n_genes (mean).
    """
    rows = []
    for key, group in measures.groupby([*KEY, "measure"], sort=True):
        i = t_interval(group["value"].to_numpy())
        n_genes = round(float(group["n_genes"].mean()))
        rows.append((*key, i.mean, i.sd, i.low, i.high, i.n, n_genes))
    columns = [*KEY, "measure", "mean", "sd", "low", "high", "n_worlds", "n_genes"]
    return pd.DataFrame(rows, columns=columns)


def contrasts(
    measures: pd.DataFrame, reference: tuple[str, str] = REFERENCE, level: float = 0.95
) -> pd.DataFrame:
    """Differences from the reference model, paired by world.

    Returns:
        training, test, model, output, measure, difference, low, high, n_worlds, p (paired t-test,
        two-sided), p_holm (over all models of the same training, test and measure).
    """
    kept = measures[measures["measure"].isin(COMPARED)]
    key = ["training", "test", "measure", "replicate"]
    is_reference = (kept["model"] == reference[0]) & (kept["output"] == reference[1])
    base = kept.loc[is_reference, [*key, "value"]]
    pairs = kept[~is_reference].merge(base, on=key, suffixes=("", "_reference"))
    pairs["value"] -= pairs.pop("value_reference")
    rows = []
    for group_key, group in pairs.groupby([*KEY, "measure"], sort=True):
        i = t_interval(group["value"].to_numpy(), level)
        p = np.nan
        if i.n > 1 and i.sd > 0:
            p = float(stats.ttest_1samp(group["value"].dropna(), 0.0).pvalue)
        rows.append((*group_key, i.mean, i.low, i.high, i.n, p))
    columns = [*KEY, "measure", "difference", "low", "high", "n_worlds", "p"]
    table = pd.DataFrame(rows, columns=columns)
    families = table.groupby(["training", "test", "measure"])["p"]
    table["p_holm"] = families.transform(lambda p: holm(p.to_numpy()))
    return table


def gather(
    worlds: Mapping[str, tuple[Mapping[str, Any], Path]], outputs: Mapping[str, str | Path]
) -> None:
    """Read the files of all worlds and write measures, summaries and differences.

    Args:
        worlds: by name ``training`` (kappa) and ``replicate`` of each world, and the folder of
            what :func:`prismflow.evaluation.worlds.run_world` wrote.
        outputs: paths of the tables ``measures``, ``summary``, ``contrasts`` and ``contexts``.

    Raises:
        InputError: there is no world.
    """
    if not worlds:
        raise InputError(
            "confounding: expected at least one world in the experiment's `options.grid`, found "
            "none; add a block with `training` and `replicates`."
        )
    measures, contexts = [], []
    for world, folder in worlds.values():
        truth = read_tsv(folder / "truth.tsv", dtype={"gene_id": str})
        identity = {"training": world["training"], "replicate": world["replicate"]}
        predictions = read_tsv(folder / "predictions.tsv.gz", dtype={"gene_id": str})
        measures.append(world_measures(predictions, truth).assign(**identity))
        kept = read_tsv(folder / "contexts.tsv.gz", dtype={"gene_id": str})
        contexts.append(context_measures(kept, truth).assign(**identity))
    table = with_shift(pd.concat(measures, ignore_index=True))
    first = ["training", "test", "replicate", "model", "output", "measure", "value", "n_genes"]
    write_tsv(table[first], outputs["measures"])
    write_tsv(summarise(table), outputs["summary"])
    write_tsv(contrasts(table), outputs["contrasts"])
    write_tsv(summarise_contexts(pd.concat(contexts, ignore_index=True)), outputs["contexts"])
