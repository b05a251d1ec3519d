"""Writing stores: array files row by row, and a folder that is complete or not there at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.store import FORMAT_VERSION, GENE_COLUMNS, Store
from prismflow.errors import InputError
from prismflow.files import sha256, write_array, write_json, write_tsv


class RowFile:
    """An array file of known shape that is filled row by row.

    The file is not memory-mapped while it is written: dirty pages of a map would count as memory
    of the job, and a store can be larger than memory. Rows never written are 0.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: str) -> None:
        """Create the file at its full size."""
        self._dtype = np.dtype(dtype)
        self._row_bytes = shape[1] * self._dtype.itemsize
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        with open(path, "wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            self._offset = stream.tell()
            stream.truncate(self._offset + shape[0] * self._row_bytes)
        self._descriptor = os.open(path, os.O_WRONLY)

    def __enter__(self) -> RowFile:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Write ``values`` (k, width) to the rows (k,)."""
        values = np.ascontiguousarray(values, dtype=self._dtype)
        for row, value in zip(np.asarray(rows).tolist(), values, strict=True):
            data, offset = memoryview(value).cast("B"), self._offset + row * self._row_bytes
            while data:
                written = os.pwrite(self._descriptor, data, offset)
                data, offset = data[written:], offset + written


@contextlib.contextmanager
def new_store(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; rename it to ``path`` if the block succeeds.

    An existing empty folder (Snakemake makes it) or an older store is replaced.

    Raises:
        InputError: ``path`` is a folder with other files in it.
    """
    path = Path(path)
    if path.is_dir():
        found = {entry.name for entry in path.iterdir()} - {".snakemake_timestamp"}
        if found and "store.json" not in found:
            raise InputError(
                f"{path}: expected an empty folder or an older store, found {sorted(found)[:5]}; "
                "move these files away."
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    # A writer that was killed leaves its folder, which can be large; one at a time writes a store.
    for left in path.parent.glob(f".{path.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    temporary.mkdir()
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def finish_store(
    folder: Path, manifest: dict[str, Any], genes: pd.DataFrame, gene_features: pd.DataFrame
) -> None:
    """Write genes, features, labels and ``store.json`` beside the arrays and open the result."""
    write_tsv(genes[list(GENE_COLUMNS)], folder / "genes.tsv")
    write_array(genes["label"].to_numpy(dtype=np.float32), folder / "labels.npy")
    write_array(gene_features.to_numpy(dtype=np.float32), folder / "gene_features.npy")
    digests = {file.name: sha256(file) for file in sorted(folder.iterdir())}
    complete = manifest | {
        "format_version": FORMAT_VERSION,
        "n_genes": len(genes),
        "gene_features": [str(name) for name in gene_features.columns],
        "digests": digests,
    }
    write_json(complete, folder / "store.json")
    Store.open(folder)
