"""Nothing silently different: a changed input is refused, counted, flagged, or gives the same.

Each change is one that people's programs make and that leaves a file readable. The oracle is never
"it was read": values that differ must come with a sentence, a count or a flag.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from samples import LENGTHS, RESOLUTION_BP, write_contacts

from prismflow.data.chromosomes import Genes
from prismflow.data.contact_guard import answer
from prismflow.data.contacts import contact_bins
from prismflow.data.elements import candidate_elements
from prismflow.data.genes import read_genes
from prismflow.data.genome import Genome
from prismflow.data.kinds.signal import read_windows
from prismflow.data.quantification import read_quantification
from prismflow.data.splits import assign_splits
from prismflow.data.tracks import inspect_track
from prismflow.errors import InputError
from prismflow.evaluation.suspicions import file_flags, label_flags, lone_flags
from prismflow.settings.tracks import read_cells
from prismflow.settings.yaml_files import read_yaml

SEEDS = range(120)
GENES = Genes(np.array(["chr1", "chr1", "chr2"], dtype=object),
              np.array([40_000, 90_000, 40_000]), LENGTHS)  # fmt: skip
Rows = list[list[str]]
Change = Callable[[Rows, random.Random], Rows]


# --- what programs do to tables -------------------------------------------------------------------
def quote_opened(rows: Rows, rng: random.Random) -> Rows:
    rows[rng.randrange(1, len(rows))][-1] += '"'
    return rows


def quotes_round_a_field(rows: Rows, rng: random.Random) -> Rows:
    row, at = rng.choice(rows), rng.randrange(len(rows[0]))
    row[at] = f'"{row[at]}"'
    return rows


def empty_columns_behind(rows: Rows, rng: random.Random) -> Rows:
    return [[*row, *[""] * rng.randrange(1, 3)] for row in rows]


def column_twice(rows: Rows, rng: random.Random) -> Rows:
    at = rng.randrange(len(rows[0]))
    return [[*row, row[at] if number == 0 else "7"] for number, row in enumerate(rows)]


def row_names(rows: Rows, rng: random.Random) -> Rows:
    return [rows[0], *([str(number), *row] for number, row in enumerate(rows[1:], start=1))]


def exponent(rows: Rows, rng: random.Random) -> Rows:
    row = rng.choice(rows[1:])
    whole = [at for at, value in enumerate(row) if value.isdigit() and len(value) > 3]
    for at in whole:
        row[at] = f"{float(row[at]):.2e}"
    return rows


def spaces(rows: Rows, rng: random.Random) -> Rows:
    row, at = rng.choice(rows[1:]), rng.randrange(len(rows[0]))
    row[at] = rng.choice([f" {row[at]}", f"{row[at]} "])
    return rows


def field_lost(rows: Rows, rng: random.Random) -> Rows:
    rng.choice(rows[1:]).pop()
    return rows


CHANGES: tuple[Change, ...] = (
    quote_opened, quotes_round_a_field, empty_columns_behind, column_twice, row_names, exponent,
    spaces, field_lost,
)  # fmt: skip
#: Free text is not read: a quote or a space in it is nothing.
GENE_ROWS = [["gene_id", "chrom", "tss", "strand", "A_tpm", "split", "note"]] + [
    [f"g{n}", "chr1", str(1000 + 1111 * n), "+-"[n % 2], f"{n}.5", split, "5 prime"]
    for n, split in enumerate(["train", "train", "train", "valid", "test"], start=1)
]
QUANT_ROWS = [["gene_id", "length", "tpm", "note"]] + [
    [f"g{n}", str(1000 + n), f"{n}.5", "x"] for n in range(1, 6)
]
CELL_ROWS = [["cell", "biosample", "description"]] + [
    [f"C{n}", f"line {n}", "text"] for n in range(1, 5)
]


def read_gene_table(path: Path) -> object:
    genes = read_genes(path, cells=["A"], chrom_lengths={"chr1": 90_000}, lengths_source="x.fa",
                       label_column="{cell}_tpm", split_columns=["split"])  # fmt: skip
    fold = assign_splits(genes, kind="column", folds=["split"], source=str(path))["split"]
    columns = ["gene_id", "chrom", "tss", "strand", "label_A"]
    return [*genes[columns].to_numpy().tolist(), fold.tolist()]


def read_tpm(path: Path) -> object:
    found, counts = read_quantification(path, {})
    return found.to_dict(), sum(counts.values())


def read_cell_sheet(path: Path) -> object:
    return [(name, row["biosample"]) for name, row in read_cells(str(path)).items()]


TABLES: dict[str, tuple[Rows, Callable[[Path], object]]] = {
    "genes.tsv": (GENE_ROWS, read_gene_table),
    "quant.tsv": (QUANT_ROWS, read_tpm),
    "cells.tsv": (CELL_ROWS, read_cell_sheet),
}


def saved(path: Path, rows: Rows, rng: random.Random | None = None) -> Path:
    """Write a table with any line end, mark and packing."""
    end = rng.choice(["\n", "\r\n", "\r"]) if rng else "\n"
    data = (end.join("\t".join(row) for row in rows) + end).encode()
    if rng and rng.random() < 0.3:
        data = b"\xef\xbb\xbf" + data
    path.write_bytes(gzip.compress(data) if rng and rng.random() < 0.3 else data)
    return path


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_alike_or_refused(tmp_path: Path, name: str) -> None:
    rows, read = TABLES[name]
    whole = read(saved(tmp_path / name, rows))
    ends = {"same": 0, "refused": 0}
    for seed in SEEDS:
        rng = random.Random(seed)
        changed = [list(row) for row in rows]
        for change in rng.sample(CHANGES, rng.choice([1, 1, 2])):
            changed = change(changed, rng)
        path = saved(tmp_path / name, changed, rng)
        try:
            found = read(path)
        except InputError as error:
            assert name in str(error) and "\n" not in str(error)
            ends["refused"] += 1
            continue
        assert found == whole, f"seed {seed}: {path.read_bytes()[:400]!r}"
        ends["same"] += 1
    assert min(ends.values()) > 10, ends


# --- peaks ----------------------------------------------------------------------------------------
NARROW = [[c, str(start), str(start + 400), f"p{start}", "9", ".", "5.5", "3", "2", str(summit)]
          for c, start, summit in (("chr1", 39_000, 100), ("chr1", 60_000, 300),
                                   ("chr1", 88_000, 20), ("chr2", 30_000, 350))]  # fmt: skip


def test_peaks_are_read_alike_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "peaks.bed"
    whole = candidate_elements(saved(path, NARROW), GENES)
    assert len(whole) == len(NARROW)
    ends = {"same": 0, "refused": 0}
    names = ("peaks.bed", "peaks.narrowPeak", "peaks.txt", "peaks.bw", "peaks.bed.gz")
    for seed in SEEDS:
        rng = random.Random(seed)
        changed = [["#", *row[1:]] for row in NARROW[:1]] + [list(row) for row in NARROW]
        change = rng.choice([quote_opened, quotes_round_a_field, exponent, spaces, None])
        if change is quote_opened:
            changed[rng.randrange(1, len(changed))][3] += '"'
        elif change is not None:
            changed = change(changed, rng)
        path = saved(tmp_path / rng.choice(names), changed, rng)
        try:
            inspect_track(path, "peaks", GENES, format="narrowPeak")
            found = candidate_elements(path, GENES)
        except InputError as error:
            assert "\n" not in str(error)
            ends["refused"] += 1
            continue
        pd.testing.assert_frame_equal(found, whole)
        ends["same"] += 1
    assert min(ends.values()) > 10, ends


# --- tracks with a part that has no value ---------------------------------------------------------
def _signal(path: Path, empty: str, values: dict[str, float]) -> Path:
    import pyBigWig

    with pyBigWig.open(str(path), "w") as out:
        out.addHeader(list(LENGTHS.items()))
        for chrom, length in LENGTHS.items():
            if chrom != empty:
                starts = list(range(0, length - 100, 100))
                own = [values.get(chrom, 1.0 + at % 7) for at in starts]
                out.addEntries([chrom] * len(starts), starts, ends=[s + 100 for s in starts],
                               values=own)  # fmt: skip
    return path


@pytest.mark.parametrize("empty", ["", *LENGTHS])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("policy", ["error", "missing"])
def test_signals_without_values_are_refused_or_counted(
    tmp_path: Path, empty: str, value: float | None, policy: str
) -> None:
    whole, _ = read_windows(_signal(tmp_path / "w.bw", "", {}), GENES, 200)
    values = {} if value is None else {"chr1": value}
    path = _signal(tmp_path / "x.bw", empty, values)
    try:
        summary = inspect_track(path, "signal", GENES, absent_chromosomes=policy)
        found, missing = read_windows(path, GENES, 200, absent_chromosomes=policy)
    except InputError as error:
        assert (empty and empty in str(error)) or value is not None
        return
    different = (found != whole).any(axis=1)
    counted = max(missing.n_genes_without_chromosome, summary["n_genes_without_chromosome"])
    assert different.sum() <= counted


def test_contacts_without_values_are_refused_or_counted(tmp_path: Path) -> None:
    import h5py

    write_contacts(tmp_path / "whole.cool")
    data = (tmp_path / "whole.cool").read_bytes()
    path = tmp_path / "x.cool"
    n_bins = [-(-length // RESOLUTION_BP) for length in LENGTHS.values()]
    settings = {"window_bp": 2000, "resolution_bp": RESOLUTION_BP, "normalisation": "KR"}
    request = {
        "path": str(path), "resolution_bp": RESOLUTION_BP, "normalisation": "KR",
        "gene_counts": GENES.counts(), "chrom_lengths": LENGTHS, "genes_source": "genes",
        "lengths_source": "genome", "chrom_aliases": {}, "window_bp": 2000,
    }  # fmt: skip
    whole, ends = None, {"refused": 0, "counted": 0, "same": 0}
    for seed in range(-1, 60):
        rng = random.Random(seed)
        weights = np.ones(sum(n_bins))
        for _ in range(0 if seed < 0 else rng.choice([0, 1, 1, 3])):
            first, length = rng.choice([(0, n_bins[0]), (n_bins[0], n_bins[1])])
            at = first + rng.randrange(length)
            # NaN in single bins is the format's own way of saying that they are masked.
            if rng.random() < 0.6:
                weights[first : first + length] = rng.choice([np.nan, np.nan, 0.0])
            else:
                weights[at] = rng.choice([-1.0, 0.0])
        path.write_bytes(data)
        with h5py.File(path, "a") as out:
            out["bins"]["KR"] = weights
        policy = rng.choice(["error", "missing"])
        try:
            answer({**request, "absent_chromosomes": policy})
            values, report = contact_bins(path, GENES, absent_chromosomes=policy, **settings)
        except InputError as error:
            assert "x.cool" in str(error)
            ends["refused"] += 1
            continue
        whole = values if whole is None else whole
        different = (values != whole).any(axis=1).sum()
        counted = report["n_genes_without_coverage"] + report["n_genes_without_chromosome"]
        assert different <= counted, f"seed {seed}"
        ends["counted" if different else "same"] += 1
    assert min(ends.values()) > 2, ends


# --- indexes, configuration, labels ---------------------------------------------------------------
def test_an_index_that_was_changed_moves_no_base(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    text = {c: "".join(rng.choice(list("ACGT"), n)) for c, n in (("chr1", 4000), ("chr2", 900))}
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{c}\n{t}\n" for c, t in text.items()))
    with Genome(path) as genome:
        whole = {c: genome.codes(c, 100, 800).tolist() for c in text}
    lines = ["chr1\t4000\t6\t4000\t4001", f"chr2\t900\t{6 + 4001 + 6}\t900\t901"]
    for seed in SEEDS:
        own = random.Random(seed)
        fields = [line.split("\t") for line in lines]
        row, at = own.choice(fields), own.randrange(1, 5)
        row[at] = str(max(int(row[at]) + own.choice([-7, -1, 1, 7, 60]), 1))
        Path(f"{path}.fai").write_text("\n".join("\t".join(row) for row in fields) + "\n")
        try:
            with Genome(path) as genome:
                found = {c: genome.codes(c, 100, 800).tolist() for c in text}
        except InputError as error:
            assert "genome.fa" in str(error)
            continue
        assert found == whole, f"seed {seed}"


def test_a_key_that_is_written_twice_never_wins_silently(tmp_path: Path) -> None:
    lines = ["run:", "  device: cpu", "  train_threads: 2", "training:", "  steps: 5",
             "  batch_size: 4"]  # fmt: skip
    path = tmp_path / "config.yaml"
    for at, line in enumerate(lines):
        path.write_text("\n".join([*lines, *lines[:1], line] if ":" not in line else
                                  [*lines[: at + 1], line, *lines[at + 1 :]]) + "\n")  # fmt: skip
        with pytest.raises(InputError, match=r"config\.yaml"):
            read_yaml(path)


@pytest.mark.parametrize("seed", range(20))
def test_labels_and_files_that_were_mixed_up_are_flagged(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = np.round(rng.gamma(0.8, 30, 400) * rng.lognormal(0, 1, 400), 2)
    names = [f"g{n}" for n in range(len(raw))]
    assert label_flags("A", np.log10(raw + 1), names, "log10p1") == []
    assert lone_flags(raw, names, "x") == []
    huge = raw.copy()
    huge[rng.integers(len(raw))] = 10.0 ** rng.integers(8, 13)
    assert lone_flags(huge, names, "x")
    logs = np.log10(raw + 1)
    assert label_flags("A", np.log10(logs + 1), names, "log10p1")
    assert file_flags(
        {("A", name): {"md5": "d", "file": "a.bw", "read": ""} for name in ("dnase", "h3k27ac")}
    )
