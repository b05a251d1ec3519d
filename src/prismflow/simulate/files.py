"""Write every file of a simulated data set."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.errors import InputError
from prismflow.files import write_text, write_tsv
from prismflow.settings.simulation import SimulationSettings, contact_file
from prismflow.simulate.contacts import make_contacts, write_hic, write_mcool
from prismflow.simulate.genome import make_sequence, write_fasta
from prismflow.simulate.layout import Layout, make_layout
from prismflow.simulate.model import GENE_FEATURES, CellState, Sequenced, make_cell, make_sequenced
from prismflow.simulate.perturbations import write_tested_pairs
from prismflow.simulate.tracks import make_tracks, write_bigwig, write_peaks

log = logging.getLogger(__name__)


def write_files(folder: Path, settings: SimulationSettings, seed: int) -> None:
    """Draw the model once and write the files that ``simulated_files`` names.

    Raises:
        InputError: the seed is not a non-negative integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"Simulation seed: expected an integer of at least 0, found {seed!r}.")
    folder.mkdir(parents=True, exist_ok=True)
    layout = make_layout(settings, seed)
    sequenced = make_sequenced(layout, seed)
    states = {
        name: make_cell(layout, sequenced, settings, seed, number)
        for number, name in enumerate(settings.cells)
    }
    log.info(
        "simulating %d genes on %.1f Mb, cells %s",
        len(layout.genes),
        sum(layout.sizes.values()) / 1e6,
        ", ".join(settings.cells),
    )
    write_fasta(make_sequence(layout, sequenced, seed), folder)
    for number, (name, state) in enumerate(states.items()):
        _write_cell(folder, layout, state, settings, seed, number, name)
    _write_blacklist(layout, folder / "blacklist.bed")
    write_tsv(gene_table(layout, sequenced, states), folder / "genes.tsv")
    write_tsv(truth_table(layout, sequenced, states), folder / "truth.tsv")


def gene_table(layout: Layout, sequenced: Sequenced, states: dict[str, CellState]) -> pd.DataFrame:
    """What a gene annotation brings: positions, mRNA features, promoter activity, CAGE, RNA."""
    table = layout.genes[["gene_id", "chrom", "tss", "strand", "symbol"]].copy()
    for column, name in enumerate(GENE_FEATURES):
        table[name] = sequenced.mrna[:, column]
    for cell, state in states.items():
        table[f"{cell}_promoter_activity"] = state.promoter_activity
    for cell, state in states.items():
        table[f"{cell}_cage"] = state.cage
    for cell, state in states.items():
        table[f"{cell}_rna"] = np.round(state.rna, 6)
    return table


def truth_table(layout: Layout, sequenced: Sequenced, states: dict[str, CellState]) -> pd.DataFrame:
    """True causes, one row per gene and cell; for tests and diagnosis, never an input."""
    parts = []
    for cell, state in states.items():
        part = layout.genes[["gene_id", "chrom", "role", "domain"]].copy()
        part.insert(1, "cell", cell)
        part["background"] = state.background
        part["motif_effect"] = state.motif_effect
        part["unseen"] = state.unseen
        part["activity"] = state.activity
        part["active"] = state.active.astype(int)
        part["distal"] = state.distal
        part["stability"] = sequenced.stability
        part["log_expression"] = state.log_expression
        part["h3k27ac_height"] = state.h3k27ac_height
        part["dnase_height"] = state.dnase_height
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _write_cell(
    folder: Path,
    layout: Layout,
    state: CellState,
    settings: SimulationSettings,
    seed: int,
    number: int,
    name: str,
) -> None:
    for track, values in make_tracks(layout, state, settings, seed, number).items():
        write_bigwig(values, layout.sizes, folder / f"{name}.{track}.bw")
    write_peaks(layout, state, folder / f"{name}.dnase_peaks.narrowPeak")
    write_tested_pairs(layout, state, name, folder / f"{name}.crispri.tsv")
    pixels = make_contacts(layout, state, settings, seed, number)
    path = folder / contact_file(name, number)
    write = write_mcool if path.suffix == ".mcool" else write_hic
    write(pixels, layout.sizes, settings.resolutions_bp, path)


def _write_blacklist(layout: Layout, path: Path) -> None:
    rows = layout.blacklist.itertuples(index=False)
    write_text("".join(f"{c}\t{a}\t{b}\t{name}\n" for c, a, b, name in rows), path)
