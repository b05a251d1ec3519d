"""Random sheets, gene tables, intervals at chromosome edges and contacts, against plain readers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prismflow.data.chromosomes import Genes
from prismflow.data.contacts import PSEUDOCOUNT, feature_per_bin, rows_of_bins
from prismflow.data.genes import read_genes
from prismflow.data.genome import Genome
from prismflow.data.kinds.peaks import peak_windows
from prismflow.data.windows import define_windows
from prismflow.errors import InputError
from prismflow.settings.sheets import read_sheet

LENGTHS = {"chr1": 1000, "chr2": 37}
STEADY = settings(
    max_examples=150, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


# --- sheets ---------------------------------------------------------------------------------------
PLAIN = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters='"#'), max_size=9)


@STEADY
@given(content=st.one_of(st.binary(max_size=400), st.text(max_size=400).map(str.encode)))
def test_any_bytes_are_a_sheet_or_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sheet.tsv"
    for start in (b"", b"cell\tmodality\n"):
        path.write_bytes(start + content)
        try:
            read_sheet(path, ("cell",), ("modality",), key=("cell",))
        except InputError as error:
            assert "\n" not in str(error) and "sheet.tsv" in str(error)


def test_a_very_long_cell_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "sheet.tsv"
    path.write_text("cell\tmodality\nK562\t" + "x" * 200_000 + "\n")
    (row,) = read_sheet(path, ("cell",), ("modality",), key=("cell",))
    assert row["modality"] == "x" * 200_000


@STEADY
@given(
    rows=st.lists(st.tuples(PLAIN, PLAIN, PLAIN), max_size=6),
    order=st.permutations(["cell", "modality", "note"]),
    comment=st.booleans(),
)
def test_sheets_read_back_as_written(
    tmp_path: Path, rows: list[tuple[str, str, str]], order: list[str], comment: bool
) -> None:
    path = tmp_path / "sheet.tsv"
    lines = ["\t".join(order), *(["# a comment"] if comment else [])]
    lines += ["\t".join(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    wanted = [dict(zip(order, row, strict=True)) for row in rows if any(row)]
    cells = [row["cell"] for row in wanted]
    usable = all(cells) and len(set(cells)) == len(cells)
    try:
        found = read_sheet(path, ("cell",), ("modality", "note"), key=("cell",))
    except InputError as error:
        assert not usable, error
        return
    assert usable
    assert [row.values for row in found] == wanted
    text = path.read_text(encoding="utf-8").split("\n")
    assert all(text[row.line - 1].split("\t")[order.index("cell")] == row["cell"] for row in found)


# --- gene tables ----------------------------------------------------------------------------------
GENE = st.tuples(
    st.sampled_from(["g1", "g2", "g3", "g4", "g5", ""]),
    st.sampled_from(["chr1", "chr1", "chr2", "1", ""]),
    st.one_of(st.integers(-2, 40).map(str), st.integers(990, 1003).map(str),
              st.sampled_from(["", "NA", "5.5", "1e2", "x", "inf"])),
    st.sampled_from(["+", "-", "+", "-", "."]),
    st.sampled_from(["0", "3", "7.5", "1e3", "NA", "", "-1", "inf", "nan", "high", " 4 "]),
)  # fmt: skip


@STEADY
@given(rows=st.lists(GENE, min_size=1, max_size=5), drop=st.booleans())
def test_gene_tables_are_right_or_refused(
    tmp_path: Path, rows: list[tuple[str, ...]], drop: bool
) -> None:
    path = tmp_path / "genes.tsv"
    lines = ["gene_id\tchrom\ttss\tstrand\tA", *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    try:
        genes = read_genes(
            path, cells=["A"], chrom_lengths=LENGTHS, lengths_source="genome.fa",
            label_column="{cell}", missing_label="drop" if drop else "error",
        )  # fmt: skip
    except InputError as error:
        assert "genes.tsv" in str(error) and "\n" not in str(error)
        return
    assert genes["gene_id"].tolist() == [row[0] for row in rows]
    for found, (_, chrom, tss, strand, label) in zip(genes.itertuples(), rows, strict=True):
        assert found.tss == float(tss)
        first = found.tss - (strand == "-")
        assert 0 <= first < LENGTHS[chrom]
        if found.drop_reason:
            assert drop and label.strip().lower() in ("", "na", "nan")
        else:
            assert found.label_A == pytest.approx(math.log10(float(label) + 1))
    try:
        kept, dropped = define_windows(genes, LENGTHS, 20)
    except InputError:
        assert (genes["drop_reason"] != "").all()
        return
    assert len(kept) + len(dropped) == len(rows)
    assert (kept["window_end"] - kept["window_start"] == 20).all()
    assert (kept["window_start"] == kept["tss"] - 10).all()


# --- intervals at the edges of chromosomes --------------------------------------------------------
@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Genome, dict[str, str]]:
    rng = np.random.default_rng(5)
    texts = {c: "".join(rng.choice(list("ACGTNacgt"), n)) for c, n in LENGTHS.items()}
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text("".join(f">{c}\n{text}\n" for c, text in texts.items()))
    return Genome(path), texts


EDGE = st.tuples(
    st.sampled_from(list(LENGTHS)), st.booleans(), st.integers(-60, 60), st.integers(0, 150)
)


@STEADY
@given(edge=EDGE, cached=st.booleans())
def test_sequence_at_edges(
    genome: tuple[Genome, dict[str, str]], edge: tuple[str, bool, int, int], cached: bool
) -> None:
    chrom, at_end, offset, length = edge
    reader, texts = genome
    start = offset + (LENGTHS[chrom] if at_end else 0)
    if cached:
        reader.chromosome(chrom)
    pad = "N" * 300
    text = (pad + texts[chrom] + pad)[start + 300 : start + 300 + length].upper()
    wanted = ["ACGTN".index(base) for base in text]
    assert reader.codes(chrom, start, start + length).tolist() == wanted


@STEADY
@given(
    peaks=st.lists(st.tuples(st.sampled_from(list(LENGTHS)), st.integers(0, 40),
                             st.integers(0, 40), st.booleans()), min_size=1, max_size=6),
    tss=st.lists(st.integers(0, 37), min_size=1, max_size=4),
    half=st.integers(1, 30),
)  # fmt: skip
def test_peaks_at_edges(
    tmp_path: Path, peaks: list[tuple[str, int, int, bool]], tss: list[int], half: int
) -> None:
    path = tmp_path / "peaks.bed"
    regions = [
        (chrom, start + shift, start + shift + length)
        for chrom, start, length, at_end in peaks
        for shift in [LENGTHS[chrom] - 30 if at_end else 0]
    ]
    path.write_text("".join(f"{c}\t{start}\t{end}\n" for c, start, end in regions))
    chroms = np.array([c for c in LENGTHS for _ in tss], dtype=object)
    positions = np.array([t if c == "chr2" else t + 963 for c in LENGTHS for t in tss])
    found = np.zeros((len(chroms), 2 * half), dtype=np.uint8)
    try:
        for rows, mask in peak_windows(path, Genes(chroms, positions, LENGTHS), 2 * half):
            found[rows] = mask
    except InputError as error:
        beyond = any(start >= LENGTHS[chrom] for chrom, start, _ in regions)
        absent = set(LENGTHS) - {chrom for chrom, _, _ in regions}
        assert (
            "chromosome names differ" in str(error)
            or (absent and "no data for" in str(error))
            or (beyond and "begin behind" in str(error))
        )
        return
    for row, (chrom, position) in enumerate(zip(chroms, positions.tolist(), strict=True)):
        bases = range(position - half, position + half)
        own = [region for region in regions if region[0] == chrom]
        wanted = [int(any(a <= base < b for _, a, b in own)) for base in bases]
        assert found[row].tolist() == wanted


# --- contact tables -------------------------------------------------------------------------------
PIXELS = st.lists(
    st.tuples(st.integers(0, 19), st.integers(0, 19),
              st.one_of(st.just(math.nan), st.floats(0, 1e4))), max_size=30,
)  # fmt: skip


def _columns(pixels: list[tuple[int, int, float]]) -> tuple[np.ndarray, ...]:
    unique = {(min(a, b), max(a, b)): value for a, b, value in pixels}
    pairs = sorted(unique)
    bin1, bin2 = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
    return bin1, bin2, np.array([unique[pair] for pair in pairs], dtype=np.float64)


@STEADY
@given(pixels=PIXELS, bins=st.sets(st.integers(0, 19), min_size=1), half=st.integers(0, 25))
def test_rows_of_bins_against_the_dense_matrix(
    pixels: list[tuple[int, int, float]], bins: set[int], half: int
) -> None:
    bin1, bin2, values = _columns(pixels)
    dense = np.zeros((120, 120))
    dense[bin1 + 50, bin2 + 50] = dense[bin2 + 50, bin1 + 50] = np.nan_to_num(values)
    wanted = np.array([dense[b + 50, b + 50 - half : b + 51 + half] for b in sorted(bins)])
    found = rows_of_bins(bin1, bin2, values, np.array(sorted(bins)), half)
    np.testing.assert_array_equal(found, wanted)


@STEADY
@given(pixels=PIXELS, tss=st.integers(0, 197), half=st.integers(1, 60), pseudocount=st.booleans())
def test_contact_feature_base_by_base(
    pixels: list[tuple[int, int, float]], tss: int, half: int, pseudocount: bool
) -> None:
    bin1, bin2, values = _columns(pixels)
    resolution, length = 10, 197
    table = {(a, b): v for a, b, v in zip(bin1, bin2, np.nan_to_num(values), strict=True)}

    def contact(base: int) -> float:
        pair = sorted((base // resolution, tss // resolution))
        return float(table.get((pair[0], pair[1]), 0.0))

    found, covered = feature_per_bin(
        bin1, bin2, values, np.array([tss]), length, 2 * half, resolution, pseudocount
    )
    near = range(max(tss - 499, 0), min(tss + 500, length))
    total = sum(contact(base) for base in near)
    if abs(total - 0.01) > 1e-9:
        assert covered[0] == (total >= 0.01)
    first = (tss - half) // resolution
    for base in range(max(tss - half, 0), min(tss + half, length)):
        wanted = contact(base) + pseudocount * PSEUDOCOUNT if covered[0] else 0.0
        assert found[0, base // resolution - first] == pytest.approx(wanted)
