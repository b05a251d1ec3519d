"""The ridge on k-mers: its counts, its penalties, and what it reaches on real promoters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from make_store import make_store, settings

from prismflow.data.genome import Genome
from prismflow.data.splits import PAPER_FOLDS
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.models.kmer_ridge import KmerRidge, KmerRidgeSettings, count_kmers, kmer_names
from prismflow.models.tabular import GeneFeatures
from prismflow.statistics.bootstrap import spearman
from prismflow.training.record import open_inputs


def coded(text: str) -> np.ndarray:
    return np.array(["ACGTN".index(base) for base in text], np.uint8)


def test_words_are_counted_with_their_reverse_complements():
    counts = dict(zip(kmer_names(2), count_kmers(coded("AACGTTN")[None], 2)[0], strict=True))
    # AA AC CG GT TT: TT is AA and GT is AC of the other strand; the word with N is left out
    assert {word: n for word, n in counts.items() if n} == {
        "A": 4, "C": 2, "AA": 2, "AC": 2, "CG": 1,
    }  # fmt: skip
    assert len(kmer_names(5)) == 2 + 10 + 32 + 136 + 512


def test_a_window_and_its_reverse_complement_have_the_same_counts():
    codes = np.random.default_rng(3).integers(0, 4, (4, 200)).astype(np.uint8)
    assert np.array_equal(count_kmers(codes, 5), count_kmers((3 - codes)[:, ::-1], 5))


def test_words_longer_than_the_window_are_counted_nowhere():
    assert count_kmers(coded("ACG")[None], 4)[0, -136:].sum() == 0


@pytest.mark.parametrize("n_features", [5, 90], ids=["tall", "wide"])
def test_all_penalties_by_one_decomposition_are_the_ridge_of_each(n_features):
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(60, n_features)), rng.normal(size=60)
    chosen = KmerRidgeSettings(n_alphas=1, largest_alpha=0.2, smallest_alpha=0.2)
    model, _ = KmerRidge.train((x, y), (x, y), chosen, seed=2)
    expected = GeneFeatures.fit(x, y, alpha=0.2).predict(x)
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-8)


def test_the_design_is_gene_features_and_logarithms_of_counts(tmp_path):
    store = Store.open(make_store(tmp_path)[0])
    inputs = open_inputs(store, settings("kmer_ridge", modalities=[]))
    rows = np.array([4, 2])
    x = KmerRidge.design(inputs, rows, KmerRidgeSettings(k=3))
    np.testing.assert_array_equal(x[:, :3], store.gene_features[rows])
    np.testing.assert_allclose(np.expm1(x[:, 3:]), count_kmers(inputs.codes(rows), 3), rtol=1e-5)


def test_words_of_absurd_length_are_refused():
    with pytest.raises(InputError, match="expected a k of 1 to 8, found 12"):
        KmerRidgeSettings(k=12)


def test_it_ranks_real_promoters_of_unseen_chromosomes(realdata_genomewide_dir: Path):
    """A plain script: 0.720 +- 0.017, 0.590 +- 0.028, 0.507 +- 0.029; the least is 2 SE below."""
    codes, genes = real_promoters(realdata_genomewide_dir, half_bp=250)
    assert len(genes) == 740
    words = np.log1p(count_kmers(codes, KmerRidgeSettings.k))
    for column, pseudocount, least in (
        ("SuRE_K562_promoter", 1.0, 0.686), ("K562_TPM", 0.1, 0.534), ("LCL_TPM_mean5", 0.1, 0.449),
    ):  # fmt: skip
        label = np.log10(genes[column].to_numpy() + pseudocount)
        assert out_of_fold_rho(words, label, genes["chrom"]) > least, column
    shuffled = np.random.default_rng(2).permutation(label)
    assert abs(out_of_fold_rho(words, shuffled, genes["chrom"])) < 0.12


def real_promoters(folder: Path, half_bp: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Codes (n, 2 x half_bp) in the direction of the gene, of genes with every base in 2 kb."""
    genes = pd.read_csv(folder / "genes" / "genes_genomewide_hg38.tsv.gz", sep="\t")
    genes = genes[genes["n_real_bases_2kb"] == 2000]
    codes = []
    with Genome(folder / "genome" / "hg38_partial.fa.gz") as genome:
        for gene in genes.itertuples():
            window = genome.codes(gene.chrom, gene.tss - half_bp, gene.tss + half_bp)
            codes.append(window if gene.strand == "+" else (3 - window)[::-1])
    return np.array(codes), genes


def out_of_fold_rho(x: np.ndarray, label: np.ndarray, chrom: pd.Series) -> float:
    """Spearman of predictions over the test chromosomes of the twelve folds together."""
    known = ~np.isnan(label)
    predicted = np.full(len(label), np.nan)
    for fold in PAPER_FOLDS.values():
        test, valid = (known & chrom.isin(fold[role]).to_numpy() for role in ("test", "valid"))
        train = known & ~test & ~valid
        model, _ = KmerRidge.train(
            (x[train], label[train]), (x[valid], label[valid]), KmerRidgeSettings(), seed=2
        )
        predicted[test] = model.predict(x[test])
    return float(spearman(label[known], predicted[known]))
