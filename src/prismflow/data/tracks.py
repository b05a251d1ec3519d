"""A track against the genes: whether it can be used, and a summary of what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prismflow import files
from prismflow.data.chromosomes import Genes
from prismflow.data.contact_guard import REACH_BP
from prismflow.data.kinds import kind_of
from prismflow.errors import InputError


def inspect_track(
    path: str | Path,
    kind: str,
    genes: Genes,
    *,
    modality: str = "",
    window_bp: int = REACH_BP,
    md5: str = "",
    **settings: Any,
) -> dict[str, Any]:
    """Check a track against the genes and summarise it; the result can be written as JSON.

    Args:
        path: bigWig, contact matrix or peaks.
        kind: one of the files of :mod:`prismflow.data.kinds`.
        genes: N genes.
        modality: the track's name, for messages.
        window_bp: contacts are read up to this distance at least.
        md5: what the file's MD5 must be; empty if unknown. The only check that sees every changed
            byte in a format without checksums.
        settings: the rest of the row of the sheet, see
            :data:`prismflow.data.kinds.TrackSettings`.

    Returns:
        ``modality``, ``kind``, ``file``, ``bytes``, ``md5``, ``n_genes``,
        ``n_genes_without_chromosome``, and what the kind found.

    Raises:
        InputError: the track can't be used with these genes.
    """
    reader = kind_of(modality, kind)
    path = Path(path)
    digest = _digest(path, md5)
    content = reader.inspect({**settings, "path": path}, genes, window_bp)
    size = {"file": path.name, "bytes": path.stat().st_size, "md5": digest}
    return {"modality": modality, "kind": kind, **size, "n_genes": len(genes.tss), **content}


def _digest(path: Path, expected: str) -> str:
    if not path.is_file():
        raise InputError(f"{path}: expected a data file, found no such file.")
    found = files.md5(path)
    if expected and found != expected.strip().lower():
        raise InputError(
            f"{path}: expected a file with the md5 {expected.strip().lower()}, found {found}; the "
            "file differs from the one that the sheet means, copy or download it again."
        )
    return found
