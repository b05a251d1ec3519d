"""Does S3norm help a model trained in one cell in the other? Accessibility of K562 and GM12878.

    python benchmarks/s3norm.py REALDATA [unamplified]

REALDATA is the folder of real chr22 files that docs/real_chr22.md names. A and B are fitted on the
bins of the training block alone; `unamplified` leaves out 22q11, of which K562 has many copies.
Gradient boosting learns log10(1 + TSS-seq) of the training genes of one cell from accessibility and
is tested on the test genes of both; five seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor

from prismflow.data.bigwig import BigWig
from prismflow.data.s3norm import BIN_BP, bin_means, fit
from prismflow.data.transforms import apply_transform

CELLS = ("K562", "GM12878")
TRAINING_BP = 36_000_000
AMPLIFIED_BP = (18_600_000, 23_290_000)
SPAN_BP, STEP_BP = 2000, 100
SEEDS = (2, 22, 222, 2222, 22222)


def read(folder: Path, genes: pd.DataFrame, unamplified: bool) -> tuple[dict, dict]:
    """Bins of the training block and windows (N, 2000) around the TSS, by cell."""
    bins, windows = {}, {}
    starts = np.arange(TRAINING_BP // BIN_BP) * BIN_BP
    used = ~((starts >= AMPLIFIED_BP[0]) & (starts < AMPLIFIED_BP[1]) & unamplified)
    for cell in CELLS:
        with BigWig(folder / f"signals/{cell}_accessibility.chr22.bw") as track:
            bins[cell] = bin_means(track, "chr22")[: len(starts)][used]
            found = np.zeros((len(genes), SPAN_BP), np.float32)
            for rows, values in track.windows("chr22", genes["tss"] - SPAN_BP // 2, SPAN_BP):
                found[rows] = np.nan_to_num(values)
            windows[cell] = found
    return bins, windows


def table(windows: np.ndarray, transform: str, fitted: dict[str, float]) -> np.ndarray:
    """Means of transformed values in steps of 100 bp: (N, 20)."""
    values = apply_transform(transform, windows, fitted)
    return values.reshape(len(values), -1, STEP_BP).mean(axis=2)


def main(folder: Path, unamplified: bool) -> None:
    """Print what was fitted and one row per transform and direction."""
    genes = pd.read_csv(folder / "genes/genes_K562_chr22.tsv", sep="\t")
    bins, windows = read(folder, genes, unamplified)
    train, test = (genes["split"] == name for name in ("train", "test"))
    labels = {c: np.log10(1 + genes[f"{c}_TSSseq_pm192"].abs().to_numpy()) for c in CELLS}
    print("| transform | trained in | tested in | MSE | Pearson | Spearman |")
    print("|---|---|---|---|---|---|")
    for source in CELLS:
        numbers = {c: fit(bins[c], bins[source], c) for c in CELLS}
        for transform in ("raw", "log1p", "s3norm", "s3norm:log1p"):
            inputs = {
                c: table(windows[c], transform, {"a": found.a, "b": found.b})
                for c, found in numbers.items()
            }
            for target in CELLS:
                rows = []
                for seed in SEEDS:
                    model = HistGradientBoostingRegressor(
                        max_iter=200, learning_rate=0.05, max_leaf_nodes=8, max_features=0.5,
                        random_state=seed,
                    ).fit(inputs[source][train], labels[source][train])  # fmt: skip
                    y, p = labels[target][test], model.predict(inputs[target][test])
                    agreement = (stats.pearsonr(y, p)[0], stats.spearmanr(y, p)[0])
                    rows.append((np.mean((y - p) ** 2), *agreement))
                cells = " | ".join(
                    f"{m:.3f} ± {s:.3f}"
                    for m, s in zip(np.mean(rows, 0), np.std(rows, 0, ddof=1), strict=True)
                )
                print(f"| {transform} | {source} | {target} | {cells} |")
        for cell, found in numbers.items():
            print(f"{cell} to {source}: A {found.a:.3f}, B {found.b:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), "unamplified" in sys.argv[2:])
