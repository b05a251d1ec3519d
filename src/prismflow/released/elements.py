"""Candidate elements out of the released enhancer-gene links (EPInformer's run of ABC).

The links name every pair of a candidate element and a gene within range, so each element stands
there once per gene; the elements themselves are the DNase peaks that the run chose.
"""

from __future__ import annotations

import logging
import zlib
from pathlib import Path

import pandas as pd

from prismflow.errors import InputError
from prismflow.files import atomic_path

logger = logging.getLogger(__name__)

_TYPES = {"chr": str, "start": "int64", "end": "int64"}
_COLUMNS = list(_TYPES)
_ROWS_AT_A_TIME = 1_000_000


def convert_elements(links: str | Path, path: str | Path) -> None:
    """Write the distinct elements of a table of links as BED (0-based half-open), sorted.

    Args:
        links: ``EnhancerPredictionsAllPutative.txt``, plain or .gz; read in pieces.
        path: the BED to write.

    Raises:
        InputError: not such a table, an interval without positive length, or no element.
    """
    links = Path(links)
    elements = pd.DataFrame(columns=_COLUMNS)
    n_links = 0
    try:
        with pd.read_csv(
            links, sep="\t", usecols=_COLUMNS, chunksize=_ROWS_AT_A_TIME, dtype=_TYPES
        ) as pieces:
            for piece in pieces:
                n_links += len(piece)
                piece = piece.drop_duplicates()
                elements = piece if elements.empty else pd.concat([elements, piece])
                elements = elements.drop_duplicates()
    except FileNotFoundError:
        raise InputError(f"{links}: expected a table of enhancer links, found no file.") from None
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{links}: expected a tab-separated table of enhancer links with the columns "
            f"{', '.join(_COLUMNS)}, found: {error}; download it again."
        ) from None
    wrong = elements[(elements["start"] < 0) | (elements["end"] <= elements["start"])]
    if len(wrong) or elements.empty:
        found = tuple(wrong.iloc[0]) if len(wrong) else "no line"
        raise InputError(
            f"{links}: expected intervals with 0 <= start < end, found {found}; download it again."
        )
    elements = elements.sort_values(_COLUMNS)
    with atomic_path(path) as temporary:
        elements.to_csv(temporary, sep="\t", header=False, index=False, lineterminator="\n")
    logger.info("%s: %d links, %d candidate elements", links, n_links, len(elements))
