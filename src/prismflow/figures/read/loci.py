"""A few genes with their tracks and predictions: those named, and those that tell models apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.figures.read.runs import run_table

N_GENES = 2
POINTS = 400
DEFAULT_GENES = ("ENSG00000080561",)


def widest_differences(
    predictions: pd.DataFrame, pair: Sequence[str], n_genes: int
) -> pd.DataFrame:
    """Genes where the mean predictions of two models differ most, over the seeds both have.

    Args:
        predictions: model, seed, gene_id, predicted of one cell and scenario.
        pair: two models.
        n_genes: genes wanted.

    Returns:
        Columns gene_id and difference (first minus second), largest absolute difference first;
        equal ones in the order of their names. No row where one of the two models is absent.
    """
    means = predictions.pivot_table(index="gene_id", columns="model", values="predicted")
    if not set(pair) <= set(means.columns):
        return pd.DataFrame({"gene_id": [], "difference": []})
    difference = (means[pair[0]] - means[pair[1]]).dropna().rename("difference")
    table = difference.reset_index().assign(size=lambda rows: rows["difference"].abs())
    table = table.sort_values(["size", "gene_id"], ascending=[False, True], kind="stable")
    return table[["gene_id", "difference"]].head(n_genes).reset_index(drop=True)


def load(need: str, request: Mapping[str, Any], root: Path) -> dict[str, pd.DataFrame]:
    """``genes`` (cell, gene_id, chrom, tss, strand, observed, difference), ``tracks`` (cell,
    gene_id, modality, position_bp, value) and ``predictions`` (cell, model, seed, gene_id,
    predicted) of the genes shown.

    Options of the experiment: ``genes`` (ids, shown where the test split has them), ``n_genes``
    with the largest difference between the two models of ``between``, ``span_bp`` of the tracks.

    Raises:
        InputError: no gene is left to show.
    """
    experiment, dataset = request["experiment"], request["context"]["dataset"]
    predictions = run_table(request, root, "predictions.tsv.gz")
    predictions = predictions[predictions["scenario"] == "full"]
    genes, tracks, shown = [], [], []
    for cell in dict.fromkeys(run[0] for run in request["runs"]):
        own = predictions[predictions["cell"] == cell]
        chosen = _chosen(own, experiment)
        store = Store.open(root / dataset / cell / "store")
        genes.append(_described(chosen, own, store).assign(cell=cell))
        for gene in chosen["gene_id"]:
            tracks.append(_tracks(store, gene, experiment).assign(cell=cell))
        shown.append(own[own["gene_id"].isin(chosen["gene_id"])])
    if not tracks:
        raise InputError(
            f"{experiment['id']}: expected a gene of the test split among "
            f"{', '.join(experiment.get('genes') or DEFAULT_GENES)}, or two models to compare, "
            "found neither; name genes of the test split in the experiment's `options`."
        )
    columns = ["cell", "model", "seed", "gene_id", "predicted"]
    return {
        "genes": pd.concat(genes, ignore_index=True),
        "tracks": pd.concat(tracks, ignore_index=True),
        "predictions": pd.concat(shown, ignore_index=True)[columns],
    }


def _chosen(predictions: pd.DataFrame, experiment: Mapping[str, Any]) -> pd.DataFrame:
    named = list(experiment.get("genes", DEFAULT_GENES))
    known = set(predictions["gene_id"])
    rows = [{"gene_id": gene, "difference": np.nan} for gene in named if gene in known]
    pair = experiment.get("between", ("prism", "caduceus_signals"))
    widest = widest_differences(predictions, pair, int(experiment.get("n_genes", N_GENES)))
    table = pd.concat([pd.DataFrame(rows, columns=["gene_id", "difference"]), widest])
    return table.drop_duplicates("gene_id").reset_index(drop=True)


def _described(chosen: pd.DataFrame, predictions: pd.DataFrame, store: Store) -> pd.DataFrame:
    genes = store.genes.assign(gene_id=store.genes["gene_id"].astype(str))
    table = chosen.merge(genes[["gene_id", "chrom", "tss", "strand"]], on="gene_id", how="left")
    observed = predictions.drop_duplicates("gene_id").set_index("gene_id")["observed"]
    return table.assign(observed=table["gene_id"].map(observed))


def _tracks(store: Store, gene: str, experiment: Mapping[str, Any]) -> pd.DataFrame:
    """Means over at most :data:`POINTS` stretches of each modality, forward strand."""
    rows = np.flatnonzero(store.genes["gene_id"].astype(str).to_numpy() == gene)
    span = min(int(experiment.get("span_bp", store.window_bp)), store.window_bp) // 2 * 2
    step = -(-span // POINTS)
    edges = np.arange(0, span, step)
    tables = []
    for name in store.modalities:
        values = store.signal(name, rows, span)[0].astype(np.float64)
        means = np.add.reduceat(values, edges) / np.diff(np.append(edges, span))
        position = edges + step / 2 - span / 2
        tables.append(pd.DataFrame({"modality": name, "position_bp": position, "value": means}))
    return pd.concat(tables, ignore_index=True).assign(gene_id=gene)
