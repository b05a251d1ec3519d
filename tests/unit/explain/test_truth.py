"""Explanations against the simulator's truth; bounds were fixed first (docs/explain.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planned import DEMO, Files
from scipy.stats import rankdata

from prismflow.arrays import load_arrays
from prismflow.data.genome import Genome
from prismflow.evaluation.worlds import simulate_genome
from prismflow.explain.attributions import explain_run
from prismflow.explain.variants import read_scores, score_variants
from prismflow.files import read_tsv
from prismflow.plan.parameters import track_settings, window_settings
from prismflow.simulate import genome
from prismflow.simulate.model import MOTIF_EFFECTS, MOTIFS
from prismflow.training.run import train_run

AUROC_BOUND, PERCENTILE_BOUND, LOWERED_BOUND = 0.60, 60, 0.60
CAUSE = "h3k27ac"
WINDOW_BP = 512
ASKED = {
    "genes": [], "split": "test", "at_most": 60, "baseline": "mean", "steps": 50, "bin_bp": 64,
    "mutagenesis": True, "pass_bp": 1 << 16,
}  # fmt: skip
NETWORKS: dict[str, dict[str, Any]] = {
    "cnn": {"channels": 32, "n_layers": 3, "kernel": 11, "d_hidden": 32, "dropout": 0.1},
    "prism": {"d_model": 16, "n_layers": 1, "d_state": 4},
    "caduceus_signals": {"d_model": 16, "n_layers": 1, "d_state": 4},
}


def world(folder: Path, root: Path, seed: int, simulate: dict[str, Any]) -> Path:
    """A simulated genome with its store, as the workflow makes it of the demo's settings."""
    folder.mkdir()
    with contextlib.chdir(folder):
        plan = Files(root).plan(files=DEMO)
    entry = window_settings(plan.config.datasets["demo"])
    genes = {**entry["genes"], "promoter_activity": "none"}
    dataset = {
        **entry, "genes": genes, "cells": ["simA"], "window_bp": WINDOW_BP, "elements": None,
    }  # fmt: skip
    tracks = [
        track_settings(plan.config.tracks["simA", name], plan.config.values["modalities"][name])
        for name in ("h3k27ac", "dnase", "hic")
    ]
    simulate_genome(folder / "world", dataset, tracks, simulate, seed)
    return folder / "world"


def explained(
    at: Path, plan_settings: Callable[..., dict[str, Any]], model: str, seed: int, **changes: Any
) -> Path:
    """Train a network in a world and explain test genes."""
    run = at / model
    run.mkdir()
    files = [run / name for name in ("model.safetensors", "model.json")]
    train_run(at / "store", at / "splits.tsv", "fold11", seed, plan_settings(model, **changes),
              *files, run / "history.tsv", device="cpu")  # fmt: skip
    explain_run(at / "store", at / "splits.tsv", *files, at / "chrom.sizes",
                {**ASKED, "mutagenesis": model == "cnn"}, run / "out", device="cpu")  # fmt: skip
    return run / "out"


def network(model: str, modalities: tuple[str, ...], steps: int) -> dict[str, Any]:
    """Resolved settings of a small network."""
    from named import class_of

    from prismflow.simulate.model import GENE_FEATURES

    return {
        "model": model, "architecture": model, "class": class_of(model), "loss": {},
        "hyperparameters": NETWORKS[model], "modalities": list(modalities),
        "window_bp": WINDOW_BP, "gene_features": list(GENE_FEATURES),
        "transforms": {"h3k27ac": "raw", "dnase": "raw", "hic": "log10p1"},
        "training": {
            "steps": steps, "batch_size": 16, "learning_rate": 3e-3, "warmup_steps": 30,
            "initial_learning_rate": 1e-4, "final_learning_rate": 1e-4, "validations_per_epoch": 1,
        },
    }  # fmt: skip


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve of one gene's bases."""
    ranks = rankdata(scores)
    n, m = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % bootstrap interval over genes."""
    draws = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def said(values: Any) -> str:
    """Mean, interval and number, for the page."""
    mean, low, high = interval(np.asarray(values))
    return f"{mean:.3f} [{low:.3f}, {high:.3f}], n = {len(values)}"


@dataclass(frozen=True)
class SequenceWorld:
    """A genome whose expression promoter motifs cause, and a network that reads it.

    ``planted`` holds (length of the chromosome, start, consensus, activates) per instance.
    """

    at: Path
    planted: list[tuple[int, int, str, bool]]

    @property
    def run(self) -> Path:
        return self.at / "cnn"

    def instances(self, gene: Any) -> list[tuple[int, str, bool]]:
        """Start, consensus and effect of the instances that lie within a gene's window."""
        sizes = read_tsv(self.at / "chrom.sizes", dtype={"chrom": str})
        length = int(sizes.loc[sizes["chrom"] == gene["chrom"], "length"].iloc[0])
        return [
            (start, motif, activates) for size, start, motif, activates in self.planted
            if size == length and gene["start"] <= start <= gene["end"] - len(motif)
        ]  # fmt: skip


@pytest.fixture(scope="module")
def sequence_world(tmp_path_factory: pytest.TempPathFactory, root: Path) -> SequenceWorld:
    planted: list[tuple[int, int, str, bool]] = []
    write = genome._write_motif
    activating = [m for m, e in zip(MOTIFS.values(), MOTIF_EFFECTS, strict=True) if e > 0]

    def recorded(codes: np.ndarray, start: int, motif: np.ndarray, rng: Any) -> None:
        text = "".join("ACGT"[code] for code in motif)
        planted.append((len(codes), start, text, text in activating))
        write(codes, start, motif, rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(genome, "_write_motif", recorded)
        at = world(
            tmp_path_factory.mktemp("sequence") / "here", root, 1,
            {"n_genes": 5000, "gene_spacing_bp": 8000, "sequence_share": 1.0, "confounding": 0.0,
             "confounding_test": 0.0, "label_noise": 0.1, "distal_effect": 0.0,
             "stability_effect": 0.0, "silent_fraction": 0.0},
        )  # fmt: skip
    sizes = read_tsv(at / "chrom.sizes")["length"]
    assert sizes.is_unique
    explained(at, network, "cnn", 1, modalities=(), steps=6000)
    return SequenceWorld(at, planted)


@pytest.mark.long
def test_bases_of_planted_motifs_rank_above_the_others(
    sequence_world: SequenceWorld, capsys: pytest.CaptureFixture
) -> None:
    out = sequence_world.run / "out"
    genes, arrays = read_tsv(out / "genes.tsv"), load_arrays(out / "attributions.safetensors")
    ways = {
        "substitutions": np.abs(arrays["prediction.substitutions"].sum(axis=-1) / 3),
        "integrated gradients": np.abs(arrays["prediction.sequence"].sum(axis=-1)),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for row, gene in genes.iterrows():
        is_motif = np.zeros(WINDOW_BP, bool)
        for start, motif, _ in sequence_world.instances(gene):
            is_motif[start - gene["start"] :][: len(motif)] = True
        known = np.isfinite(ways["substitutions"][row])
        if (is_motif & known).any():
            for name, values in ways.items():
                found[name].append(auroc(values[row][known], is_motif[known]))
    correlation = np.corrcoef(genes["observed"], genes["prediction_prediction"])[0, 1]
    with capsys.disabled():
        print(f"\ncorrelation of prediction and label {correlation:.3f}")
        for name, values in found.items():
            print(f"AUROC, {name}: {said(values)}")
    for name, values in found.items():
        assert interval(np.array(values))[1] > AUROC_BOUND, name


@pytest.mark.long
def test_variants_that_break_an_activating_motif_rank_high_and_lower_the_prediction(
    sequence_world: SequenceWorld, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    at, out = sequence_world.at, sequence_world.run / "out"
    rng = np.random.default_rng(5)
    lines, asked = [], set()
    with Genome(at / "files" / "genome.fa") as bases:
        for gene in read_tsv(out / "genes.tsv").to_dict("records"):
            for start, motif, activates in sequence_world.instances(gene):
                if not activates:
                    continue
                place = start + int(rng.integers(len(motif)))
                code = int(bases.codes(gene["chrom"], place, place + 1)[0])
                if code < 4:
                    other = (code + int(rng.integers(1, 4))) % 4
                    lines.append((gene["chrom"], place + 1, "ACGT"[code], "ACGT"[other]))
                    asked.add((gene["gene_id"], place + 1))
    vcf = tmp_path / "broken.vcf"
    vcf.write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        + "".join(f"{c}\t{p}\t.\t{r}\t{a}\t.\t.\t.\n" for c, p, r, a in lines)
    )
    score_variants(vcf, at / "files" / "genome.fa", at / "store", at / "splits.tsv",
                   [sequence_world.run], tmp_path / "out.tsv", device="cpu")  # fmt: skip
    table = read_scores(tmp_path / "out.tsv")
    mine = [pair in asked for pair in zip(table["gene_id"], table["pos"], strict=True)]
    table = table[np.array(mine) & (table["seed"] != "mean")]
    percentiles = table["percentile"].to_numpy()
    lowered = (table["difference"] < 0).to_numpy(float)
    with capsys.disabled():
        print(f"\npercentile of motif-breaking variants: {said(percentiles)}")
        print(f"share that lowers the prediction: {said(lowered)}")
    assert interval(percentiles)[1] > PERCENTILE_BOUND
    assert interval(lowered)[1] > LOWERED_BOUND


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_the_causal_signal_has_the_largest_total_without_the_shortcut(
    tmp_path: Path, root: Path, seed: int, capsys: pytest.CaptureFixture
) -> None:
    at = world(
        tmp_path / "signals", root, seed,
        {"n_genes": 800, "confounding": 0.0, "confounding_test": 0.0},
    )  # fmt: skip
    for model in ("prism", "caduceus_signals"):
        out = explained(at, network, model, seed, modalities=("h3k27ac", "dnase", "hic"), steps=400)
        totals = read_tsv(out / "totals.tsv")
        totals = totals[totals["input"] != "sequence"]
        sizes = totals["integrated_gradients"].abs()
        means = sizes.groupby([totals["output"], totals["input"]]).mean().unstack()
        with capsys.disabled():
            print(f"\nseed {seed}, {model}:\n{means.round(3)}")
        assert (means.idxmax(axis=1) == CAUSE).all(), means
