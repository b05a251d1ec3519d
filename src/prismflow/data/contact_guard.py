"""Contact matrices are met for the first time in a process of their own.

The library that reads .hic and .cool is native: on a damaged file it may crash, allocate without
end or never return. A child process therefore opens the file and reads everything near the diagonal
that a store will read, under limits of time and memory; if it dies, that is a sentence. What is
built later reads only files that passed.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prismflow.data.chromosomes import Genes, check_lengths, match_chromosomes
from prismflow.data.contact_bins import bins_per_window
from prismflow.data.contacts import COVERAGE_HALF_BP, ContactFile
from prismflow.data.content import check_promise
from prismflow.data.counts import Count
from prismflow.errors import InputError
from prismflow.jobs.patches.hictk import hictkpy

#: Contacts up to this distance are read at least; candidate enhancers need 100 kb.
REACH_BP = 200_000
MEMORY_BYTES = 8 << 30
_SECONDS = 300
_BYTES_PER_SECOND = 2_000_000


def inspect_contacts(
    path: str | Path,
    genes: Genes,
    resolution_bp: int,
    normalisation: str,
    *,
    absent_chromosomes: str = "error",
    file_format: str = "",
    window_bp: int = REACH_BP,
    seconds: float | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> dict[str, Any]:
    """Open and read a contact matrix in a child process; what it says about itself.

    Args:
        path: .hic, .cool or .mcool.
        genes: N genes; their chromosomes are read.
        resolution_bp: bin size.
        normalisation: as named in the file, or ``NONE``.
        absent_chromosomes: ``error`` or ``missing``.
        file_format: as the sheet gives it; empty if it gives none.
        window_bp: contacts up to this distance are read.
        seconds: time limit; by default five minutes and what the file's size needs.
        memory_bytes: limit of the child's address space.

    Returns:
        chromosomes (name -> length), resolutions, normalisations, resolution_bp, normalisation,
        n_records (contacts read), n_genes_without_chromosome and counts.

    Raises:
        InputError: the file can't be used; or reading it crashed or passed a limit.
    """
    path = Path(path)
    if seconds is None:
        size = path.stat().st_size if path.is_file() else 0
        seconds = _SECONDS + size / _BYTES_PER_SECOND
    request = {
        "path": str(path),
        "format": file_format,
        "resolution_bp": resolution_bp,
        "normalisation": normalisation,
        "gene_counts": genes.counts(),
        "chrom_lengths": dict(genes.chrom_lengths),
        "genes_source": str(genes.source),
        "lengths_source": str(genes.lengths_source),
        "chrom_aliases": dict(genes.aliases),
        "absent_chromosomes": absent_chromosomes,
        "window_bp": window_bp,
        "memory_bytes": memory_bytes,
    }
    reply = _ask(path, request, seconds)
    if "refused" in reply:
        raise InputError(reply["refused"])
    return reply


def _ask(path: Path, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "prismflow.data.contact_guard"]
    try:
        done = subprocess.run(
            command, input=json.dumps(request), capture_output=True, text=True, timeout=seconds,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _hopeless(path, f"reading it did not end within {seconds:.0f} s") from None
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise _hopeless(path, f"it crashed the library that reads it ({name})")
    if done.returncode or not done.stdout.strip():
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise _hopeless(path, f"the library that reads it failed ({said[-1][:200]})")
    return json.loads(done.stdout.splitlines()[-1])


def _hopeless(path: Path, what: str) -> InputError:
    return InputError(
        f"{path}: the contact matrix can't be used: {what}; it seems damaged, copy or download it "
        "again."
    )


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the child does: open, compare chromosomes, read; the reply as plain values."""
    path = request["path"]
    file = ContactFile.open(path, request["resolution_bp"], request["normalisation"])
    check_promise(path, request.get("format", ""), _format_of(path))
    counts = request["gene_counts"]
    names = match_chromosomes(
        request["genes_source"], counts, path, file.lengths, request["chrom_aliases"],
        request["absent_chromosomes"],
    )  # fmt: skip
    check_lengths(request["lengths_source"], request["chrom_lengths"], path, file.lengths, names)
    reach = max(request["window_bp"], REACH_BP)
    half_bins = max(
        bins_per_window(reach, file.resolution_bp), COVERAGE_HALF_BP // file.resolution_bp + 1
    )
    records = Count("records near the diagonal, on chromosomes with genes")
    usable: dict[str, str] = {}
    for chrom, name in names.items():
        bin1, bin2, values = file.pixels(name, half_bins)
        file.check_values(name, bin1, bin2, values)
        n_finite = int(np.isfinite(values).sum())
        records.n_read += len(values)
        records.skip(f"no value with normalisation {file.normalisation}", len(values) - n_finite)
        if n_finite:
            usable[chrom] = name
    empty = [chrom for chrom in names if chrom not in usable]
    if empty and request["absent_chromosomes"] == "error":
        raise InputError(
            f"{path}: no contacts with normalisation {file.normalisation} on "
            f"{', '.join(f'{chrom} ({counts[chrom]} genes)' for chrom in empty[:6])}; it has them "
            f"on {', '.join(usable) or 'no chromosome'} and the normalisations "
            f"{', '.join(file.normalisations)}. A damaged file can look like this: choose another "
            "normalisation, copy or download it again, or set absent_chromosomes: missing for "
            "this track."
        )
    return {
        "chromosomes": file.lengths,
        "resolutions": list(file.resolutions),
        "normalisations": list(file.normalisations),
        "resolution_bp": file.resolution_bp,
        "normalisation": file.normalisation,
        "n_records": records.n_read,
        "counts": [records.plain()],
        "n_genes_without_chromosome": sum(n for c, n in counts.items() if c not in usable),
    }


def _format_of(path: str) -> str:
    """``hic``, ``mcool`` or ``cool``: the format of a file that could be opened, by its content."""
    if hictkpy.is_hic(path):
        return "hic"
    return "mcool" if hictkpy.is_mcool_file(path) else "cool"


def main() -> None:
    """Answer one request (JSON) from standard input on standard output."""
    request = json.load(sys.stdin)
    # Some systems know no limit of the address space; the time limit holds there.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (request["memory_bytes"],) * 2)
    try:
        reply = answer(request)
    except InputError as error:
        reply = {"refused": str(error)}
    sys.stdout.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
