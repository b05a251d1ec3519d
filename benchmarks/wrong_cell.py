"""Signals of the wrong cell at test: what boosting loses, and what is lost without a background.

    python benchmarks/wrong_cell.py FOLDER_OF_REAL_DATA

Trains on the peaks of a cell and tests with its own peaks and with those of the other cell, labels
its own (fold 11, 2 kb, mean of two seeds). The regional level of DNase, 1.5 to 10 kb from the TSS,
is the median with zeros where there is no peak; the median of bases in peaks, as the workflow reads
a track without values elsewhere; or the mean. Prints a Markdown table with 95 % bootstrap intervals
over test genes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.data.bigwig import BigWig
from prismflow.data.chromosomes import by_chromosome
from prismflow.data.regional import FLOOR_SHARE
from prismflow.models.regional_boosting import (
    LEAST_SHARE,
    RegionalBoosting,
    RegionalBoostingSettings,
)
from prismflow.models.tabular import GradientBoosting, GradientBoostingSettings

LABELS = {"K562": "K562_TPM", "GM12878": "LCL_TPM_mean5"}
OUTER_BP, INNER_BP, WINDOW_BP, BIN_BP = 10_000, 1500, 2000, 100
LEVELS = ("median", "peaks", "mean")
SEEDS = (2, 22)
N_RESAMPLES = 2000
Arrays = dict[str, np.ndarray]


def read(path: Path, genes: pd.DataFrame, logarithm: bool) -> Arrays:
    """``bins``: (n, 21) bins and mean of the window; :data:`LEVELS` of the ring, (n,) each."""
    n_bins = WINDOW_BP // BIN_BP
    found = {name: np.zeros(len(genes)) for name in LEVELS}
    found["bins"] = np.zeros((len(genes), n_bins + 1))
    away = np.abs(np.arange(2 * OUTER_BP) - OUTER_BP) >= INNER_BP
    inner = slice(OUTER_BP - WINDOW_BP // 2, OUTER_BP + WINDOW_BP // 2)
    starts, minus = genes["tss"].to_numpy() - OUTER_BP, genes["strand"].to_numpy() == "-"
    with BigWig(path) as track:
        for chrom, rows in by_chromosome(genes["chrom"]):
            for places, values in track.windows(chrom, starts[rows], 2 * OUTER_BP):
                at = rows[places]
                for gene, row in zip(at, values[:, away], strict=True):
                    inside = row[np.isfinite(row)]
                    found["peaks"][gene] = np.median(inside) if inside.size else np.nan
                values = np.nan_to_num(values)
                own = np.where(minus[at, None], values[:, inner][:, ::-1], values[:, inner])
                own = np.log1p(own) if logarithm else own
                bins = own.reshape(len(at), n_bins, BIN_BP).mean(axis=2)
                found["bins"][at] = np.column_stack([bins, bins.mean(axis=1)])
                found["median"][at] = np.median(values[:, away], axis=1)
                found["mean"][at] = values[:, away].mean(axis=1)
        without = np.isnan(found["peaks"])
        found["peaks"][without] = np.nanmedian(found["peaks"])
        floor = FLOOR_SHARE * track.summary.mean
    return {
        "bins": found["bins"],
        **{name: np.log(found[name] + floor) for name in LEVELS},
    }


def signals_of(cell: str, data: Path, genes: pd.DataFrame) -> dict[str, Arrays]:
    """H3K27ac and DNase as boosting reads them, and DNase as it is."""
    files = {mark: data / f"signals/{cell}_{mark}.hg38.PEAKS.bw" for mark in ("H3K27ac", "DNase")}
    return {
        "H3K27ac": read(files["H3K27ac"], genes, True),
        "DNase": read(files["DNase"], genes, True),
        "raw": read(files["DNase"], genes, False),
    }


def design(signals: dict[str, Arrays], model: str, level: str) -> np.ndarray:
    """Columns of a model: those of ``gbm``, or those of ``gbm_regional`` with this level."""
    if model == "gbm":
        return np.column_stack([signals[mark]["bins"] for mark in level.split("+")])
    z = signals["raw"][level]
    least = LEAST_SHARE * np.exp(z)[:, None]
    cleaned = np.log(signals["raw"]["bins"] + least)
    number = np.full(len(z), cleaned.shape[1])
    return np.column_stack([z, number, signals["H3K27ac"]["bins"], cleaned])


MODELS = {
    "boosting, H3K27ac and DNase": ("gbm", "H3K27ac+DNase", ""),
    "boosting, H3K27ac": ("gbm", "H3K27ac", ""),
    "boosting, DNase": ("gbm", "DNase", ""),
    "`gbm_regional`, level: median": ("gbm_regional", "median", "two_stage"),
    "the same, level: median of bases in peaks": ("gbm_regional", "peaks", "two_stage"),
    "the same, level: mean": ("gbm_regional", "mean", "two_stage"),
    "divided by the mean level (`unit`)": ("gbm_regional", "mean", "unit"),
}


def predictions(
    own: dict[str, Arrays], wrong: dict[str, Arrays], label: np.ndarray, role: np.ndarray, name: str
) -> tuple[dict[str, dict[str, np.ndarray]], float]:
    """Output -> ``own`` and ``wrong`` predictions of the test genes; the power of the level."""
    model, level, removal = MODELS[name]
    x, test = design(own, model, level), role == "test"
    other = design(wrong, model, level)[test]
    parts = [(x[role == part], label[role == part]) for part in ("train", "valid")]
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    power = float("nan")
    for seed in SEEDS:
        if model == "gbm":
            fitted, _ = GradientBoosting.train(*parts, GradientBoostingSettings(), seed)
            outputs = [{"": fitted.predict(x[test])}, {"": fitted.predict(other)}]
        else:
            settings = RegionalBoostingSettings(removal=removal)
            regional, _ = RegionalBoosting.train(*parts, settings, seed)
            power = regional.power
            outputs = [regional.outputs(x[test]), regional.outputs(other)]
        for cell, values in zip(("own", "wrong"), outputs, strict=True):
            for output, prediction in values.items():
                found.setdefault(output, {}).setdefault(cell, []).append(prediction)
    mean = {o: {c: np.mean(v, axis=0) for c, v in cells.items()} for o, cells in found.items()}
    return mean, power


def measures(observed: np.ndarray, cells: dict[str, np.ndarray]) -> dict[str, float]:
    """r and MSE with the own and the wrong cell's signals, and what the wrong ones cost."""
    r = {cell: float(np.corrcoef(values, observed)[0, 1]) for cell, values in cells.items()}
    mse = {cell: float(np.mean((values - observed) ** 2)) for cell, values in cells.items()}
    return {
        "r, own": r["own"], "r, wrong": r["wrong"], "loss of r": r["own"] - r["wrong"],
        "MSE, own": mse["own"], "MSE, wrong": mse["wrong"],
    }  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    genes = pd.read_csv(data / "genes/genes_genomewide_hg38.tsv.gz", sep="\t")
    signals = {cell: signals_of(cell, data, genes) for cell in LABELS}
    print("| cell | model | output | power | " + " | ".join(NAMES) + " | loss minus boosting's |")
    print("|---|---|---|---:|" + "---|" * (len(NAMES) + 1))
    for cell, other in (("K562", "GM12878"), ("GM12878", "K562")):
        known = genes[LABELS[cell]].notna().to_numpy()
        label = np.log10(genes.loc[known, LABELS[cell]].to_numpy() + 0.1)
        role = genes.loc[known, "split_fold11"].to_numpy()
        pair = [
            {k: {n: v[known] for n, v in a.items()} for k, a in signals[c].items()}
            for c in (cell, other)
        ]
        z = pair[0]["raw"]["median"]
        n_above = int(np.sum(z > z.min() + 1e-9))
        print(f"{cell}: median level above its floor in {n_above} of {len(z)} genes")
        observed = label[role == "test"]
        drawn = np.random.default_rng(1).integers(0, len(observed), (N_RESAMPLES, len(observed)))
        reference: np.ndarray | None = None
        for name in MODELS:
            outputs, power = predictions(*pair, label, role, name)
            for output, cells in outputs.items():
                resampled = [
                    measures(observed[i], {c: v[i] for c, v in cells.items()}) for i in drawn
                ]
                table = pd.DataFrame(resampled)
                loss = table["loss of r"].to_numpy()
                reference = loss if reference is None else reference
                whole = measures(observed, cells)
                shown = [
                    f"{whole[n]:.3f} [{low:.3f}, {high:.3f}]"
                    for n in NAMES
                    for low, high in [np.quantile(table[n], [0.025, 0.975])]
                ]
                low, high = np.quantile(loss - reference, [0.025, 0.975])
                gap = f"[{low:+.3f}, {high:+.3f}]"
                print(f"| {cell} | {name} | {output} | {power:.2f} | {' | '.join(shown)} | {gap} |",
                      flush=True)  # fmt: skip


NAMES = ("r, own", "r, wrong", "loss of r", "MSE, own", "MSE, wrong")


if __name__ == "__main__":
    main()
