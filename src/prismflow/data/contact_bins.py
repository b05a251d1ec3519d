"""Contacts per bin and contacts per base.

Kept apart from the reading of contact files, so that training does not depend on it.
"""

from __future__ import annotations

import numpy as np


def bins_per_window(window_bp: int, resolution_bp: int) -> int:
    """Largest number of bins that a window of ``window_bp`` bases can touch."""
    return (window_bp - 1 + resolution_bp - 1) // resolution_bp + 1


def expand_bins(
    values: np.ndarray,
    window_start: np.ndarray,
    pads: np.ndarray,
    stored_window_bp: int,
    window_bp: int,
    resolution_bp: int,
    double_padding: bool = False,
) -> np.ndarray:
    """Expand contacts per bin to contacts per base of centred crops.

    Args:
        values: float (n, K); column k is bin ``floor(window_start / resolution) + k``.
        window_start: int (n,), first base of the stored windows, may be negative.
        pads: int (n, 2), bases of the stored window before and behind the chromosome.
        stored_window_bp: length L of the stored windows.
        window_bp: length w <= L of the crops, which start at ``(L - w) // 2``.
        resolution_bp: bin size.
        double_padding: repeat the released loader's second padding, which shifts contacts
            against the sequence by half of (left - right) padding of the crop.

    Returns:
        Array (n, w) of the dtype of ``values``; 0 outside the chromosome.
    """
    n_windows, n_bins = values.shape
    offset = (stored_window_bp - window_bp) // 2
    start = np.asarray(window_start, dtype=np.int64)
    left, right = np.clip(np.asarray(pads, dtype=np.int64).T - offset, 0, window_bp)
    shift = (right - left) // 2 if double_padding else np.zeros(n_windows, dtype=np.int64)
    first_base = start + offset + shift
    bin_edges = (start[:, None] // resolution_bp + np.arange(n_bins + 1)) * resolution_bp
    edges = np.clip(bin_edges - first_base[:, None], 0, window_bp)
    edges[:, 0], edges[:, -1] = 0, window_bp
    repeated = np.repeat(values.ravel(), np.diff(edges, axis=1).ravel())
    expanded = repeated.reshape(n_windows, window_bp)
    for row in np.flatnonzero((left > 0) | (right > 0)):
        expanded[row, : max(left[row] - shift[row], 0)] = 0
        expanded[row, max(window_bp - right[row] - shift[row], 0) :] = 0
    return expanded
