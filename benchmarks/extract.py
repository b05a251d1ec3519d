"""Times of the way from files to batches, against per-sample reads, on the rehearsal's files.

    python benchmarks/extract.py --files resources/rehearsal \
        --genes results/rehearsal_2kb/genes.tsv --scratch scratch --out extract.json

Stores are built in processes of their own, so their memory is measured apart. CPU seconds are
given beside wall seconds: only they mean something where others use the machine. What is compared
is timed in turns in this run, and medians are given.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import resource
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hictkpy
import numpy as np
import pandas as pd
import pyBigWig
import pyfaidx

from prismflow.data.contacts import contact_bins
from prismflow.data.genome import index_genome
from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.data.store_builder import build_store
from prismflow.files import read_tsv, write_json, write_tsv
from prismflow.training.batches import GeneBatches

logger = logging.getLogger("extract")
MODALITIES = ("h3k27ac", "dnase", "hic")
ONE_HOT = {"A": [1, 0, 0, 0], "C": [0, 1, 0, 0], "G": [0, 0, 1, 0], "T": [0, 0, 0, 1],
           "N": [0, 0, 0, 0]}  # fmt: skip
RESOLUTION_BP = 5000
REACH_BP = 100_000
GAMMA = 0.87
SCALE = -4.80 + 11.63 * GAMMA


def tracks_of(files: Path) -> list[dict[str, Any]]:
    """The rehearsal's tracks as the builder takes them."""
    signals = [
        {"modality": name, "kind": "signal", "path": str(files / f"sim.{name}.bw")}
        for name in MODALITIES[:2]
    ]
    contacts = {
        "modality": "hic", "kind": "contacts", "path": str(files / "sim.cool"),
        "resolution_bp": RESOLUTION_BP, "normalisation": "NONE",
    }  # fmt: skip
    return [*signals, contacts]


def peak_memory_mb() -> float:
    """Largest resident memory of this process (Linux).

    The figure of getrusage starts at the memory of the process that started this one.
    """
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _build(queue: Any, files: Path, genes: Path, out: Path, window_bp: int, dtype: str) -> None:
    started = time.perf_counter()
    build_store(
        out, dataset="rehearsal", cell="sim", genes_path=genes, fasta=files / "genome.fa",
        tracks=tracks_of(files), window_bp=window_bp, signal_dtype=dtype, simulated=True,
    )  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_SELF)
    size = sum(file.stat().st_size for file in out.iterdir())
    queue.put(
        {
            "n_genes": len(read_tsv(genes)),
            "window_bp": window_bp,
            "wall_s": time.perf_counter() - started,
            "cpu_s": used.ru_utime + used.ru_stime,
            "max_rss_mb": peak_memory_mb(),
            "bytes": size,
        }
    )


def timed_build(
    files: Path, genes: pd.DataFrame, out: Path, window_bp: int, dtype: str
) -> dict[str, float]:
    """Build a store of these genes in a process of its own."""
    table = genes.copy()
    table["window_start"] = table["tss"] - window_bp // 2
    table["window_end"] = table["window_start"] + window_bp
    path = out.with_suffix(".genes.tsv")
    write_tsv(table, path)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_build, args=(queue, files, path, out, window_bp, dtype))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the build of {out} failed")
    found = queue.get()
    logger.info("%s", found)
    return found


def per_sample_reader(files: Path, genes: pd.DataFrame) -> Callable[[int], list[Any]]:
    """One gene as the released loader reads it: lists, one-hot by comprehension, three bigWigs."""
    import torch

    fasta = pyfaidx.Fasta(str(files / "genome.fa"), sequence_always_upper=True)
    paths = [f"sim.{name}.bw" for name in ("h3k27ac", "dnase", "dnase")]
    tracks = [pyBigWig.open(str(files / path)) for path in paths]
    chroms, starts = genes["chrom"].tolist(), genes["window_start"].tolist()
    ends = genes["window_end"].tolist()

    def read(row: int) -> list[Any]:
        chrom, start, end = chroms[row], starts[row], ends[row]
        letters = str(fasta[chrom][start:end])
        one_hot = torch.tensor([ONE_HOT[letter] for letter in letters], dtype=torch.float32)
        signals = [torch.nan_to_num(torch.tensor(t.values(chrom, start, end))) for t in tracks]
        return [one_hot, torch.stack(signals, dim=-1)]

    return read


def data_frame_contacts(records: pd.DataFrame, tss: int, chrom_length: int) -> np.ndarray:
    """The contact feature of one TSS by a table with a row per base (paper, data section)."""
    bases = np.arange(max(tss - REACH_BP, 0), min(tss + REACH_BP, chrom_length))
    table = pd.DataFrame({"position": bases, "own": bases // RESOLUTION_BP})
    tss_bin = tss // RESOLUTION_BP
    table["bin1"] = table["own"].clip(upper=tss_bin)
    table["bin2"] = table["own"].clip(lower=tss_bin)
    table = table.merge(records, on=["bin1", "bin2"], how="left")
    contact = table["count"].fillna(0.0)
    distance = (table["position"] - tss).abs()
    if contact[distance < 500].sum() < 0.01:
        contact = contact * np.nan
    law = np.exp(SCALE - GAMMA * np.log(distance.clip(lower=RESOLUTION_BP) + 1))
    far = np.exp(SCALE - GAMMA * np.log(1_000_000 + 1))
    return (contact + law.clip(upper=far)).to_numpy()


def medians(turns: int, **jobs: Callable[[], float]) -> dict[str, float]:
    """Median seconds of each job, timed in turns."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(turns):
        for name, job in jobs.items():
            started = time.perf_counter()
            scale = job()
            found[name].append((time.perf_counter() - started) * scale)
    return {name: statistics.median(values) for name, values in found.items()}


def compare_reading(
    files: Path, store: Store, genes: pd.DataFrame, turns: int, sample: int
) -> dict[str, float]:
    """Seconds per epoch of shuffled batches of 8: from the store, and per sample from the files."""
    transforms = {"h3k27ac": "raw", "dnase": "raw", "hic": "log10p1"}
    inputs = GeneInputs(store, MODALITIES, transforms, (), store.window_bp)
    rows = np.arange(store.n_genes)
    resident = GeneBatches(inputs, rows, resident_bytes=1 << 40)
    streamed = GeneBatches(inputs, rows, resident_bytes=0)
    read = per_sample_reader(files, genes)
    rng = np.random.default_rng(0)

    def epoch(batches: GeneBatches) -> float:
        order = rng.permutation(len(rows))
        for batch in batches.stream(np.array_split(order, -(-len(order) // 8))):
            assert batch.signals.shape[1] == store.window_bp
        return 1.0

    def per_sample() -> float:
        for row in rng.choice(len(rows), sample, replace=False):
            read(int(row))
        return len(rows) / sample

    def load() -> float:
        GeneBatches(inputs, rows, resident_bytes=1 << 40)
        return 1.0

    return medians(
        turns,
        released_style_epoch_s=per_sample,
        store_in_memory_epoch_s=lambda: epoch(resident),
        store_mapped_epoch_s=lambda: epoch(streamed),
        store_into_memory_s=load,
    )


def compare_contacts(files: Path, genes: pd.DataFrame, turns: int) -> dict[str, float]:
    """Seconds for the contacts of all genes: bins per gene, and the table with a row per base."""
    sizes = {str(k): int(v) for k, v in hictkpy.File(str(files / "sim.cool")).chromosomes().items()}
    chrom = genes["chrom"].value_counts().idxmax()
    own = genes[genes["chrom"] == chrom]
    pixels = hictkpy.File(str(files / "sim.cool")).fetch(chrom, count_type="float64").to_coo()
    records = pd.DataFrame({"bin1": pixels.row, "bin2": pixels.col, "count": pixels.data})
    rng = np.random.default_rng(1)

    def table() -> float:
        tss = int(own["tss"].iloc[int(rng.integers(len(own)))])
        # Only the records that can matter are merged, which favours this side.
        bins = np.arange((tss - REACH_BP) // RESOLUTION_BP, (tss + REACH_BP) // RESOLUTION_BP + 1)
        near = records[records["bin1"].isin(bins) & records["bin2"].isin(bins)]
        data_frame_contacts(near, tss, sizes[chrom])
        return len(genes)

    def bins() -> float:
        contact_bins(
            files / "sim.cool", genes["chrom"].to_numpy(), genes["tss"].to_numpy(),
            window_bp=2 * REACH_BP, resolution_bp=RESOLUTION_BP, normalisation="NONE",
            chrom_lengths=sizes,
        )  # fmt: skip
        return 1.0

    return medians(turns, data_frame_s=table, bins_s=bins)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=Path, required=True, help="folder of the rehearsal's files")
    parser.add_argument("--genes", type=Path, required=True, help="genes.tsv with label_sim")
    parser.add_argument("--scratch", type=Path, required=True, help="for stores; emptied of them")
    parser.add_argument("--out", type=Path, required=True, help="JSON with the results")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--sample", type=int, default=200, help="genes read per sample and turn")
    parser.add_argument("--fractions", type=float, nargs="*", default=[0.25, 0.5, 1.0])
    parser.add_argument("--windows", type=int, nargs="*", default=[2000])
    parser.add_argument(
        "--length-fraction",
        type=float,
        default=0.05,
        help="share of the genes in the stores of --windows beyond the first",
    )
    parser.add_argument("--no-reading", action="store_true", help="build stores only")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("prismflow").setLevel(logging.WARNING)
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    # As the rule index_genome does: no build pays for an index of the whole FASTA.
    index_genome(arguments.files / "genome.fa", arguments.scratch / "sizes", arguments.files)
    genes = read_tsv(arguments.genes, dtype={"gene_id": str, "chrom": str})
    order = np.random.default_rng(2).permutation(len(genes))
    result: dict[str, Any] = {"builds": []}
    plan = [(arguments.windows[0], share) for share in arguments.fractions]
    plan += [(window, arguments.length_fraction) for window in arguments.windows[1:]]
    for window_bp, share in plan:
        chosen = genes.iloc[np.sort(order[: round(share * len(genes))])].reset_index(drop=True)
        out = arguments.scratch / f"store_{window_bp}_{len(chosen)}"
        dtype = "float32" if window_bp <= 20_000 else "float16"
        result["builds"].append(
            timed_build(arguments.files, chosen, out, window_bp, dtype) | {"dtype": dtype}
        )
        write_json(result, arguments.out)
        if not arguments.no_reading and (window_bp, share) == (arguments.windows[0], 1.0):
            store = Store.open(out)
            reading = compare_reading(
                arguments.files, store, genes, arguments.turns, arguments.sample
            )
            result["reading"] = reading
            result["contacts"] = compare_contacts(arguments.files, genes, arguments.turns)
            write_json(result, arguments.out)
            logger.info("%s", json.dumps(result, indent=1))
        shutil.rmtree(out)


if __name__ == "__main__":
    main()
