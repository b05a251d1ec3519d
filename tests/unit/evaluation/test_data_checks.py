"""Planted errors are flagged, right data are not, and the figure says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prismflow.data.chromosomes import Genes
from prismflow.data.genome import index_genome, read_chrom_sizes
from prismflow.data.tracks import inspect_track
from prismflow.evaluation.data_checks import check_data, oriented, side_score, track_flags
from prismflow.figures.draw_figure import plot_data_checks
from prismflow.files import read_tsv, write_json, write_tsv
from prismflow.simulate import simulate

CELLS = ("simA", "simB")
SIGNALS = ("h3k27ac", "dnase")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated tracks and a table of kept genes."""
    folder = tmp_path_factory.mktemp("checks")
    simulate(folder, {"n_genes": 320}, seed=3)
    index_genome(folder / "genome.fa", folder / "sizes")
    raw = read_tsv(folder / "genes.tsv")
    genes = raw[["gene_id", "chrom", "tss", "strand"]].copy()
    for cell in CELLS:
        genes[f"label_{cell}"] = np.log10(raw[f"{cell}_cage"] + 1)
    write_tsv(genes, folder / "kept.tsv")
    dropped = genes[["gene_id", "chrom", "tss", "strand"]].head(2).assign(reason="blacklisted")
    write_tsv(dropped, folder / "dropped.tsv")
    return folder


def checked(data: Path, out: Path, genes: pd.DataFrame | None = None, swap: bool = False,
            contacts: bool = False) -> list[str]:  # fmt: skip
    """Flags of the data, with another gene table or with the cells' tracks exchanged."""
    out.mkdir()
    genes = read_tsv(data / "kept.tsv") if genes is None else genes
    write_tsv(genes, out / "genes.tsv")
    sizes = read_chrom_sizes(data / "sizes")
    cells: dict[str, list[dict[str, Any]]] = {}
    summaries: dict[str, dict[str, str]] = {}
    for cell in CELLS:
        source = dict(zip(CELLS, reversed(CELLS), strict=True))[cell] if swap else cell
        cells[cell] = [
            {
                "modality": name, "kind": "signal", "path": str(data / f"{source}.{name}.bw"),
                "resolution_bp": None, "normalisation": None, "absent_chromosomes": "error",
            }
            for name in SIGNALS
        ]  # fmt: skip
        if contacts:
            path = data / ("simA.mcool" if cell == "simA" else "simB.hic")
            cells[cell].append(
                {
                    "modality": "hic", "kind": "contacts", "path": str(path),
                    "resolution_bp": 5000, "normalisation": "NONE", "absent_chromosomes": "error",
                }
            )  # fmt: skip
        summaries[cell] = {}
        for track in cells[cell]:
            file = out / f"{cell}.{track['modality']}.json"
            content = inspect_track(
                track["path"], track["kind"], Genes.from_table(genes, sizes),
                resolution_bp=track["resolution_bp"], normalisation=track["normalisation"],
            )  # fmt: skip
            write_json(content, file)
            summaries[cell][track["modality"]] = str(file)
    outputs = {name: out / f"{name}.tsv" for name in ("checks", "profiles", "examples")}
    outputs["summary"] = out / "summary.json"
    return check_data(
        cells, summaries, {}, genes=out / "genes.tsv", dropped=data / "dropped.tsv",
        sizes=data / "sizes", outputs=outputs,
    )  # fmt: skip


def test_right_data_raise_no_flag(data: Path, tmp_path: Path) -> None:
    assert checked(data, tmp_path / "right", contacts=True) == []
    checks = read_tsv(tmp_path / "right" / "checks.tsv").set_index(["cell", "modality"])
    assert (checks["spearman"].drop("hic", level=1) > 0.3).all()
    assert np.isfinite(checks["spearman"]).all()
    assert (checks["missing_share"].dropna() > 0).all()
    summary = json.loads((tmp_path / "right" / "summary.json").read_text())
    assert summary["genes"] == {"kept": 320, "dropped": {"blacklisted": 2}}
    assert sum(summary["labels"]["simA"]["counts"]) == 320
    profiles = read_tsv(tmp_path / "right" / "profiles.tsv")
    dnase = profiles[(profiles["cell"] == "simA") & (profiles["modality"] == "dnase")]
    for _, own in dnase.groupby("strand"):
        # The simulator's DNase summit stands 40 bp upstream of the TSS.
        assert -90 <= own["position_bp"].iloc[own["value"].argmax()] <= 0


def test_swapped_tracks_are_flagged(data: Path, tmp_path: Path) -> None:
    flags = checked(data, tmp_path / "swapped", swap=True)
    assert any("h3k27ac: where the track of simA exceeds that of simB" in f for f in flags)
    assert all("are the two tracks swapped?" in f for f in flags)


def test_inverted_strand_is_flagged(data: Path, tmp_path: Path) -> None:
    genes = read_tsv(data / "kept.tsv")
    genes["strand"] = genes["strand"].map({"+": "-", "-": "+"})
    flags = checked(data, tmp_path / "inverted", genes)
    assert len(flags) == 4
    assert all("leans to the wrong side of the TSS" in flag for flag in flags)


def test_lost_strand_and_shift_look_like_mirror_images(data: Path, tmp_path: Path) -> None:
    genes = read_tsv(data / "kept.tsv")
    flags = checked(data, tmp_path / "shift", genes.assign(tss=genes["tss"] + 150))
    assert any("mirror images" in flag and flag.startswith("simA dnase") for flag in flags)


def test_another_assembly_is_flagged(data: Path, tmp_path: Path) -> None:
    genes = read_tsv(data / "kept.tsv")
    lengths = read_chrom_sizes(data / "sizes")
    # Genes keep their chromosomes but stand elsewhere, as after a mix-up of hg19 and hg38.
    genes["tss"] = (genes["tss"] + 31_700) % genes["chrom"].map(lengths) + 1
    flags = checked(data, tmp_path / "assembly", genes)
    for name in SIGNALS:
        own = [f for f in flags if f.startswith(f"simA {name}")]
        assert any("Spearman with the label is" in f for f in own)
        assert any("are track and genes of one assembly?" in f for f in own)


def test_figure_is_drawn_with_its_flags(data: Path, tmp_path: Path) -> None:
    flags = checked(data, tmp_path / "swapped", swap=True)
    files = {name: str(tmp_path / "swapped" / f"{name}.tsv")
             for name in ("checks", "profiles", "examples")}  # fmt: skip
    files["summary"] = str(tmp_path / "swapped" / "summary.json")
    context = {"cells": list(CELLS), "simulated": True, "target_label": "log10(CAGE + 1)"}
    outputs = [tmp_path / "figure.pdf", tmp_path / "figure.png"]
    plot_data_checks(context, files, *map(str, outputs))
    assert all(path.stat().st_size > 5000 for path in outputs)
    from prismflow.figures.plots import data_checks

    tables = {name: read_tsv(files[name]) for name in ("checks", "profiles", "examples")}
    tables["summary"] = json.loads(Path(files["summary"]).read_text())
    figure = data_checks.draw(tables, {}, context)
    text = " ".join(entry.get_text() for entry in figure.texts)
    assert "320 genes kept; dropped: 2 blacklisted." in text
    assert text.count("FLAG") == len(flags) > 0


def test_orientation_puts_the_first_base_in_the_middle() -> None:
    # tss = 10: the first base is 10 on plus and 9 on minus; the window is [6, 14).
    values = np.arange(6, 14, dtype=float)[None].repeat(2, axis=0)
    assert oriented(values, np.array(["+", "-"]))[:, 4].tolist() == [10, 9]


def test_side_score_is_signed_and_safe() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((50, 40))
    values[:, 22:30] += 1
    assert side_score(values, 2, 10) > 4
    assert side_score(values[:, ::-1], 2, 10) < -4
    assert side_score(np.zeros((5, 40)), 2, 10) == 0
    assert side_score(values[:1], 2, 10) == 0


def test_few_genes_and_repressive_marks_are_not_judged() -> None:
    facts = {"n_genes": 10, "spearman": -0.9, "tss_q75": 0.0, "genome_q75": 1.0,
             "side_plus": 9.0, "side_minus": -9.0}  # fmt: skip
    assert track_flags("dnase", facts) == []
    assert len(track_flags("dnase", facts | {"n_genes": 90})) == 3
    assert track_flags("h3k27me3", facts | {"n_genes": 90}) == []
