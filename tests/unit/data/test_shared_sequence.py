"""One sequence in two splits is found by its bases, whatever its name and place."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prismflow.data.genome import Genome
from prismflow.data.shared_sequence import kmers, separate, similar_genes
from prismflow.errors import InputError

WINDOW = 2000
FOLDS = {"chr1": "train", "chr3": "valid", "chr22": "test"}


def reversed_complement(text: str) -> str:
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def mutated(text: str, share: float, seed: int = 7) -> str:
    rng = np.random.default_rng(seed)
    bases = np.array(list(text))
    at = rng.choice(len(bases), int(share * len(bases)), replace=False)
    bases[at] = [dict(zip("ACGT", "CGTA", strict=True))[b] for b in bases[at]]
    return "".join(bases)


@pytest.fixture
def sequences() -> dict[str, str]:
    rng = np.random.default_rng(1)
    return {chrom: "".join(rng.choice(list("ACGT"), 12_000)) for chrom in FOLDS}


def found(folder: Path, sequences: dict[str, str], genes: list[tuple[str, str, int]],
          window_bp: int = WINDOW) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Genes (name, chromosome, TSS) and the pairs among them."""
    path = folder / "genome.fa"
    path.write_text("".join(f">{chrom}\n{text}\n" for chrom, text in sequences.items()))
    table = pd.DataFrame(genes, columns=["gene_id", "chrom", "tss"])
    with Genome(path) as genome:
        return table, similar_genes(table, genome, window_bp)


def plain(chroms: list[str]) -> list[tuple[str, str, int]]:
    return [(f"{chrom}_{tss}", chrom, tss) for chrom in chroms for tss in range(1500, 11_000, 2500)]


def test_different_genes_share_nothing(tmp_path: Path, sequences: dict[str, str]) -> None:
    assert found(tmp_path, sequences, plain(list(FOLDS)))[1].empty


@pytest.mark.parametrize("window_bp", [200, 2000, 200_000])
@pytest.mark.parametrize("change", ["same", "reversed", "1 % other bases", "shifted"])
def test_a_copy_on_another_contig_is_found(
    tmp_path: Path, sequences: dict[str, str], change: str, window_bp: int
) -> None:
    text = sequences["chr22"]
    copy = {"same": text, "reversed": reversed_complement(text), "shifted": text,
            "1 % other bases": mutated(text, 0.01)}[change]  # fmt: skip
    tss = {"reversed": 12_000 - 6500, "shifted": 6500 + min(window_bp, 2000) // 5}.get(change, 6500)
    contigs = sequences | {"chr22_KI270879v1_alt": copy}
    genes = [*plain(list(FOLDS)), ("own", "chr22", 6500), ("copy", "chr22_KI270879v1_alt", tss)]
    table, pairs = found(tmp_path, contigs, genes, window_bp)
    named = [set(table["gene_id"].iloc[[a, b]]) for a, b in zip(pairs["first"], pairs["second"],
                                                               strict=True)]  # fmt: skip
    assert {"own", "copy"} in named
    assert all("copy" in names or names == {"own", "chr22_6500"} for names in named)


def test_relatives_and_runs_of_unknown_bases_are_no_copies(
    tmp_path: Path, sequences: dict[str, str]
) -> None:
    contigs = sequences | {"chr7": mutated(sequences["chr22"], 0.08), "chr8": "N" * 12_000,
                           "chr9": "N" * 12_000}  # fmt: skip
    assert found(tmp_path, contigs, plain(list(contigs)))[1].empty


def test_a_repeat_of_many_genes_hides_no_copy(tmp_path: Path, sequences: dict[str, str]) -> None:
    contigs = {f"chr{n}": sequences["chr22"] for n in range(1, 31)}
    table, pairs = found(tmp_path, contigs, [(f"g{n}", f"chr{n}", 6000) for n in range(1, 31)])
    assert set(pairs["first"]) | set(pairs["second"]) == set(range(len(table)))


def test_kmers_are_those_of_both_strands() -> None:
    text = "ACGTTGCAAGCTTAGCCGATNACGGATTACAGGATCCATT"
    codes = np.array(["ACGTN".index(base) for base in text], dtype=np.uint8)
    other = np.array([{0: 3, 1: 2, 2: 1, 3: 0, 4: 4}[c] for c in codes[::-1]], dtype=np.uint8)
    assert kmers(codes).tolist() == kmers(other).tolist()
    assert len(kmers(codes)) == (20 - 16 + 1) + (19 - 16 + 1)
    assert len(kmers(codes[:15])) == 0


SPLITS = pd.DataFrame(
    {"gene_id": list("abcde"), "fold": ["train", "valid", "test", "train", "none"]}
)


@pytest.mark.parametrize(
    ("pair", "out"),
    [((0, 2), 0), ((0, 1), 0), ((1, 2), 1), ((0, 3), None), ((2, 4), None)],
)  # fmt: skip
def test_the_gene_that_trains_yields_to_the_one_that_tests(
    pair: tuple[int, int], out: int | None
) -> None:
    pairs = pd.DataFrame([(*pair, 0.9)], columns=["first", "second", "similarity"])
    genes = SPLITS[["gene_id"]]
    dropped, rows = separate(genes, SPLITS, pairs, "drop")
    expected = SPLITS["fold"].tolist()
    assert len(rows) == (out is not None)
    if out is not None:
        expected[out] = "none"
        assert rows.loc[0, "gene_id"] == "abcde"[out]
    assert dropped["fold"].tolist() == expected
    kept, rows = separate(genes, SPLITS, pairs, "keep")
    assert kept.equals(SPLITS)
    assert rows["action"].tolist() == ["keep"] * (out is not None)


def test_what_is_found_is_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    pairs = pd.DataFrame([(0, 2, 0.9), (3, 2, 1.0)], columns=["first", "second", "similarity"])
    with caplog.at_level(logging.INFO):
        separate(SPLITS[["gene_id"]], SPLITS, pairs, "drop")
    assert "fold: 2 genes have the sequence of a gene in another split" in caplog.text
    assert "splits.shared_sequence: drop" in caplog.text


def test_an_unknown_policy_is_refused() -> None:
    pairs = pd.DataFrame(columns=["first", "second", "similarity"])
    with pytest.raises(InputError, match=r"splits.shared_sequence: expected one of drop, keep"):
        separate(SPLITS[["gene_id"]], SPLITS, pairs, "error")


def test_the_real_genes_of_chr22_stand_in_one_split_each(realdata_dir: Path) -> None:
    table = pd.read_csv(realdata_dir / "genes" / "genes_K562_chr22.tsv", sep="\t")
    genes = table.rename(columns={"symbol": "gene_id", "chr": "chrom"})
    with Genome(realdata_dir / "genome" / "chr22.fa.gz") as genome:
        pairs = similar_genes(genes, genome, 1000)
    assert len(pairs) > 5
    splits = genes[["gene_id", "split"]].replace("gap", "none")
    assert separate(genes, splits, pairs, "drop")[0].equals(splits)
