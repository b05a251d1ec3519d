"""Write docs/crispri.md from the tables of a finished run.

python docs/make_crispri.py results/real_k562/K562
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from prismflow.statistics.ranking import MEASURES

_TOP = """# Pairs of enhancer and gene, against CRISPR interference

In these experiments an element is silenced in living cells and the expression of a gene is
measured: the pair is regulated or it isn't. A score of a pair is judged by how well it ranks the
regulated ones first. Scores without a trained model are the floor that a model has to beat.

<!-- not run: the data are not part of a clone -->

    snakemake results/real_k562_long/figures/crispri.png --cores 2 \\
        --configfile tests/real_genome/real_genome.yaml tests/real_genome/crispri.yaml
    python docs/make_crispri.py results/real_k562_long/K562

The files are reference data of this project's tests and not part of a clone; the configuration
shows the paths that it expects. The pairs are those of EngreitzLab/CRISPR_comparison (training
part, K562, MIT licence);
`config/references.tsv` brings them for the paper's data. Another file of this layout, or another
cell, is a row of `config/perturbations.tsv`: `name`, `cell`, `path`, `cell_type` (rows of the
file whose CellType it is; empty for all), `absent_genes` (`error`, or `missing`: a pair whose
gene the gene table lacks counts among all pairs and is never tested), `note`. Rows of cells that
the sheet of cells lacks are not used.

- **1/distance, DNase/distance, activity/distance, activity x power law** read the file's own
  columns: distanceToTSS, DHS.RPM and H3K27ac.RPM.expandedRegion (element ± 150 bp). Activity is
  the geometric mean of the two.
- **tracks: ...** read the cell's own tracks over the element (here step functions of peaks, zero
  between them) and the distance of its centre to the TSS.
- Equal scores are one threshold. Intervals are 95 % percentile bootstraps over genes, each with
  all of its pairs, 1,000 resamples.
- **knock-out: ...** is what a model's prediction of the gene loses when the element's bases become
  unknown and its signals zero (contacts stay); 0 where the element lies beyond the window. Mean
  over seeds. **attention: ...** is EPInformer's, of the promoter to the candidate over the element.
- **Test genes** lie in a test split of the dataset, pooled over its folds. A trained model is
  judged on these only, and so is the share of activity x contact, which needs the gene's TSS.

Models here are gradient boosting with windows of 20 and 100 kb on peaks of H3K27ac and DNase: the
networks need more than a CPU at these lengths, and most of the genome's bases are not among the
reference data. They are scored by the same rule wherever they are trained. `snakemake
enhancer_gene` writes the scores of all pairs ([what is in them](explain.md)).
"""


def _entry(row: pd.Series) -> str:
    return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def page(summary: pd.DataFrame, reach: pd.DataFrame) -> str:
    """The page from :data:`prismflow.evaluation.crispri.SUMMARY_COLUMNS` and the reach."""
    parts = [_TOP]
    heads = ["score", "average precision", "AUROC", "precision at 70 % recall"]
    everywhere = summary[summary["distance_group"] == "all distances"]
    for name, title in (("all", "All pairs"), ("tested", "Pairs of test genes")):
        own = everywhere[everywhere["pairs"] == name]
        first = own.iloc[0]
        rows = [
            [score, *(_entry(group.set_index("measure").loc[measure]) for measure in MEASURES)]
            for score, group in own.groupby("score", sort=False)
        ]
        parts.append(
            f"\n## {title}\n\n{first['n_pairs']:,} pairs of {first['n_genes']:,} genes, "
            f"{first['n_regulated']:,} regulated.\n\n{_table(heads, rows)}"
        )
    near = summary[(summary["pairs"] == "all") & (summary["measure"] == MEASURES[0])]
    groups = near.drop_duplicates("distance_group")
    heads = ["score", *(f"{g.distance_group} ({g.n_regulated}/{g.n_pairs:,})"
                        for g in groups.itertuples())]  # fmt: skip
    rows = [
        [score, *(f"{value:.3f}" for value in group["value"])]
        for score, group in near.groupby("score", sort=False)
    ]
    parts.append(
        "\n## By distance\n\nAverage precision, all pairs; in brackets regulated pairs of all, "
        f"whose share is what chance reaches.\n\n{_table(heads, rows)}"
    )
    rows = [
        [
            f"{row.window_bp / 1000:g} kb",
            f"{row.n_reached} of {row.n_regulated}",
            f"{row.share:.1%}",
        ]
        for row in reach.itertuples()
    ]
    parts.append(
        "\n## What a window can hold\n\nRegulated pairs within half a window of the TSS: a model "
        "of that window cannot see the others at all.\n\n"
        + _table(["window", "in reach", "share"], rows)
    )
    return "".join(parts)


def main(folder: Path) -> None:
    """Write the page from a cell's results."""
    tables = [
        pd.read_csv(folder / f"{name}.tsv", sep="\t") for name in ("crispri", "crispri_reach")
    ]
    (Path(__file__).parent / "crispri.md").write_text(page(*tables), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
