"""Each planted fault gives a flag with its evidence; sound values give none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prismflow.evaluation import suspicions
from prismflow.jobs.refusals import flags_of

N = 300


@pytest.fixture
def sound() -> dict[str, np.ndarray]:
    """Activity that signal and label share, on both strands alike."""
    rng = np.random.default_rng(5)
    activity = rng.gamma(0.8, 20, N)
    return {
        "raw": np.round(activity * rng.lognormal(0, 0.4, N), 2),
        "level": activity * rng.lognormal(0, 0.3, N),
        "strand": np.where(rng.random(N) < 0.5, "+", "-"),
    }


NAMES = [f"g{n}" for n in range(N)]


def test_sound_values_raise_no_flag(sound: dict[str, np.ndarray]) -> None:
    label = np.log10(sound["raw"] + 1)
    assert suspicions.strand_flags(sound["level"], label, sound["strand"]) == []
    assert suspicions.label_flags("A", label, NAMES, "log10p1") == []
    assert suspicions.label_flags("A", sound["raw"], NAMES, "raw") == []
    assert suspicions.lone_flags(sound["level"], NAMES, "the signal") == []
    rng = np.random.default_rng(8)
    noisy = sound["level"] * rng.lognormal(0, 0.05, N)
    assert suspicions.same_flags({"A": sound["level"], "B": noisy}, "dnase") == []
    assert suspicions.peak_flags(0.4, 0.1, N) == []


@pytest.mark.parametrize("wrong", ["minus", "plus"])
def test_a_tss_that_is_right_for_one_strand_is_flagged(
    sound: dict[str, np.ndarray], wrong: str
) -> None:
    away = sound["strand"] == {"minus": "-", "plus": "+"}[wrong]
    level = np.where(away, np.random.default_rng(2).gamma(1, 0.3, N), sound["level"])
    (flag,) = suspicions.strand_flags(level, np.log10(sound["raw"] + 1), sound["strand"])
    assert flag.startswith(f"the TSS of {wrong} genes have no signal")
    assert "both strands" in flag


def test_strands_that_differ_in_their_labels_too_are_sound(sound: dict[str, np.ndarray]) -> None:
    minus = sound["strand"] == "-"
    level, raw = sound["level"].copy(), sound["raw"].copy()
    level[minus] /= 6
    raw[minus] /= 6
    assert suspicions.strand_flags(level, np.log10(raw + 1), sound["strand"]) == []


@pytest.mark.parametrize("logarithm", [np.log2, np.log10, np.log])
def test_labels_that_are_logarithms_already_are_flagged(
    sound: dict[str, np.ndarray], logarithm: np.ufunc
) -> None:
    twice = np.log10(logarithm(sound["raw"] + 1) + 1)
    (flag,) = suspicions.label_flags("A", twice, NAMES, "log10p1")
    assert "are they logarithms already? Then set label.transform: raw." in flag


@pytest.mark.parametrize("n_lone", [1, 2, 3])
def test_a_few_values_of_another_unit_are_flagged(
    sound: dict[str, np.ndarray], n_lone: int
) -> None:
    raw = sound["raw"].copy()
    raw[7 : 7 + n_lone] = 1e12
    (flag,) = suspicions.label_flags("A", np.log10(raw + 1), NAMES, "log10p1")
    assert flag.startswith(f"A: the label of {n_lone} gene")
    assert "1e+12 for g7" in flag
    (flag,) = suspicions.lone_flags(raw, NAMES, "the column 'cds_gc'")
    assert "the column 'cds_gc'" in flag
    assert suspicions.lone_flags(-raw, NAMES, "the signal")


@pytest.mark.parametrize(("scale", "words"), [(1, "the same at all"), (2.5, "times 2.5, at all")])
def test_the_same_track_in_two_cells_is_flagged(
    sound: dict[str, np.ndarray], scale: float, words: str
) -> None:
    values = {"A": sound["level"], "B": sound["level"] * scale}
    (flag,) = suspicions.same_flags(values, "dnase")
    assert flag.startswith("dnase: A and B have ")
    assert words in flag


def test_peaks_that_avoid_promoters_are_flagged() -> None:
    (flag,) = suspicions.peak_flags(0.11, 0.1, N)
    assert "11% of the TSS lie in a peak" in flag
    assert "one assembly" in flag


def test_few_genes_are_not_judged() -> None:
    few = np.arange(1.0, 21)
    strand = np.array(["+", "-"] * 10)
    assert suspicions.strand_flags(few * (strand == "+"), few, strand) == []
    assert suspicions.label_flags("A", few, NAMES, "log10p1") == []
    assert suspicions.same_flags({"A": few, "B": few}, "dnase") == []
    assert suspicions.lone_flags(np.r_[few, 1e9], NAMES, "x") == []
    assert suspicions.peak_flags(0.0, 0.5, 20) == []
    assert suspicions.rank_difference(np.ones(4), np.array([True, False, True, False])) == 0


def test_flags_are_the_last_lines_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "checks"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"flags": ["dnase: odd?"]}))
    assert flags_of(["a", "b"], tmp_path) == ["FLAG a: dnase: odd?"]


def test_the_real_tss_are_sound_and_starts_in_their_place_are_not(realdata_dir: Path) -> None:
    from prismflow.data.chromosomes import Genes
    from prismflow.data.genome import Genome
    from prismflow.data.promoters import core_means

    table = pd.read_csv(realdata_dir / "genes" / "genes_K562_chr22.tsv", sep="\t")
    with Genome(realdata_dir / "genome" / "chr22.fa.gz") as genome:
        lengths = genome.lengths
    label = np.log10(table["K562_TSSseq_pm192"].to_numpy() + 1)
    strand = table["strand"].to_numpy(dtype=object)
    flags = {}
    for column in ("tss", "start"):
        genes = Genes(np.full(len(table), "chr22", dtype=object),
                              table[column].to_numpy(), lengths)  # fmt: skip
        level = core_means(realdata_dir / "signals" / "K562_accessibility.chr22.bw", genes)
        flags[column] = suspicions.strand_flags(level, label, strand)
    assert flags["tss"] == []
    assert "the TSS of minus genes have no signal" in flags["start"][0]


def described(md5: str, read: str = "None None") -> dict[str, str]:
    return {"md5": md5, "file": "a.bw", "read": read}


def test_one_file_that_stands_for_two_tracks_is_flagged() -> None:
    files = {
        ("A", "peaks"): described("d1"), ("B", "peaks"): described("d1"),
        ("A", "dnase"): described("d2"), ("A", "hic"): described("d3", "5000 NONE"),
        ("A", "hic_ice"): described("d3", "5000 weight"),
    }  # fmt: skip
    (flag,) = suspicions.file_flags(files)
    assert flag.startswith("A peaks and B peaks are read from one and the same file (a.bw, md5 d1)")
    own = {key: value for key, value in files.items() if key[0] == "A"}
    assert suspicions.file_flags(own) == []


def test_cells_of_one_file_are_flagged_once_and_a_copy_of_its_values_too() -> None:
    level = np.random.default_rng(2).gamma(1.0, 3.0, 80)
    values = {"dnase": {"A": level, "B": level, "C": 2 * level, "D": level[::-1]}}
    files = {
        (cell, "dnase"): described(md5)
        for cell, md5 in (("A", "x"), ("B", "x"), ("C", "y"), ("D", "z"))
    }
    first, second = suspicions.twin_flags(values, files)
    assert first.startswith("A dnase and B dnase are read from one")
    assert second.startswith("dnase: A and C have ")


def test_labels_with_a_pseudocount_are_read_back_before_they_are_judged():
    raw = np.concatenate([[0.0], np.geomspace(0.2, 5000, 999)])
    names = [f"g{i}" for i in range(1000)]
    assert suspicions.label_flags("A", np.log10(raw + 0.1), names, "log10:0.1") == []
    logs = np.log10(raw + 1)
    twice = suspicions.label_flags("A", np.log10(logs + 0.1), names, "log10:0.1")
    assert len(twice) == 1 and "logarithms already" in twice[0]
