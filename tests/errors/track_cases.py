"""Wrong input of S3norm and of peaks that are called from a bigWig; as tests/errors/cases.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
from errors.case import Case

from prismflow.data.called_peaks import write_called_peaks
from prismflow.data.s3norm import fit_files, training_chromosomes

S3NORM, CALLED = "S3norm", "Called peaks"
N_BINS = 200


def _bigwig(name: str, values: np.ndarray, chrom: str = "chr1", longer_bp: int = 0) -> None:
    length = 200 * len(values)
    with pyBigWig.open(name, "w") as out:
        out.addHeader([(chrom, length + longer_bp)])
        starts = np.arange(0, length, 200)
        out.addEntries([chrom] * len(values), starts.tolist(), ends=(starts + 200).tolist(),
                       values=values.astype(float).tolist())  # fmt: skip


def _values(peak: float = 50.0) -> np.ndarray:
    values = np.ones(N_BINS)
    values[:10] = peak
    return values


def _s3norm(own: np.ndarray, chrom: str = "chr1", longer_bp: int = 0) -> Callable[[], object]:
    """Fit a track of these bins to a reference with ten peaks."""

    def run() -> object:
        _bigwig("a.bw", own, chrom, longer_bp)
        _bigwig("ref.bw", _values())
        return fit_files(Path("a.bw"), Path("ref.bw"), {"chr1"}, {})

    return run


def _no_chromosome() -> object:
    splits = pd.DataFrame({"gene_id": ["a", "b"], "fold1": ["train", "test"]})
    return training_chromosomes(pd.Series(["chr1", "chr1"]), splits, ["fold1"])


def _called(values: np.ndarray, control: bool = False, longer_bp: int = 0, **options) -> Callable:
    def run() -> object:
        _bigwig("a.bw", values)
        _bigwig("control.bw", values, longer_bp=longer_bp)
        given = {"top_share": 0.01, "control": "control.bw" if control else None, **options}
        return write_called_peaks("a.bw", "called.narrowPeak", **given)

    return run


TRACK_CASES: tuple[Case, ...] = (
    Case(S3NORM, "negative values", _s3norm(-_values()), "needs values >= 0, found -50"),
    Case(S3NORM, "peaks elsewhere than those of the reference", _s3norm(_values()[::-1]),
         "needs bins that are peaks, .* found 0 and"),
    Case(S3NORM, "other chromosomes", _s3norm(_values(), chrom="chr2"), "found none of chr1"),
    Case(S3NORM, "another assembly", _s3norm(_values(), longer_bp=600), "found chr1 with 40600"),
    Case(S3NORM, "folds that leave no training chromosome", _no_chromosome, "only train in the"),
    Case(CALLED, "negative values", _called(-_values()), "at least 0 to call peaks, found -50"),
    Case(CALLED, "floor above the track", _called(_values(), floor=99.0), "above 99 .* found none"),
    Case(CALLED, "the track as its own control", _called(_values(), True, top_share=None),
         "is it the track itself"),
    Case(CALLED, "control of another assembly", _called(_values(), True, 600, top_share=None),
         "found chr1 of another length"),
)  # fmt: skip
