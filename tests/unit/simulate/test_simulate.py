"""The simulated genome: its files, its special genes, and that its signal can be found."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pyfaidx
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from prismflow import files
from prismflow.errors import InputError
from prismflow.jobs.patches.hictk import hictkpy
from prismflow.settings.simulation import TEST_CHROMOSOMES, VALIDATION_CHROMOSOMES
from prismflow.simulate import SimulationSettings, simulate, simulated_files
from prismflow.simulate.contacts import Pixels, coarsen
from prismflow.simulate.layout import make_layout
from prismflow.simulate.model import GENE_FEATURES, MOTIFS, make_cell, make_sequenced

CELLS = ("simA", "simB")
SMALL = {"n_genes": 80, "resolutions_bp": [5000, 10000, 50000]}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    simulate(folder, {}, seed=1)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    simulate(folder, SMALL, seed=5)
    return folder


def _splits(genes: pd.DataFrame) -> dict[str, np.ndarray]:
    test = genes["chrom"].isin(TEST_CHROMOSOMES).to_numpy()
    valid = genes["chrom"].isin(VALIDATION_CHROMOSOMES).to_numpy()
    return {"train": ~test & ~valid, "valid": valid, "test": test}


def _windows(folder: Path, genes: pd.DataFrame, cell: str, track: str, length: int) -> np.ndarray:
    """Raw values over [tss - length/2, tss + length/2), missing and outside = 0; (N, length)."""
    result = np.zeros((len(genes), length))
    with pyBigWig.open(str(folder / f"{cell}.{track}.bw")) as track_file:
        for row, (chrom, tss) in enumerate(zip(genes["chrom"], genes["tss"], strict=True)):
            left = int(tss) - length // 2
            start, end = max(0, left), min(left + length, track_file.chroms(chrom))
            values = np.nan_to_num(track_file.values(chrom, start, end, numpy=True))
            result[row, start - left : end - left] = values
    return result


def _motif_counts(folder: Path, genes: pd.DataFrame) -> np.ndarray:
    """Matches (8 of 10 bases) of every motif, both strands, in TSS+-250; and the GC content."""
    genome = pyfaidx.Fasta(str(folder / "genome.fa"), as_raw=True)
    result = np.zeros((len(genes), len(MOTIFS) + 1))
    code = np.full(256, 4)
    code[[ord(base) for base in "ACGT"]] = range(4)
    for row, (chrom, tss) in enumerate(zip(genes["chrom"], genes["tss"], strict=True)):
        text = genome[chrom][max(0, int(tss) - 250) : int(tss) + 250]
        bases = code[np.frombuffer(text.encode(), dtype=np.uint8)]
        windows = np.lib.stride_tricks.sliding_window_view(bases, 10)
        for column, motif in enumerate(MOTIFS.values()):
            forward = np.array(["ACGT".index(base) for base in motif])
            for oriented in (forward, 3 - forward[::-1]):
                result[row, column] += ((windows == oriented).sum(1) >= 8).sum()
        result[row, -1] = np.isin(bases, (1, 2)).mean()
    return result


def _self_contact(path: Path, genes: pd.DataFrame, normalisation: str) -> np.ndarray:
    matrix = hictkpy.MultiResFile(path)[5000]
    result = np.zeros(len(genes))
    for chrom in genes["chrom"].unique():
        mine = (genes["chrom"] == chrom).to_numpy()
        diagonal = np.diag(matrix.fetch(chrom, normalization=normalisation).to_numpy())
        result[mine] = np.nan_to_num(diagonal[genes["tss"][mine] // 5000])
    return result


def _gbm() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        max_iter=200, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=10, random_state=0
    )


def _ridge():
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))


def pearson_scores(folder: Path, cell: str) -> dict[str, float]:
    """Test Pearson of simple readers of the written files (the table of docs/simulation.md)."""
    genes = files.read_tsv(folder / "genes.tsv")
    label = np.log10(genes[f"{cell}_cage"].to_numpy() + 1)
    split = _splits(genes)
    features = genes[[*GENE_FEATURES, f"{cell}_promoter_activity"]].to_numpy()
    tracks = {t: _windows(folder, genes, cell, t, 1000) for t in ("h3k27ac", "dnase")}
    bins = {t: np.log1p(v.reshape(len(genes), 10, 100).mean(2)) for t, v in tracks.items()}
    near = [np.log1p(v[:, 250:750].reshape(len(genes), 10, 50).mean(2)) for v in tracks.values()]
    inputs = {
        "ridge_features": (_ridge, features),
        "gbm_features": (_gbm, features),
        "ridge_motifs": (_ridge, _motif_counts(folder, genes)),
        "gbm_500bp": (_gbm, np.hstack([features, *near])),
        "gbm_1000bp": (_gbm, np.hstack([features, *bins.values()])),
        "gbm_1000bp_h3k27ac": (_gbm, np.hstack([features, bins["h3k27ac"]])),
        "gbm_1000bp_dnase": (_gbm, np.hstack([features, bins["dnase"]])),
    }
    scores = {}
    for name, (make, matrix) in inputs.items():
        model = make().fit(matrix[split["train"]], label[split["train"]])
        predicted = model.predict(matrix[split["test"]])
        scores[name] = float(np.corrcoef(predicted, label[split["test"]])[0, 1])
    return scores


def _correlations(settings: dict, seed: int) -> dict[str, float]:
    """Correlation of C with log10(CAGE + 1) per split, mean over both cells; no file written."""
    chosen = SimulationSettings.from_dict(settings)
    layout = make_layout(chosen, seed)
    sequenced = make_sequenced(layout, seed)
    states = [make_cell(layout, sequenced, chosen, seed, cell) for cell in range(2)]
    return {
        name: float(
            np.mean(
                [np.corrcoef(s.background[rows], np.log10(s.cage[rows] + 1))[0, 1] for s in states]
            )
        )
        for name, rows in _splits(layout.genes).items()
    }


def test_writes_exactly_the_named_files(full: Path) -> None:
    names = simulated_files({})
    assert sorted(p.name for p in full.iterdir()) == sorted(names)
    assert {"genome.fa.fai", "simA.mcool", "simB.hic", "simA.dnase_peaks.narrowPeak"} < set(names)


def test_gene_table_and_splits(full: Path) -> None:
    genes = files.read_tsv(full / "genes.tsv")
    assert list(genes.columns) == [
        "gene_id", "chrom", "tss", "strand", "symbol", *GENE_FEATURES,
        "simA_promoter_activity", "simB_promoter_activity", "simA_cage", "simB_cage",
        "simA_rna", "simB_rna",
    ]  # fmt: skip
    assert len(genes) == 640 and genes["gene_id"].is_unique and genes["symbol"].is_unique
    assert not genes.isna().any().any()
    counts = {name: int(rows.sum()) for name, rows in _splits(genes).items()}
    assert 390 <= counts["train"] <= 430
    assert 90 <= counts["valid"] <= 100 and 130 <= counts["test"] <= 150
    assert 0.4 < (genes["strand"] == "+").mean() < 0.6
    sizes = pd.read_csv(full / "chrom.sizes", sep="\t", header=None, index_col=0)[1]
    assert (genes["tss"] > 0).all() and (genes["tss"] < genes["chrom"].map(sizes)).all()


def test_labels_look_like_cage(full: Path) -> None:
    genes = files.read_tsv(full / "genes.tsv")
    for cell in CELLS:
        counts = genes[f"{cell}_cage"]
        assert counts.dtype == np.int64 and (counts >= 0).all()
        assert 0.15 < (counts == 0).mean() < 0.33
        assert 3.5 < np.log10(counts.max() + 1) < 4.6
        activity = genes[f"{cell}_promoter_activity"]
        assert activity.max() > 5 * activity.quantile(0.9) / 2  # heavy tail
    both = np.log10(genes[["simA_cage", "simB_cage"]] + 1).corr().iloc[0, 1]
    assert 0.4 < both < 0.8


def test_special_genes(full: Path) -> None:
    genes = files.read_tsv(full / "genes.tsv")
    truth = files.read_tsv(full / "truth.tsv")
    role = truth[truth["cell"] == "simA"].set_index("gene_id")["role"]
    by_role = {name: genes[genes["gene_id"].map(role) == name] for name in role.unique()}
    sizes = pd.read_csv(full / "chrom.sizes", sep="\t", header=None, index_col=0)[1]
    assert set(by_role["start_of_chromosome"]["chrom"]) == {"chr1", "chrX"}
    assert (by_role["start_of_chromosome"]["tss"] < 1000).all()
    ends = by_role["end_of_chromosome"]
    assert (ends["tss"] + 1000 > ends["chrom"].map(sizes)).all() and len(ends) == 2
    twins = by_role["shared_tss"]
    assert len(twins) == 2 and twins["tss"].nunique() == 1 and twins["strand"].nunique() == 1
    genome = pyfaidx.Fasta(str(full / "genome.fa"), as_raw=True)
    unknown = by_role["in_n_run"].iloc[0]
    window = slice(int(unknown["tss"]) - 1000, int(unknown["tss"]) + 1000)
    assert set(genome[unknown["chrom"]][window]) == {"N"}
    black = by_role["blacklisted"].iloc[0]
    regions = pd.read_csv(full / "blacklist.bed", sep="\t", header=None)
    inside = (regions[0] == black["chrom"]) & (regions[1] <= black["tss"] - 1000)
    assert (inside & (regions[2] >= black["tss"] + 1000)).sum() == 1


def test_fasta_index_and_bases(full: Path, tmp_path: Path) -> None:
    (tmp_path / "genome.fa").symlink_to(full / "genome.fa")
    genome = pyfaidx.Fasta(str(tmp_path / "genome.fa"), as_raw=True)  # makes its own index
    assert (tmp_path / "genome.fa.fai").read_text() == (full / "genome.fa.fai").read_text()
    assert set(genome["chr21"][:]) <= set("ACGTN")
    assert list(genome.keys()) == ["chr1", "chr2", "chr3", "chr4", "chr5", "chr21", "chr22", "chrX"]


@pytest.mark.parametrize("cell", CELLS)
def test_tracks_have_the_natural_shape(full: Path, cell: str) -> None:
    genes = files.read_tsv(full / "genes.tsv")
    truth = files.read_tsv(full / "truth.tsv")
    active = (truth.loc[truth["cell"] == cell, "active"] == 1).to_numpy()
    h3k27ac = _windows(full, genes, cell, "h3k27ac", 2000)
    dnase = _windows(full, genes, cell, "dnase", 2000)
    profile = h3k27ac[active].mean(0)
    flank = profile[1150:1400].mean()
    assert profile[980:1020].mean() < 0.5 * flank and profile[:100].mean() < 0.3 * flank
    assert dnase[active].mean(0)[950:1050].mean() > 5 * dnase[active].mean(0)[:200].mean()
    peak = h3k27ac[active].max(1)
    assert peak.max() > 4 * np.median(peak) and peak.max() < 200  # heavy tail, raw
    assert h3k27ac[~active].max(1).mean() < 0.3 * peak.mean()
    with pyBigWig.open(str(full / f"{cell}.dnase.bw")) as track:
        values = track.values("chr2", 0, track.chroms("chr2"), numpy=True)
    assert 0.005 < np.isnan(values).mean() < 0.05 and np.nanmin(values) >= 0


def test_contacts_carry_the_background(full: Path) -> None:
    genes = files.read_tsv(full / "genes.tsv")
    truth = files.read_tsv(full / "truth.tsv")
    sizes = pd.read_csv(full / "chrom.sizes", sep="\t", header=None, index_col=0)[1].to_dict()
    for cell, name, wanted in (
        ("simA", "simA.mcool", {"NONE": 0.8, "VC": 0.6, "weight": 0.6}),
        ("simB", "simB.hic", {"NONE": 0.8}),
    ):
        contacts = hictkpy.MultiResFile(full / name)
        assert list(contacts.resolutions()) == [5000, 10000]
        assert contacts[5000].chromosomes() == sizes
        assert set(contacts[5000].avail_normalizations()) == set(wanted) - {"NONE"}
        background = truth.loc[truth["cell"] == cell, "background"]
        for normalisation, least in wanted.items():
            value = _self_contact(full / name, genes, normalisation)
            assert np.corrcoef(np.log10(value + 1), background)[0, 1] > least
        dense = contacts[5000].fetch("chr1").to_numpy()
        by_distance = [np.diagonal(dense, k).mean() for k in (0, 1, 4, 20, 100)]
        assert by_distance == sorted(by_distance, reverse=True)


def test_coarser_resolution_is_the_sum(small: Path) -> None:
    for name in ("simA.mcool", "simB.hic"):
        contacts = hictkpy.MultiResFile(small / name)
        fine = contacts[5000].fetch("chr2").to_numpy()
        for factor in (2, 10):
            coarse = contacts[5000 * factor].fetch("chr2").to_numpy()
            edges = np.arange(0, len(fine), factor)
            full_sum = np.add.reduceat(np.add.reduceat(fine, edges, 0), edges, 1)
            # A coarse diagonal pixel counts every fine pair once.
            inner = [np.triu(fine[e : e + factor, e : e + factor]).sum() for e in edges]
            np.fill_diagonal(full_sum, inner)
            np.testing.assert_array_equal(coarse, full_sum)


def test_coarsen_keeps_chromosomes_apart() -> None:
    pixels = Pixels(np.array([0, 2, 2, 3]), np.array([2, 2, 3, 4]), np.array([1, 2, 4, 8]))
    result = coarsen(pixels, {"a": 13_000, "b": 10_000}, 5_000, 10_000)
    # Fine bins a: 0-2, b: 3-4; coarse bins a: 0-1, b: 2.
    assert list(zip(result.bin1, result.bin2, result.count, strict=True)) == [
        (0, 1, 1), (1, 1, 2), (1, 2, 4), (2, 2, 8),
    ]  # fmt: skip


def test_same_settings_and_seed_give_the_same_bytes(small: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "again", SMALL, seed=5)
    simulate(tmp_path / "other", SMALL, seed=6)
    for name in simulated_files(SMALL):
        digest = files.sha256(small / name)
        assert digest == files.sha256(tmp_path / "again" / name), name
        assert digest != files.sha256(tmp_path / "other" / name), name


def test_peaks_cover_active_promoters(full: Path) -> None:
    peaks = pd.read_csv(full / "simA.dnase_peaks.narrowPeak", sep="\t", header=None)
    assert peaks.shape[1] == 10 and (peaks[1] < peaks[2]).all() and (peaks[1] >= 0).all()
    truth = files.read_tsv(full / "truth.tsv").query("cell == 'simA'").reset_index(drop=True)
    genes = files.read_tsv(full / "genes.tsv")
    covered = np.array(
        [
            ((peaks[0] == chrom) & (peaks[1] <= tss) & (peaks[2] > tss)).any()
            for chrom, tss in zip(genes["chrom"], genes["tss"], strict=True)
        ]
    )
    assert covered[truth["active"] == 1].mean() > 0.7 > 0.2 > covered[truth["active"] == 0].mean()


@pytest.mark.parametrize("train, test", [(0.5, 0.5), (0.8, 0.0), (0.0, 0.8), (0.8, -0.6)])
def test_confounding_acts_on_its_own_chromosomes(train: float, test: float) -> None:
    settings = {"confounding": train, "confounding_test": test}
    means = pd.DataFrame([_correlations(settings, seed) for seed in range(1, 6)]).mean()
    # The threshold and the other causes of the label weaken the correlation to some 0.87 kappa.
    for split, kappa in (("train", train), ("valid", train), ("test", test)):
        assert means[split] == pytest.approx(0.87 * kappa, abs=0.14), split


def test_the_background_can_change_what_motifs_do_at_equal_variance() -> None:
    settings = SimulationSettings.from_dict({"n_genes": 3000, "genes_per_domain": 1})
    layout = make_layout(settings, 1)
    sequenced = make_sequenced(layout, 1)
    plain = make_cell(layout, sequenced, settings, 1, 0)
    changed = make_cell(
        layout, sequenced, dataclasses.replace(settings, sequence_background=1.0), 1, 0
    )
    assert np.array_equal(plain.background, changed.background)
    assert changed.motif_effect == pytest.approx(
        plain.motif_effect * (1 + plain.background) / np.sqrt(2)
    )
    assert changed.motif_effect.std() == pytest.approx(plain.motif_effect.std(), rel=0.1)
    high = plain.background > 1
    slopes = [np.polyfit(plain.motif_effect[m], changed.motif_effect[m], 1)[0]
              for m in (high, plain.background < -1)]  # fmt: skip
    assert slopes[0] > 1 and slopes[1] < 0


def test_background_has_one_distribution_in_all_splits(full: Path) -> None:
    truth = files.read_tsv(full / "truth.tsv")
    for _, part in truth.groupby("cell"):
        for rows in _splits(part).values():
            background = part.loc[rows, "background"]
            assert abs(background.mean()) < 0.25 and 0.8 < background.std() < 1.2


@pytest.mark.parametrize("cell", CELLS)
def test_planted_signal_is_found(full: Path, cell: str) -> None:
    scores = pearson_scores(full, cell)
    assert 0.30 < scores["ridge_features"] < 0.65
    assert 0.25 < scores["ridge_motifs"] < 0.60
    for name in ("gbm_500bp", "gbm_1000bp"):
        assert scores[name] > 0.78
        assert scores[name] > scores["ridge_features"] + 0.15
        assert scores[name] > scores["ridge_motifs"] + 0.25
        assert scores[name] > scores["gbm_features"] + 0.10


def test_shortcut_through_the_background_can_be_broken(tmp_path: Path) -> None:
    simulate(tmp_path, {"confounding": 0.8, "confounding_test": -0.6}, seed=2)
    scores = pearson_scores(tmp_path, "simA")
    # DNase carries C, which predicts expression while training and misleads on the test genes.
    assert scores["gbm_1000bp_dnase"] < 0.4
    assert scores["gbm_1000bp_h3k27ac"] > 0.7
    assert scores["gbm_1000bp"] < scores["gbm_1000bp_h3k27ac"] - 0.02


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_gene": 100}, "unknown key 'n_gene': expected only background_effect"),
        ({"n_genes": 10}, "n_genes: expected a number of at least 80, found 10"),
        ({"n_genes": 100.5}, "n_genes: expected integer, found 100.5"),
        (
            {"confounding": "1e-2"},
            "confounding: expected a number between -0.95 and 0.95, found the text '1e-2'",
        ),
        ({"confounding_test": 1.5}, "expected a number between -0.95 and 0.95, found 1.5"),
        ({"label_noise": float("nan")}, "expected a number between 0 and 5, found nan"),
        ({"cells": "simA"}, "cells: expected a list, found 'simA'"),
        ({"cells": ["a/b"]}, "expected distinct names of letters, digits, hyphens and"),
        ({"cells": ["a", "a"]}, "expected distinct names of letters, digits, hyphens and"),
        ({"resolutions_bp": [5000, 7000]}, "followed by larger multiples of it"),
        ({"resolutions_bp": []}, "followed by larger multiples of it"),
        ({"signal_noise": True}, "signal_noise: expected a number between 0 and 5, found True"),
    ],
)
def test_wrong_settings_are_one_sentence(settings: dict, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        simulated_files(settings)
    assert sentence in str(caught.value)


def test_wrong_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seed: expected an integer of at least 0, found -1"):
        simulate(tmp_path, SMALL, seed=-1)


def test_three_cells(tmp_path: Path) -> None:
    settings = {"n_genes": 80, "cells": ["x", "y", "z"]}
    names = simulated_files(settings)
    assert {"x.mcool", "y.hic", "z.hic"} < set(names)
    simulate(tmp_path, settings, seed=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)


def measure() -> None:
    """Print the table of docs/simulation.md: seeds 1-3, both cells; about a minute."""
    columns = {}
    for train, test in ((0.5, 0.5), (0.8, 0.0), (0.8, -0.6)):
        settings = {"confounding": train, "confounding_test": test}
        rows = []
        for seed in (1, 2, 3):
            with tempfile.TemporaryDirectory() as folder:
                simulate(folder, settings, seed)
                rows += [pearson_scores(Path(folder), cell) for cell in CELLS]
        table = pd.DataFrame(rows)
        columns[f"{train:g} / {test:g}"] = [
            f"{table[name].mean():.2f} ({table[name].min():.2f} to {table[name].max():.2f})"
            for name in table
        ]
    print(pd.DataFrame(columns, index=table.columns).to_csv(sep="|", lineterminator="\n"))


if __name__ == "__main__":
    measure()
