"""The store: everything that models read about the genes of one cell, as memory-mapped arrays.

One store per dataset and cell, at the dataset's longest window; shorter inputs are centre crops.
Windows are 0-based half-open, ``[tss - L/2, tss + L/2)`` on the forward strand for every gene
(paper, section on data; released code). Signals are raw bigWig values; contacts are kept per bin
and expanded to bases when they are read.
"""

from __future__ import annotations

import functools
import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.layouts import StoredWindows, layout_of
from prismflow.errors import InputError
from prismflow.files import read_json, read_tsv, sha256

FORMAT_VERSION = 1
GENE_COLUMNS = (
    "gene_id", "chrom", "tss", "strand", "window_start", "window_end", "pad_left", "pad_right",
    "label",
)  # fmt: skip
ELEMENT_FILES = {
    "sequence": "element_sequence.npy",
    "index": "element_index.npy",
    "features": "element_features.npy",
    "table": "elements.tsv",
}
N_ELEMENT_FEATURES = 3


@dataclass(frozen=True, eq=False)
class Store:
    """A validated, memory-mapped store of N genes and windows of L bases.

    Attributes:
        path: the store's folder.
        manifest: content of ``store.json``.
        genes: N rows, columns of ``genes.tsv`` (:data:`GENE_COLUMNS`).
        gene_features: float32 (N, F), columns as in ``manifest["gene_features"]``.
        labels: float32 (N,).
        arrays: memory-mapped arrays by name.
        element_arrays: sequence, index and features of candidate enhancers; empty without them.
    """

    path: Path
    manifest: dict[str, Any]
    genes: pd.DataFrame
    gene_features: np.ndarray
    labels: np.ndarray
    arrays: Mapping[str, np.ndarray]
    element_arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | Path, verify_digests: bool = False) -> Store:
        """Open a store and check that ``store.json`` and the files agree.

        Raises:
            InputError: a file is absent, has another shape or type than ``store.json`` says, or
                (with ``verify_digests``) other bytes.
        """
        path = Path(path)
        if not path.is_dir():
            raise InputError(f"{path}: expected the folder of a store, found no such folder.")
        manifest = read_json(path / "store.json")
        _check_manifest(path, manifest)
        n_genes, window_bp = manifest["n_genes"], manifest["window_bp"]
        n_features = len(manifest["gene_features"])
        arrays = {"sequence": _load(path, "sequence.npy", (n_genes, window_bp), ("uint8",))}
        for name, entry in manifest["modalities"].items():
            width = layout_of(entry).width(path / "store.json", name, entry, window_bp)
            arrays[name] = _load(path, entry["file"], (n_genes, width), (entry["dtype"],))
        features = _load(path, "gene_features.npy", (n_genes, n_features), ("float32",))
        labels = _load(path, "labels.npy", (n_genes,), ("float32",))
        element_arrays = _load_elements(path, manifest) if "elements" in manifest else {}
        genes = read_tsv(path / "genes.tsv", dtype={"gene_id": str, "chrom": str})
        if tuple(genes.columns) != GENE_COLUMNS or len(genes) != n_genes:
            raise InputError(
                f"{path / 'genes.tsv'}: expected {n_genes} genes (store.json) with columns "
                f"{' '.join(GENE_COLUMNS)}, found {len(genes)} genes with columns "
                f"{' '.join(map(str, genes.columns))}; build the store again."
            )
        store = cls(
            path, manifest, genes, np.array(features), np.array(labels), arrays, element_arrays
        )
        if verify_digests:
            store.verify(manifest["digests"])
        return store

    def verify(self, files: Iterable[str]) -> None:
        """Compare the SHA-256 of files with those in ``store.json``, where it names them.

        Raises:
            InputError: a file has other bytes, or none.
        """
        digests = self.manifest["digests"]
        for file in sorted(set(files).intersection(digests)):
            try:
                found = sha256(self.path / file)
            except OSError as error:
                raise InputError(
                    f"{self.path / file}: store.json names this file, it can't be read "
                    f"({error.strerror}); build the store again."
                ) from None
            if found != digests[file]:
                raise InputError(
                    f"{self.path / file}: store.json has the SHA-256 {digests[file]}, found "
                    f"{found}; the file was changed, build the store again."
                )

    def let_go(self) -> None:
        """Give back the memory of what was read; it is read from the disk when it is asked for.

        Pages of a mapped file count as the process's own until the system needs them.
        """
        for array in (*self.arrays.values(), *self.element_arrays.values()):
            if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                array.base.madvise(mmap.MADV_DONTNEED)

    @property
    def window_bp(self) -> int:
        """Longest window L that can be read."""
        return int(self.manifest["window_bp"])

    @property
    def n_genes(self) -> int:
        """Number of genes N."""
        return int(self.manifest["n_genes"])

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names that can be model inputs (values, no masks), in the configured order."""
        entries = self.manifest["modalities"]
        return tuple(n for n in self.manifest["modality_order"] if layout_of(entries[n]).is_input)

    @property
    def peaks(self) -> tuple[str, ...]:
        """Names of the peak masks, in the configured order."""
        entries = self.manifest["modalities"]
        order = self.manifest["modality_order"]
        return tuple(n for n in order if not layout_of(entries[n]).is_input)

    def sequence(self, rows: Sequence[int] | np.ndarray, window_bp: int) -> np.ndarray:
        """Base codes uint8 (n, w): A 0, C 1, G 2, T 3, other or outside the chromosome 4."""
        start = self._crop_start(window_bp)
        return np.asarray(self.arrays["sequence"][np.asarray(rows), start : start + window_bp])

    def signal(self, name: str, rows: Sequence[int] | np.ndarray, window_bp: int) -> np.ndarray:
        """Raw values float32 (n, w) of a modality per base, without transform.

        Contacts are expanded from bins: base p has bin ``floor(p / resolution)``. Outside the
        chromosome every modality is 0.

        Raises:
            InputError: the store has no such modality, or the window is longer than the store's.
        """
        entry = self.modality(name)
        self._crop_start(window_bp)
        return layout_of(entry).read(
            self.arrays[name], entry, np.asarray(rows), self._windows, window_bp
        )

    @property
    def has_elements(self) -> bool:
        """Whether the store holds candidate enhancers."""
        return bool(self.element_arrays)

    def element_codes(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Base codes uint8 (n, 1 + m, element_bp): the promoter, then candidates, nearest first.

        Absent elements are 4 everywhere.

        Raises:
            InputError: the store has no elements.
        """
        self._require_elements()
        index = self.element_arrays["index"][np.asarray(rows)]
        codes = self.element_arrays["sequence"][np.maximum(index, 0)]
        codes[index < 0] = 4
        return codes

    def element_features(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Distance in kb, log10(1 + contact) and activity, float32 (n, 1 + m, 3).

        Raises:
            InputError: the store has no elements.
        """
        self._require_elements()
        return np.array(self.element_arrays["features"][np.asarray(rows)])

    def _require_elements(self) -> None:
        if not self.has_elements:
            raise InputError(
                f"{self.path}: the store of cell {self.manifest['cell']!r} has no candidate "
                "enhancers; declare `elements` for the dataset and build the store again."
            )

    def modality(self, name: str) -> dict[str, Any]:
        """Entry of a modality in ``store.json``.

        Raises:
            InputError: the store has no such modality.
        """
        entries = self.manifest["modalities"]
        if name not in entries:
            raise InputError(
                f"{self.path}: the store of cell {self.manifest['cell']!r} has no modality "
                f"{name!r}; it has: {', '.join(entries) or 'none'}."
            )
        return entries[name]

    def _crop_start(self, window_bp: int) -> int:
        if window_bp <= 0 or window_bp % 2:
            raise InputError(f"expected a positive even window, found {window_bp} bp.")
        if window_bp > self.window_bp:
            raise InputError(
                f"{self.path}: a window of {window_bp} bp was asked for, the store has windows of "
                f"{self.window_bp} bp; build the dataset with a longer window."
            )
        return (self.window_bp - window_bp) // 2

    @functools.cached_property
    def _windows(self) -> StoredWindows:
        return StoredWindows(
            self.window_bp,
            self.genes["window_start"].to_numpy(),
            self.genes[["pad_left", "pad_right"]].to_numpy(),
        )


def _check_manifest(path: Path, manifest: Any) -> None:
    needed = (
        "format_version", "dataset", "cell", "window_bp", "n_genes", "modalities",
        "modality_order", "gene_features", "label", "simulated", "digests",
    )  # fmt: skip
    where = path / "store.json"
    absent = [k for k in needed if not isinstance(manifest, dict) or k not in manifest]
    if absent:
        raise InputError(f"{where}: expected the keys {', '.join(needed)}; absent: {absent}.")
    if manifest["format_version"] != FORMAT_VERSION:
        raise InputError(
            f"{where}: expected format_version {FORMAT_VERSION}, found "
            f"{manifest['format_version']}; build the store again."
        )
    if sorted(manifest["modality_order"]) != sorted(manifest["modalities"]):
        raise InputError(
            f"{where}: modality_order names {manifest['modality_order']}, modalities are "
            f"{sorted(manifest['modalities'])}; build the store again."
        )


def _load_elements(path: Path, manifest: dict[str, Any]) -> dict[str, np.ndarray]:
    entry, files = manifest["elements"], ELEMENT_FILES
    shape = (manifest["n_genes"], 1 + entry["n_nearest"])
    size = (entry["n_elements"], entry["sequence_bp"])
    return {
        "sequence": _load(path, files["sequence"], size, ("uint8",)),
        "index": _load(path, files["index"], shape, ("int32",)),
        "features": _load(path, files["features"], (*shape, N_ELEMENT_FEATURES), ("float32",)),
    }


def _load(path: Path, file: str, shape: tuple[int, ...], dtypes: tuple[str, ...]) -> np.ndarray:
    where = path / file
    try:
        array = np.load(where, mmap_mode="r" if 0 not in shape else None, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{where}: store.json names this file, found no such file.") from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"{where}: expected a complete array file, found {error}; build the store again."
        ) from None
    if array.shape != shape or array.dtype.name not in dtypes:
        raise InputError(
            f"{where}: store.json says {' or '.join(dtypes)} of shape {shape}, found "
            f"{array.dtype.name} of shape {array.shape}; build the store again."
        )
    return array
