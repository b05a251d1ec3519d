"""H3K27ac, DNase and H3K4me3 tracks per 10 bp, and the DNase peaks that a caller would report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.files import atomic_path, write_text
from prismflow.settings.simulation import EXTRA_TRACK, TRACKS, SimulationSettings
from prismflow.simulate.layout import Layout, tss_base
from prismflow.simulate.model import CellState
from prismflow.simulate.streams import stream

STEP_BP = 10
REACH_BP = 1_500
ARTEFACT = {"h3k27ac": 55.0, "dnase": 48.0, EXTRA_TRACK: 60.0}


def make_tracks(
    layout: Layout, state: CellState, settings: SimulationSettings, seed: int, cell: int
) -> dict[str, dict[str, np.ndarray]]:
    """Values of all tracks: track -> chromosome -> float32 (ceil(length / 10),), NaN missing.

    Values are like fold changes over a control (0 to about 60), not transformed
    (equations 11, 12 and 15).
    """
    result = {}
    streams = {
        track: (("tracks", 2 * cell + number), ("missing", 2 * cell + number))
        for number, track in enumerate(TRACKS)
    }
    streams[EXTRA_TRACK] = ((EXTRA_TRACK, 1_000 + cell), (EXTRA_TRACK, 2_000 + cell))
    for track, (drawn, missing) in streams.items():
        rng = stream(seed, *drawn)
        values = {
            chrom: _background(track, chrom, size, layout, state, settings, rng)
            for chrom, size in layout.sizes.items()
        }
        _add_peaks(values, track, layout, state, settings, rng)
        _add_artefacts(values, track, layout)
        _remove_stretches(values, layout, settings, stream(seed, *missing))
        result[track] = {c: np.round(v, 2).astype(np.float32) for c, v in values.items()}
    return result


def write_bigwig(values: dict[str, np.ndarray], sizes: dict[str, int], path: Path) -> None:
    """Write one track; NaN bins become bases without data."""
    import pyBigWig

    with atomic_path(path) as temporary:
        out = pyBigWig.open(str(temporary), "w")
        out.addHeader(list(sizes.items()))
        for chrom, size in sizes.items():
            # The last bin is left out when it is not whole: a span must end on the chromosome.
            track = values[chrom][: size // STEP_BP]
            present = np.isfinite(track)
            edges = np.flatnonzero(np.diff(present, prepend=False, append=False))
            for start, end in edges.reshape(-1, 2).tolist():
                out.addEntries(
                    chrom,
                    start * STEP_BP,
                    values=track[start:end].astype(np.float64).tolist(),
                    span=STEP_BP,
                    step=STEP_BP,
                )
        out.close()


def write_peaks(layout: Layout, state: CellState, path: Path) -> None:
    """Write DNase peaks as narrowPeak: promoters and enhancers whose height stands out."""
    genes, enhancers = layout.genes, layout.enhancers
    table = pd.DataFrame(
        {
            "chrom": [*genes["chrom"], *enhancers["chrom"]],
            "summit": [*(tss_base(genes) - 40), *enhancers["centre"]],
            "height": [*state.dnase_height, *(4.0 * state.enhancer_activity)],
        }
    )
    table = table[table["height"] > 2.0].drop_duplicates(["chrom", "summit"])
    table = table.assign(chrom=pd.Categorical(table["chrom"], categories=list(layout.sizes)))
    table = table.sort_values(["chrom", "summit"], kind="stable")
    lines = []
    for number, (chrom, summit, height) in enumerate(table.itertuples(index=False), start=1):
        summit = max(int(summit), 0)
        start, end = max(0, summit - 150), min(summit + 150, layout.sizes[chrom])
        score = min(1000, int(height * 20))
        lines.append(
            f"{chrom}\t{start}\t{end}\tpeak_{number}\t{score}\t.\t{height:.4f}\t"
            f"{3 * height:.4f}\t{2.5 * height:.4f}\t{summit - start}\n"
        )
    write_text("".join(lines), path)


def _background(
    track: str,
    chrom: str,
    size: int,
    layout: Layout,
    state: CellState,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> np.ndarray:
    bins = -(-size // STEP_BP)
    noise = 0.25 * rng.standard_gamma(4.0, bins, dtype=np.float32)
    if track != "dnase":
        return 0.35 * noise
    level = np.empty(bins, dtype=np.float32)
    mine = layout.domains["chrom"] == chrom
    domain_rows = zip(
        layout.domains.loc[mine, "start"],
        layout.domains.loc[mine, "end"],
        state.domain_background[mine.to_numpy()],
        strict=True,
    )
    for start, end, background in domain_rows:
        level[start // STEP_BP : -(-end // STEP_BP)] = np.exp(
            settings.background_effect * background
        )
    return 0.5 * level * noise


def _add_peaks(
    values: dict[str, np.ndarray],
    track: str,
    layout: Layout,
    state: CellState,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> None:
    genes, enhancers = layout.genes, layout.enhancers
    height = getattr(state, f"{track}_height")
    seen: set[tuple[str, int]] = set()
    for chrom, position, strand, peak in zip(
        genes["chrom"], tss_base(genes), genes["strand"], height, strict=True
    ):
        field = np.exp(settings.signal_noise * _smooth_noise(rng))
        if (chrom, position) in seen:
            continue
        seen.add((chrom, position))
        sign = 1 if strand == "+" else -1
        first, offsets = _bins_around(int(position))
        shape = _PROMOTER[track](sign * offsets)
        _add(values[chrom], first, peak * shape * field)
    scale = {"h3k27ac": 5.0, "dnase": 4.0, EXTRA_TRACK: 0.4}[track]
    for chrom, centre, activity in zip(
        enhancers["chrom"], enhancers["centre"], state.enhancer_activity, strict=True
    ):
        field = np.exp(settings.signal_noise * _smooth_noise(rng))
        first, offsets = _bins_around(int(centre))
        shape = _bell(offsets, 0, 80) if track == "dnase" else _enhancer_h3k27ac(offsets)
        _add(values[chrom], first, scale * activity * shape * field)


def _bins_around(position: int) -> tuple[int, np.ndarray]:
    """First bin and the distances of the bins' middles from ``position``."""
    first = (position - REACH_BP) // STEP_BP
    bins = first + np.arange(2 * REACH_BP // STEP_BP)
    return first, bins * STEP_BP + STEP_BP // 2 - position


def _promoter_h3k27ac(offset: np.ndarray) -> np.ndarray:
    """Two flanks, the downstream one stronger, and a dip on the nucleosome-free TSS."""
    flanks = 0.8 * _bell(offset, -300, 190) + 1.0 * _bell(offset, 320, 240)
    return flanks * (1 - 0.75 * _bell(offset, -20, 90))


def _promoter_dnase(offset: np.ndarray) -> np.ndarray:
    return _bell(offset, -40, 75) + 0.12 * _bell(offset, 150, 200)


def _promoter_h3k4me3(offset: np.ndarray) -> np.ndarray:
    """Broader than H3K27ac, with a shallower dip."""
    flanks = 0.9 * _bell(offset, -220, 160) + 1.0 * _bell(offset, 260, 300)
    return flanks * (1 - 0.5 * _bell(offset, -20, 80))


_PROMOTER = {
    "h3k27ac": _promoter_h3k27ac,
    "dnase": _promoter_dnase,
    EXTRA_TRACK: _promoter_h3k4me3,
}


def _enhancer_h3k27ac(offset: np.ndarray) -> np.ndarray:
    flanks = _bell(offset, -280, 170) + _bell(offset, 280, 170)
    return flanks * (1 - 0.7 * _bell(offset, 0, 90))


def _bell(offset: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.exp(-0.5 * ((offset - centre) / width) ** 2)


def _smooth_noise(rng: np.random.Generator) -> np.ndarray:
    """Unit-variance noise that changes over some 300 bp, so a wider window averages it."""
    knots = rng.standard_normal(2 * REACH_BP // 300 + 1)
    bins = np.arange(2 * REACH_BP // STEP_BP)
    return np.interp(bins * STEP_BP, np.arange(len(knots)) * 300, knots) / np.sqrt(2 / 3)


def _add(track: np.ndarray, first: int, peak: np.ndarray) -> None:
    start, end = max(first, 0), min(first + len(peak), len(track))
    track[start:end] += peak[start - first : end - first]


def _add_artefacts(values: dict[str, np.ndarray], track: str, layout: Layout) -> None:
    for chrom, start, end, name in layout.blacklist.itertuples(index=False):
        if name == "High Signal Region":
            values[chrom][start // STEP_BP : end // STEP_BP] += ARTEFACT[track]


def _remove_stretches(
    values: dict[str, np.ndarray],
    layout: Layout,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> None:
    """Unmappable stretches of 1 to 8 kb, and the runs of N, have no data."""
    for track in values.values():
        wanted = settings.missing_fraction * len(track)
        while wanted > 0:
            length = int(rng.integers(100, 800))
            start = int(rng.integers(0, len(track)))
            track[start : start + length] = np.nan
            wanted -= length
    for chrom, start, end in layout.n_runs.itertuples(index=False):
        values[chrom][start // STEP_BP : end // STEP_BP] = np.nan
