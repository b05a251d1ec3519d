"""Each normalisation, each fault of its weights: refused, counted, or the same contacts."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import LENGTHS, RESOLUTION_BP, write_contacts

from prismflow.data.chromosomes import Genes
from prismflow.data.contact_guard import answer
from prismflow.errors import InputError

#: ``weight`` is multiplied by, all others are divided by, as in files that were made from a .hic.
NAMES = ("weight", "KR", "VC", "VC_SQRT", "SCALE", "INTER_KR", "GW_VC")
N_BINS = {chrom: -(-length // RESOLUTION_BP) for chrom, length in LENGTHS.items()}
GENES = Genes(np.array(list(LENGTHS), dtype=object), np.array([40_000, 40_000]), LENGTHS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("norm") / "x.cool"
    write_contacts(path)
    return path.read_bytes()


def ask(folder: Path, whole: bytes, name: str, weights: np.ndarray, absent: str = "error") -> dict:
    path = folder / "x.cool"
    path.write_bytes(whole)
    with h5py.File(path, "a") as out:
        out["bins"][name] = weights
    return answer(
        {
            "path": str(path), "resolution_bp": RESOLUTION_BP, "normalisation": name,
            "gene_counts": GENES.counts(), "chrom_lengths": LENGTHS, "genes_source": "genes",
            "lengths_source": "genome", "chrom_aliases": {}, "absent_chromosomes": absent,
            "window_bp": 2000,
        }
    )  # fmt: skip


def ones() -> np.ndarray:
    return np.ones(sum(N_BINS.values()))


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_are_nan_on_a_chromosome_are_refused_or_counted(
    tmp_path: Path, whole: bytes, name: str
) -> None:
    for chrom, rows in (("chr1", slice(0, N_BINS["chr1"])), ("chr2", slice(N_BINS["chr1"], None))):
        weights = ones()
        weights[rows] = np.nan
        with pytest.raises(InputError, match=rf"normalisation {name} on {chrom} \(1 genes\)"):
            ask(tmp_path, whole, name, weights)
        found = ask(tmp_path, whole, name, weights, "missing")
        assert found["n_genes_without_chromosome"] == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1.0, np.inf, 0.0])
def test_weights_that_no_normalisation_gives_are_refused_or_leave_contacts_finite(
    tmp_path: Path, whole: bytes, name: str, value: float
) -> None:
    weights = ones()
    weights[4] = value
    # What is divided by infinity or multiplied by zero is 0, which a bin without contacts is too.
    harmless = (name == "weight" and value == 0) or (name != "weight" and np.isinf(value))
    if harmless:
        assert ask(tmp_path, whole, name, weights)["n_records"] > 100
        return
    with pytest.raises(InputError, match=r"expected finite contacts >= 0 with normalisation"):
        ask(tmp_path, whole, name, weights)


@pytest.mark.parametrize("name", NAMES)
def test_sound_weights_of_each_name_are_accepted(tmp_path: Path, whole: bytes, name: str) -> None:
    assert ask(tmp_path, whole, name, ones())["n_genes_without_chromosome"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_the_other_direction_are_noticed(
    tmp_path: Path, whole: bytes, name: str
) -> None:
    (tmp_path / "x.cool").write_bytes(whole)
    with h5py.File(tmp_path / "x.cool") as file:
        rows, columns = file["pixels/bin1_id"][:], file["pixels/bin2_id"][:]
        counts = file["pixels/count"][:]
    matrix = np.zeros((len(ones()),) * 2)
    matrix[rows, columns] = matrix[columns, rows] = counts
    factor = np.ones(len(matrix))
    for _ in range(300):
        factor *= np.sqrt(1 / (factor * (matrix @ factor)))
    right, wrong = (factor, 1 / factor) if name == "weight" else (1 / factor, factor)
    assert ask(tmp_path, whole, name, right)["n_records"] > 100
    if name == "weight":
        # Divided by under a name that is multiplied by: the rule is the name's own.
        with pytest.raises(InputError, match="less even"):
            ask(tmp_path, whole, name, wrong)
        return
    with pytest.raises(InputError, match=f"{name} makes the rows of chr1 less even"):
        ask(tmp_path, whole, name, wrong)
