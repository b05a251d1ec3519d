"""One independent random stream per part of the simulation."""

from __future__ import annotations

import numpy as np

# Each part has its own stream, so that (for example) more contact noise leaves the genome alone.
_STREAMS = {
    "layout": 1,
    "enhancers": 2,
    "domains": 3,
    "motifs": 4,
    "mrna": 5,
    "activity": 6,
    "expression": 7,
    "replicate": 8,
    "sequence": 9,
    "tracks": 10,
    "contacts": 11,
    "missing": 12,
    "rna": 13,
    "h3k4me3": 14,
}


def stream(seed: int, part: str, index: int = 0) -> np.random.Generator:
    """Generator of one part; ``index`` tells cells (or tracks) apart."""
    return np.random.default_rng([seed, _STREAMS[part], index])
