"""Folders about inputs: the Hi-C feature, and how windows are cut."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig
import torch
from torch import Tensor

from prismflow.data import contacts
from prismflow.data.bigwig import BigWig
from prismflow.data.contact_bins import expand_bins
from prismflow.data.genome import Genome
from prismflow.data.transforms import apply_transform
from prismflow.errors import InputError
from prismflow.files import read_json
from prismflow.released.parity.compare import F32_FORWARD, Report, Tolerances
from prismflow.released.parity.tensors import read_tensors

RESOLUTION_BP = 5000
FEATURES, LOADED = "hic_feat_h5.npz", "hic_loader.npz"
_LOADED_KEY = re.compile(r"(?P<chrom>.+)_(?P<tss>\d+)_range(?P<window>\d+)")


def is_hic(path: Path) -> bool:
    """Whether the folder holds Hi-C features."""
    return (path / FEATURES).is_file()


def is_loader(path: Path) -> bool:
    """Whether the folder holds windows."""
    return all((path / name).is_file() for name in ("windows.safetensors", "cases.json"))


def check_hic(path: Path) -> Report:
    """Compare the Hi-C feature of every TSS, as stored and as loaded.

    Raises:
        InputError: a file cannot be read or lacks a key.
    """
    report = Report(path, "hic")
    cases = read_json(path / "cases.json")
    try:
        matrices = {chrom: _records(path, chrom) for chrom in cases["chr_lengths"]}
        for key, expected in _arrays(path / FEATURES).items():
            chrom, tss = key.rsplit("_", 1)
            feature = contacts.released_contact_feature(
                *matrices[chrom],
                int(tss),
                cases["chr_lengths"][chrom],
                RESOLUTION_BP,
                len(expected),
            )
            missing = np.isnan(feature) != np.isnan(expected)
            report.add(f"{FEATURES}.{key}.missing", int(missing.sum()), 1.0, 0.0)
            _float64(report, f"{FEATURES}.{key}", np.nan_to_num(feature), np.nan_to_num(expected))
        if (path / LOADED).is_file():
            for key, expected in _arrays(path / LOADED).items():
                _check_loaded(report, key, expected, cases, matrices)
        _check_constants(report, cases)
    except KeyError as error:
        raise InputError(f"{path}: expected the key {error}, found none.") from None
    return report


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected arrays as numpy writes them, found {error}.") from None


def _records(path: Path, chrom: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    file = path / f"hic_contacts_{chrom}.csv"
    if not file.is_file():
        raise InputError(f"{file}: expected contacts of {chrom}, found no such file.")
    table = pd.read_csv(file)
    low = table[["bin1", "bin2"]].min(axis=1).to_numpy(np.int64)
    high = table[["bin1", "bin2"]].max(axis=1).to_numpy(np.int64)
    return low, high, table["hic_contact"].to_numpy(float)


def _float64(report: Report, name: str, ours: np.ndarray, reference: np.ndarray) -> None:
    report.float64(name, torch.from_numpy(np.asarray(ours)), torch.from_numpy(reference))


def _check_loaded(
    report: Report,
    key: str,
    expected: np.ndarray,
    cases: Mapping[str, Any],
    matrices: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> None:
    """The loader's crop with its second padding, from the feature per bin that stores hold."""
    found = _LOADED_KEY.fullmatch(key)
    if found is None:
        report.not_compared.append(f"{LOADED}.{key}")
        return
    stored_bp, window_bp = cases["total_len"], int(found["window"])
    tss, length = int(found["tss"]), cases["chr_lengths"][found["chrom"]]
    feature, _ = contacts.feature_per_bin(
        *matrices[found["chrom"]], np.array([tss]), length, stored_bp, RESOLUTION_BP
    )
    start = tss - stored_bp // 2
    pads = np.array([[max(0, -start), max(0, start + stored_bp - length)]])
    values = expand_bins(
        feature, np.array([start]), pads, stored_bp, window_bp, RESOLUTION_BP, double_padding=True
    )
    loaded = apply_transform("log10p1", values.astype(np.float32))[0]
    reference = torch.from_numpy(expected)
    tolerances = Tolerances(forward=F32_FORWARD / 10)
    report.float32(f"{LOADED}.{key}", torch.from_numpy(loaded), reference, None, tolerances)


def _check_constants(report: Report, cases: Mapping[str, Any]) -> None:
    table = cases.get("powerlaw", {})
    for key, expected in table.items():
        if key.startswith("contact_"):
            ours = [contacts.power_law_contact(d) for d in table["distance"]]
            _float64(report, f"powerlaw.{key}", np.array(ours), np.array(expected))
    constants = {"pseudocount": contacts.PSEUDOCOUNT, "qc_threshold": contacts.COVERAGE_MIN}
    for key, constant in constants.items():
        if key in cases:
            _float64(report, key, np.array([constant]), np.array([float(cases[key])]))


def check_loader(path: Path) -> Report:
    """Compare one-hot sequence, signal and mask of every window.

    The chromosome and its tracks are written to files first, so that the comparison goes through
    the same readers as the workflow.

    Raises:
        InputError: a file cannot be read or lacks a key.
    """
    report = Report(path, "loader")
    cases, tensors = read_json(path / "cases.json"), read_tensors(path / "windows.safetensors")
    try:
        chrom, window_bp = cases["chrom"], cases["seq_range"]
        starts = np.array(cases["tss"], dtype=np.int64) - window_bp // 2
        with tempfile.TemporaryDirectory() as folder:
            fasta = Path(folder) / "genome.fa"
            fasta.write_text(f">{chrom}\n{cases['chrom_sequence']}\n", encoding="ascii")
            windows = {
                "seq_onehot": _one_hot(fasta, chrom, starts, window_bp),
                "signal": _track(Path(folder), chrom, tensors["in.values"], starts, window_bp),
                "mask": _track(Path(folder), chrom, tensors["in.mask"], starts, window_bp),
            }
    except KeyError as error:
        raise InputError(f"{path}: expected the key {error}, found none.") from None
    rows = {str(tss): row for row, tss in enumerate(cases["tss"])}
    for name, reference in tensors.items():
        kind, _, tss = name.partition(".")
        if kind in windows and tss in rows:
            report.exact(name, windows[kind][rows[tss]], reference)
        elif kind != "in":
            report.not_compared.append(name)
    return report


def _one_hot(fasta: Path, chrom: str, starts: np.ndarray, window_bp: int) -> Tensor:
    rows = torch.cat([torch.eye(4, dtype=torch.uint8), torch.zeros(1, 4, dtype=torch.uint8)])
    with Genome(fasta) as genome:
        codes = np.stack([genome.codes(chrom, start, start + window_bp) for start in starts])
    return rows[torch.from_numpy(codes).long()]


def _track(folder: Path, chrom: str, values: Tensor, starts: np.ndarray, window_bp: int) -> Tensor:
    """Windows (n, window_bp) of per-base values, through a bigWig."""
    file = folder / "track.bw"
    numbers = values.double().numpy()
    present = np.flatnonzero(np.isfinite(numbers))
    with pyBigWig.open(str(file), "w") as writer:
        writer.addHeader([(chrom, len(numbers))])
        writer.addEntries(
            [chrom] * len(present), present.tolist(), present + 1, numbers[present].tolist()
        )
    result = np.zeros((len(starts), window_bp), dtype=np.float32)
    with BigWig(file) as track:
        for rows, found in track.windows(chrom, starts, window_bp):
            result[rows] = np.nan_to_num(found)
    return torch.from_numpy(result)
