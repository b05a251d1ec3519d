"""Small whole files of every format that the workflow reads; the fuzzing damages copies of them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from prismflow.arrays import save_arrays

LENGTHS = {"chr1": 300_300, "chr2": 90_000}
RESOLUTION_BP = 5000


def write_bigwig(path: Path) -> None:
    """Intervals with gaps on both chromosomes."""
    import pyBigWig

    rng = np.random.default_rng(4)
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader(list(LENGTHS.items()))
        for chrom, length in LENGTHS.items():
            starts = np.flatnonzero(rng.random(length // 50) < 0.8) * 50
            values = rng.random(len(starts)).round(3)
            out.addEntries(
                [chrom] * len(starts), starts.tolist(), ends=(starts + 50).tolist(),
                values=values.tolist(),
            )  # fmt: skip


def write_contacts(path: Path) -> None:
    """A .hic or a .cool, by the name."""
    from prismflow.jobs.patches.hictk import hictkpy

    rng = np.random.default_rng(2)
    columns: dict[str, list] = {
        k: [] for k in ("chrom1", "start1", "end1", "chrom2", "start2", "end2", "count")
    }
    for chrom, length in LENGTHS.items():
        n_bins = -(-length // RESOLUTION_BP)
        for i in range(n_bins):
            for j in range(i, n_bins):
                if i != j and rng.random() < 0.3:
                    continue
                ends = [min((k + 1) * RESOLUTION_BP, length) for k in (i, j)]
                row = (chrom, i * RESOLUTION_BP, ends[0], chrom, j * RESOLUTION_BP, ends[1])
                for key, value in zip(columns, (*row, int(rng.integers(1, 500))), strict=True):
                    columns[key].append(value)
    if path.suffix == ".hic":
        writer = hictkpy.hic.FileWriter(str(path), LENGTHS, [RESOLUTION_BP])
    else:
        writer = hictkpy.cooler.FileWriter(str(path), LENGTHS, RESOLUTION_BP)
    writer.add_pixels_from_dict(columns)
    writer.finalize()


def write_fasta(path: Path) -> None:
    """Lines of 60 bases with some N and lower case."""
    rng = np.random.default_rng(3)
    with path.open("w") as out:
        for chrom, length in {"chr1": 9000, "chr2": 3010}.items():
            text = "".join(rng.choice(list("ACGTNacgt"), length))
            out.write(f">{chrom}\n")
            out.writelines(f"{text[at : at + 60]}\n" for at in range(0, length, 60))


def arrays() -> dict[str, np.ndarray]:
    """Weights of a small network."""
    rng = np.random.default_rng(1)
    return {
        f"layer{i}.{name}": rng.standard_normal(shape).astype(np.float32)
        for i in range(3)
        for name, shape in (("weight", (6, 5)), ("bias", (6,)))
    }


def write_checkpoint(path: Path) -> None:
    """What torch.save writes."""
    import torch

    state = {name: torch.from_numpy(value) for name, value in arrays().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"a": 1, "b": [1.5, "x"]}}, path)


def write_safetensors(path: Path) -> None:
    """Weights as this package keeps them."""
    save_arrays(arrays(), path)


def write_zip(path: Path) -> None:
    """Two members, one compressed."""
    text = "".join(f"gene{i}\t{i * 37 % 101}\n" for i in range(400))
    with zipfile.ZipFile(path, "w") as out:
        stored = zipfile.ZipInfo("data/notes.txt", (2020, 1, 1, 0, 0, 0))
        out.writestr(stored, "notes\n" * 40)
        packed = zipfile.ZipInfo("data/genes.tsv", (2020, 1, 1, 0, 0, 0))
        packed.compress_type = zipfile.ZIP_DEFLATED
        out.writestr(packed, text)


WRITERS: dict[str, Callable[[Path], None]] = {
    "track.bw": write_bigwig,
    "contacts.hic": write_contacts,
    "contacts.cool": write_contacts,
    "genome.fa": write_fasta,
    "model.ckpt": write_checkpoint,
    "model.safetensors": write_safetensors,
    "bundle.zip": write_zip,
}
