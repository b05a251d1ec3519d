"""The mouse example: mm39's names, an Ensembl GTF, planned and run on simulated files."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from prismflow.files import read_tsv

from .conftest import Workflow, finished

pytestmark = pytest.mark.workflow

LENGTHS = {"chr1": 500_000, "chr2": 500_000, "chrX": 500_000}
N_GENES = 40
SMALL = """
run: {experiments: [own_cell]}
seeds: [2]
experiment_overrides: {own_cell: {models: [gbm, prism]}}
model_overrides: {prism: {window_bp: 200, training: {steps: 6, warmup_steps: 1}}}
"""


def write_files(folder: Path) -> None:
    """A genome whose promoters' marks say how much each gene is expressed."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(39)
    letters = np.array(list("ACGT"))
    text = "".join(
        f">{chrom}\n{''.join(letters[rng.integers(0, 4, n)])}\n" for chrom, n in LENGTHS.items()
    )
    (folder / "mm39.fa.gz").write_text(text)  # plain text under a packed name: content decides
    gtf, rsem, levels = [], ["gene_id\ttranscript_id(s)\teffective_length\tTPM"], {}
    for number in range(3 * N_GENES):
        chrom = list(LENGTHS)[number // N_GENES]
        tss, strand = 10_000 + 12_000 * (number % N_GENES), "+-"[number % 2]
        gene, transcript = f"ENSMUSG{number:011d}", f"ENSMUST{number:011d}"
        start, end = (tss + 1, tss + 4000) if strand == "+" else (tss - 3999, tss)
        name = (f'gene_id "{gene}"; gene_version "3"; transcript_id "{transcript}"; '
                'gene_biotype "protein_coding"; tag "Ensembl_canonical";')  # fmt: skip
        for feature, first, last in (
            ("transcript", start, end), ("exon", start, start + 1500), ("exon", end - 1000, end),
            ("CDS", start + 200, start + 1400), ("CDS", end - 900, end - 300 - number),
        ):  # fmt: skip
            gtf.append(f"{chrom.removeprefix('chr')}\tensembl\t{feature}\t{first}\t{last}\t.\t"
                       f"{strand}\t.\t{name}")  # fmt: skip
        level = float(rng.gamma(1.5, 4.0))
        rsem.append(f"{gene}.3\t{transcript}\t1000\t{level:.3f}")
        levels[chrom, tss] = level
    with gzip.open(folder / "Mus_musculus.GRCm39.gtf.gz", "wt") as out:
        out.write("\n".join(gtf) + "\n")
    (folder / "mESC.genes.results").write_text("\n".join(rsem) + "\n")
    for cell in ("mESC", "liver"):
        for modality in ("h3k27ac", "dnase"):
            with pyBigWig.open(str(folder / f"{cell}.{modality}.bw"), "w") as out:
                # Tracks of an Ensembl pipeline: names without chr.
                out.addHeader([(c.removeprefix("chr"), n) for c, n in LENGTHS.items()])
                for (chrom, tss), level in sorted(levels.items()):
                    out.addEntries(
                        [chrom.removeprefix("chr")], [tss - 400], ends=[tss + 400],
                        values=[level + float(rng.random())],
                    )  # fmt: skip


@pytest.fixture(scope="module")
def mouse(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(tmp_path_factory.mktemp("mouse") / "project", root)
    for name in ("own_cell", "mouse"):
        shutil.copytree(root / "config" / name, workflow.folder / name)
    write_files(workflow.folder / "mouse" / "files")
    (workflow.folder / "small.yaml").write_text(SMALL)
    return workflow


FILES = ("own_cell/config.yaml", "mouse/config.yaml")


def test_the_example_is_planned_as_it_stands(mouse: Workflow) -> None:
    planned = mouse.plan(configfiles=FILES)
    assert planned.rules["make_own_genes"] == 1 and planned.rules["predict_genes"] == 1
    assert planned.models() == {"gbm", "cnn", "caduceus_signals", "prism_n0", "prism"}


def test_ensembl_names_meet_ucsc_names_from_the_gtf_to_predictions(mouse: Workflow) -> None:
    targets = ("results/own/metrics.tsv", "results/own/predictions/other_cell.tsv")
    finished(mouse, *targets, configfiles=(*FILES, "small.yaml"))
    genes = read_tsv(mouse.folder / "resources" / "own" / "genes.tsv")
    assert len(genes) == 3 * N_GENES and set(genes["chrom"]) == set(LENGTHS)
    assert set(genes["split"]) >= {"train", "valid", "test"}
    assert genes["mESC_label"].notna().all()
    metrics = read_tsv(mouse.folder / targets[0])
    chosen = metrics[(metrics["model"] == "gbm") & (metrics["metric"] == "spearman")]
    assert chosen["value"].item() > 0.8  # the marks were made of the label
    predicted = read_tsv(mouse.folder / targets[1])
    assert predicted["predicted"].notna().all() and len(predicted) == 3 * N_GENES
