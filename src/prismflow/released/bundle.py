"""Contacts of the released bundle (Seq2Exp's data set) as an ordinary contact matrix.

The bundle holds, per gene, the finished feature of 200,000 bases around its TSS: the contact of
each base's bin with the TSS's bin, plus a constant (paper, section on Hi-C). That is one row of the
matrix written out base by base; here the rows are put back together, so that the workflow reads
the bundle's contacts as it reads any other file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from prismflow.data.contacts import PSEUDOCOUNT
from prismflow.errors import InputError
from prismflow.files import atomic_path, read_json

logger = logging.getLogger(__name__)

RESOLUTION_BP = 5000
#: Smaller contacts are rounding left by the subtraction of the constant.
_NOISE = 1e-9


def convert_contacts(
    features: Sequence[str | Path], lengths_path: str | Path, path: str | Path
) -> None:
    """Write the bundle's contacts of one cell as a .cool of 5-kb bins.

    The counts are contacts as the bundle normalised them (VC), to be read with normalisation
    ``NONE``. Only bins within 100 kb of a TSS of the bundle are recorded. Genes without coverage
    (NaN in the bundle) have no record, and so have no coverage in the workflow either.

    Args:
        features: ``hic_feat_chr*.h5`` of the cell; each dataset is named ``<chrom>_<tss>``.
        lengths_path: ``chr_length.json`` of the bundle (key ``hg38``).
        path: the .cool to write.

    Raises:
        InputError: a file that is not of this layout, or a TSS outside its chromosome.
    """
    lengths = _chromosome_lengths(Path(lengths_path))
    bins = {name: -(-length // RESOLUTION_BP) for name, length in lengths.items()}
    offsets = dict(zip(lengths, np.cumsum([0, *bins.values()])[:-1].tolist(), strict=True))
    first, second, values = [], [], []
    n_genes = n_without = 0
    for file in features:
        for chrom, tss, row in _rows(Path(file), lengths):
            n_genes += 1
            if row is None:
                n_without += 1
                continue
            numbers, contacts = row
            own = tss // RESOLUTION_BP
            first.append(np.minimum(own, numbers) + offsets[chrom])
            second.append(np.maximum(own, numbers) + offsets[chrom])
            values.append(contacts)
    if not values:
        raise InputError(
            f"{', '.join(map(str, features)) or 'the bundle'}: expected contacts of at least one "
            "gene, found none."
        )
    pixels = np.concatenate(first), np.concatenate(second), np.concatenate(values)
    with atomic_path(path) as temporary:
        _write_cool(temporary, lengths, bins, *_unique(*pixels))
    logger.info("%s: contacts of %d genes, %d without coverage", path, n_genes, n_without)


def _chromosome_lengths(path: Path) -> dict[str, int]:
    document = read_json(path)
    lengths = document.get("hg38") if isinstance(document, dict) else None
    if not isinstance(lengths, dict) or not all(isinstance(v, int) for v in lengths.values()):
        raise InputError(f"{path}: expected chromosome lengths under the key 'hg38', found none.")
    return {str(name): int(length) for name, length in lengths.items()}


def _rows(
    path: Path, lengths: Mapping[str, int]
) -> Iterator[tuple[str, int, tuple[np.ndarray, np.ndarray] | None]]:
    """Chromosome, TSS, and bins with their contacts (or None without coverage) of each gene."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: expected an HDF5 file of the bundle ({error}).") from None
    with file:
        for name in file:
            chrom, _, position = name.rpartition("_")
            dataset = file[name]
            if chrom not in lengths or not position.isdigit() or dataset.ndim != 1:
                raise InputError(
                    f"{path}: expected datasets named <chromosome>_<tss> on "
                    f"{', '.join(list(lengths)[:3])}, ..., found {name!r}."
                )
            tss, half = int(position), dataset.shape[0] // 2
            if tss > lengths[chrom]:
                raise InputError(
                    f"{path}: the TSS of {name!r} lies outside {chrom}, which has "
                    f"{lengths[chrom]} bases; are both of one assembly?"
                )
            low, end = max(tss - half, 0), min(tss + half, lengths[chrom])
            numbers = np.arange(low // RESOLUTION_BP, (end - 1) // RESOLUTION_BP + 1)
            # One base of each bin says all: the feature is constant within a bin.
            bases = np.maximum(numbers * RESOLUTION_BP, low) - (tss - half)
            feature = np.asarray(dataset[bases], dtype=np.float64)
            if np.isnan(feature).all():
                yield chrom, tss, None
                continue
            contacts = feature - PSEUDOCOUNT
            recorded = contacts > _NOISE
            yield chrom, tss, (numbers[recorded], contacts[recorded])


def _unique(
    first: np.ndarray, second: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted records; genes of one bin repeat each other's."""
    order = np.lexsort((second, first))
    first, second, values = first[order], second[order], values[order]
    new = np.ones(len(first), dtype=bool)
    new[1:] = (np.diff(first) != 0) | (np.diff(second) != 0)
    return first[new], second[new], values[new]


def _write_cool(
    path: Path,
    lengths: Mapping[str, int],
    bins: Mapping[str, int],
    first: np.ndarray,
    second: np.ndarray,
    values: np.ndarray,
) -> None:
    """Write the cooler layout, version 3, without anything that depends on the clock."""
    counts = np.array(list(bins.values()))
    ends = np.repeat(list(lengths.values()), counts)
    start = np.concatenate([np.arange(n) * RESOLUTION_BP for n in counts])
    names = h5py.enum_dtype({name: i for i, name in enumerate(lengths)}, basetype="i4")
    columns: dict[str, Any] = {
        "chroms/name": np.array(list(lengths), dtype="S"),
        "chroms/length": np.array(list(lengths.values()), dtype=np.int32),
        "bins/start": start.astype(np.int32),
        "bins/end": np.minimum(start + RESOLUTION_BP, ends).astype(np.int32),
        "pixels/bin1_id": first.astype(np.int64),
        "pixels/bin2_id": second.astype(np.int64),
        "pixels/count": values,
        "indexes/chrom_offset": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "indexes/bin1_offset": np.searchsorted(first, np.arange(counts.sum() + 1)).astype(np.int64),
    }
    with h5py.File(path, "w") as out:
        chrom = np.repeat(np.arange(len(lengths), dtype=np.int32), counts)
        out.create_dataset("bins/chrom", data=chrom, dtype=names, track_times=False)
        for name, data in columns.items():
            out.create_dataset(name, data=data, track_times=False)
        out.attrs.update(
            {
                "format": "HDF5::Cooler",
                "format-version": np.int64(3),
                "bin-type": "fixed",
                "bin-size": np.int64(RESOLUTION_BP),
                "storage-mode": "symmetric-upper",
                "nbins": np.int64(counts.sum()),
                "nchroms": np.int64(len(lengths)),
                "nnz": np.int64(len(values)),
                "sum": float(values.sum()),
                "genome-assembly": "hg38",
            }
        )
