"""Knock-outs of elements in batches against a loop over elements, on a finished run.

    python benchmarks/knockouts.py results/demo_long/simA cnn_24000bp/fold11_seed2 [--pairs 200]

The loop asks the same code about one pair at a time, with the gene's reference predicted once. Both
are timed on the same pairs within reach of the model, on one core, after one pair to warm up.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from prismflow.explain.knockouts import Model, Targets, knock_out
from prismflow.files import read_tsv


def main() -> None:
    """Print seconds per pair both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", type=Path)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--pairs", type=int, default=200)
    chosen = parser.parse_args()
    splits = chosen.cell.parent / "splits.tsv"
    table = read_tsv(chosen.cell / "pairs.tsv.gz", dtype={"gene_id": str, "chrom": str})
    print("run\tpairs\tloop (s)\tbatched (s)\ttimes faster\t10,356 pairs (s)")
    for run in chosen.runs:
        model = Model.open(chosen.cell / "store", splits, chosen.cell / run, "cpu", 1)
        place = {str(g): row for row, g in enumerate(model.inputs.store.genes["gene_id"])}
        genes = np.array([place[name] for name in table["gene_id"]], np.int64)
        targets = Targets.of(table, genes, model.inputs)
        some = np.flatnonzero(targets.reached())[: chosen.pairs]
        knock_out(model, targets.rows(some[:1]))
        start = time.perf_counter()
        apart = np.concatenate(
            [knock_out(model, targets.rows(some[[i]])) for i in range(len(some))]
        )
        middle = time.perf_counter()
        together = knock_out(model, targets.rows(some))
        batched = time.perf_counter() - middle
        np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)
        loop, whole = middle - start, 10_356 * batched / len(some)
        print(f"{run}\t{len(some)}\t{loop:.2f}\t{batched:.2f}\t{loop / batched:.1f}\t{whole:.0f}")


if __name__ == "__main__":
    main()
