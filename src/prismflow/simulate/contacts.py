"""Hi-C contacts: counts drawn from the model, written as .mcool (first cell) or .hic."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prismflow.files import atomic_path
from prismflow.settings.simulation import SimulationSettings
from prismflow.simulate.layout import Layout, domain_of
from prismflow.simulate.model import DOMAIN_BOOST, LOOP_STRENGTH, CellState, relative_contact
from prismflow.simulate.streams import stream

TRANS_COUNT_MEAN = 0.004
VISIBILITY_SD = 0.08


@dataclass(frozen=True)
class Pixels:
    """Upper-triangle counts at one resolution, sorted by (bin1, bin2); ids run over the genome."""

    bin1: np.ndarray
    bin2: np.ndarray
    count: np.ndarray


def make_contacts(
    layout: Layout, state: CellState, settings: SimulationSettings, seed: int, cell: int
) -> Pixels:
    """Draw counts at the finest resolution (equation 9), all against all."""
    rng = stream(seed, "contacts", cell)
    resolution = settings.resolutions_bp[0]
    n_bins = bins_per_chromosome(layout.sizes, resolution)
    offsets = np.concatenate([[0], np.cumsum(list(n_bins.values()))])
    expected = np.full((offsets[-1], offsets[-1]), TRANS_COUNT_MEAN, dtype=np.float32)
    for (chrom, bins), offset in zip(n_bins.items(), offsets, strict=False):
        block = slice(offset, offset + bins)
        expected[block, block] = _expected_cis(layout, state, settings, chrom, bins, rng)
    counts = rng.poisson(np.triu(expected)).astype(np.int32)
    bin1, bin2 = np.nonzero(counts)
    return Pixels(bin1.astype(np.int64), bin2.astype(np.int64), counts[bin1, bin2])


def bins_per_chromosome(sizes: dict[str, int], resolution: int) -> dict[str, int]:
    """Number of bins of each chromosome; the last one may be shorter."""
    return {chrom: -(-size // resolution) for chrom, size in sizes.items()}


def coarsen(pixels: Pixels, sizes: dict[str, int], fine: int, coarse: int) -> Pixels:
    """Add up the counts of the fine bins in each pair of coarse bins."""
    fine_bins = bins_per_chromosome(sizes, fine)
    coarse_bins = bins_per_chromosome(sizes, coarse)
    starts = np.concatenate([[0], np.cumsum(list(coarse_bins.values()))[:-1]])
    mapping = np.concatenate(
        [
            start + np.arange(bins) // (coarse // fine)
            for start, bins in zip(starts, fine_bins.values(), strict=True)
        ]
    )
    total = int(sum(coarse_bins.values()))
    key, where = np.unique(mapping[pixels.bin1] * total + mapping[pixels.bin2], return_inverse=True)
    count = np.bincount(where, weights=pixels.count).astype(np.int32)
    return Pixels(key // total, key % total, count)


def write_hic(
    pixels: Pixels, sizes: dict[str, int], resolutions: tuple[int, ...], path: Path
) -> None:
    """Write a .hic file (version 9, normalisation NONE: the writer knows no other)."""
    from prismflow.jobs.patches.hictk import hictkpy

    with atomic_path(path) as temporary, tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        temporary.unlink()  # the writer refuses to replace a file
        writer = hictkpy.hic.FileWriter(
            str(temporary), sizes, list(resolutions), "simulated", tmpdir=scratch
        )
        writer.add_pixels_from_dict(
            {
                "bin1_id": pixels.bin1.tolist(),
                "bin2_id": pixels.bin2.tolist(),
                "count": pixels.count.tolist(),
            }
        )
        writer.finalize()


def write_mcool(
    pixels: Pixels, sizes: dict[str, int], resolutions: tuple[int, ...], path: Path
) -> None:
    """Write a multi-resolution cooler with the weight columns ``VC`` and ``weight`` (ICE)."""
    import h5py

    # The library that writes .hic writes single-resolution coolers without weights only.
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as out:
        out.attrs["format"] = "HDF5::MCOOL"
        out.attrs["format-version"] = np.int64(2)
        for resolution in resolutions:
            part = pixels
            if resolution != resolutions[0]:
                part = coarsen(pixels, sizes, resolutions[0], resolution)
            _write_cooler(out.create_group(f"resolutions/{resolution}"), part, sizes, resolution)


def coverage_weights(matrix: np.ndarray) -> np.ndarray:
    """Vanilla coverage (VC): divisive weights, scaled so that the matrix keeps its sum."""
    coverage = matrix.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(coverage > 0, coverage, np.nan)
        scaled = np.nansum(matrix / np.outer(weights, weights))
    return weights * np.sqrt(scaled / matrix.sum())


def ice_weights(matrix: np.ndarray, rounds: int = 50, ignored_diagonals: int = 2) -> np.ndarray:
    """Iterative correction: multiplicative weights that give every bin the same coverage 1."""
    distance = np.abs(np.subtract.outer(np.arange(len(matrix)), np.arange(len(matrix))))
    work = np.where(distance < ignored_diagonals, 0.0, matrix)
    weights = np.where(work.sum(axis=1) > 0, 1.0, np.nan)
    if np.isnan(weights).all():  # a chromosome of two or three bins has no far contacts
        return weights
    for _ in range(rounds):
        filled = np.nan_to_num(weights)
        coverage = filled * (work @ filled)
        coverage = np.where(coverage > 0, coverage, np.nan)
        weights = weights / np.sqrt(coverage / np.nanmean(coverage))
    filled = np.nan_to_num(weights)
    return weights / np.sqrt(np.nanmean(np.where(filled > 0, filled * (work @ filled), np.nan)))


def _expected_cis(
    layout: Layout,
    state: CellState,
    settings: SimulationSettings,
    chrom: str,
    bins: int,
    rng: np.random.Generator,
) -> np.ndarray:
    resolution = settings.resolutions_bp[0]
    middle = np.arange(bins) * resolution + resolution // 2
    middle = np.minimum(middle, layout.sizes[chrom] - 1)
    domain = domain_of(layout.domains, np.full(bins, chrom, dtype=object), middle)
    distance = np.subtract.outer(middle, middle)
    relative = relative_contact(distance, domain[:, None] == domain[None, :])
    loops = layout.enhancers[layout.enhancers["chrom"] == chrom]
    tss = layout.genes["tss"].to_numpy()[loops["target"]] // resolution
    centre = loops["centre"].to_numpy() // resolution
    strength = LOOP_STRENGTH * (state.enhancer_activity[loops.index] > 0)
    np.add.at(relative, (np.minimum(tss, centre), np.maximum(tss, centre)), strength)
    # C compacts the chromatin: near contacts gain most, so that coverage normalisation, which
    # divides by the sum of a row, doesn't take the effect of C out of the self-contact.
    level = state.domain_background[domain]
    nearness = 1.0 / (1.0 + np.abs(distance) / 5_000)
    raised = 0.25 * settings.background_effect * np.add.outer(level, level) * nearness
    visible = np.exp(VISIBILITY_SD * rng.standard_normal(bins))
    expected = relative * np.exp(raised) * np.outer(visible, visible)
    return settings.contact_depth / DOMAIN_BOOST * expected


def _write_cooler(group: Any, pixels: Pixels, sizes: dict[str, int], resolution: int) -> None:
    import h5py

    bins = np.array(list(bins_per_chromosome(sizes, resolution).values()))
    lengths = np.array(list(sizes.values()), dtype=np.int32)
    chrom_id = np.repeat(np.arange(len(sizes), dtype=np.int32), bins)
    start = np.concatenate([np.arange(n) * resolution for n in bins]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(bins)]).astype(np.int64)
    enum = h5py.enum_dtype({name: i for i, name in enumerate(sizes)}, basetype="i4")
    columns = {
        "chroms/name": np.array(list(sizes), dtype="S16"),
        "chroms/length": lengths,
        "bins/start": start,
        "bins/end": np.minimum(start + resolution, lengths[chrom_id]).astype(np.int32),
        "pixels/bin1_id": pixels.bin1,
        "pixels/bin2_id": pixels.bin2,
        "pixels/count": pixels.count,
        "indexes/chrom_offset": offsets,
        "indexes/bin1_offset": np.searchsorted(pixels.bin1, np.arange(bins.sum() + 1)),
    }
    group.create_dataset("bins/chrom", data=chrom_id, dtype=enum, compression="gzip")
    for name, data in columns.items():
        group.create_dataset(name, data=data, compression="gzip")
    for name, weights, divisive in _weights(pixels, offsets):
        group.create_dataset(f"bins/{name}", data=weights).attrs["divisive_weights"] = divisive
    attributes = {
        "format": "HDF5::Cooler",
        "format-version": np.int64(3),
        "bin-type": "fixed",
        "bin-size": np.int64(resolution),
        "storage-mode": "symmetric-upper",
        "nchroms": np.int64(len(sizes)),
        "nbins": np.int64(bins.sum()),
        "nnz": np.int64(len(pixels.count)),
        "sum": np.int64(pixels.count.sum()),
        "genome-assembly": "simulated",
        "metadata": "{}",
    }
    for key, value in attributes.items():
        group.attrs[key] = value


def _weights(pixels: Pixels, offsets: np.ndarray) -> list[tuple[str, np.ndarray, bool]]:
    """Both weight columns, from each chromosome's own (cis) matrix."""
    coverage = np.full(offsets[-1], np.nan)
    balanced = np.full(offsets[-1], np.nan)
    for low, high in itertools.pairwise(offsets):
        inside = (pixels.bin1 >= low) & (pixels.bin2 < high)
        matrix = np.zeros((high - low, high - low))
        matrix[pixels.bin1[inside] - low, pixels.bin2[inside] - low] = pixels.count[inside]
        matrix = matrix + np.triu(matrix, 1).T
        coverage[low:high] = coverage_weights(matrix)
        balanced[low:high] = ice_weights(matrix)
    return [("VC", coverage, True), ("weight", balanced, False)]
