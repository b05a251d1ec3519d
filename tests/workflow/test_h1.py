"""H1 from portals to metrics: its label is a CAGE bigWig, summed around each TSS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import yaml
from portal_server import PortalServer

from prismflow.data.gene_table import FEATURES
from prismflow.files import read_tsv
from prismflow.portals import encode, fourdn
from prismflow.simulate import simulate

from .conftest import Workflow, finished
from .test_download import serve_tracks, zipped

pytestmark = pytest.mark.workflow

ACCESSIONS = {
    ("H1", "h3k27ac"): ("encode", "ENCFF771GNB", "bigWig", "H1.h3k27ac.bw"),
    ("H1", "dnase"): ("encode", "ENCFF232GUZ", "bigWig", "H1.dnase.bw"),
    ("H1", "hic"): ("4dn", "4DNFIFI6NIKJ", "mcool", "H1.mcool"),
}
HALF = 192


def cage(source: Path, genes: pd.DataFrame) -> tuple[bytes, np.ndarray]:
    """A bigWig with each gene's label at its TSS, and what is within +- 192 bp of each TSS."""
    sizes = pd.read_csv(source / "chrom.sizes", sep="\t", header=None)
    lengths = dict(zip(sizes[0], sizes[1], strict=True))
    at = genes.assign(base=np.minimum(genes["tss"], genes["chrom"].map(lengths) - 1))
    at = at.groupby(["chrom", "base"])["H1_cage"].sum()
    path = source / "cage.bw"
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader(list(lengths.items()))
        for chrom in lengths:
            if chrom in at.index.get_level_values(0):
                own = at[chrom].sort_index()
                bases = own.index.to_list()
                out.addEntries([chrom] * len(own), bases, ends=[b + 1 for b in bases],
                               values=own.astype(float).to_list())  # fmt: skip
    around = [
        sum(value for (chrom, base), value in at.items()
            if chrom == gene.chrom and gene.tss - HALF <= base < gene.tss + HALF)
        for gene in genes.itertuples()
    ]  # fmt: skip
    return path.read_bytes(), np.array(around, dtype=float)


def serve_references(server: PortalServer, source: Path) -> tuple[list[str], np.ndarray]:
    """Serve the published tables' formats; rows of the references sheet, and the true labels."""
    genes = pd.read_csv(source / "genes.tsv", sep="\t")
    bed = pd.DataFrame(
        {0: genes.chrom, 1: genes.tss - 100, 2: genes.tss + 100, 3: genes.gene_id, 4: 0,
         5: genes.strand}
    )  # fmt: skip
    features = genes[["gene_id"]].assign(
        TSS=genes.tss, **{theirs: genes[ours] for theirs, ours in FEATURES.items()}
    )
    names = pd.DataFrame({"ENSID": genes.gene_id, "Actual_H1": 0.0})
    promoters = genes[["gene_id", "tss"]].rename(columns={"gene_id": "Ensembl_ID"})
    for column in ("H3K27ac.RPM.TSS1Kb", "DHS.RPM.TSS1Kb"):
        promoters[column] = genes["H1_promoter_activity"]
    body, around = cage(source, genes)
    rows = [("name", "file", "url", "archive", "member")]
    for name, file, content in (
        ("genome", "hg.fa", (source / "genome.fa").read_bytes()),
        ("tss", "tss.bed", bed.to_csv(sep="\t", index=False, header=False).encode()),
        ("features", "features.csv", features.to_csv(index=False).encode()),
        ("labels_zip", "labels.zip", zipped("expression_18377.csv", names.to_csv(index=False))),
        ("promoters_H1", "GeneList.txt", promoters.to_csv(sep="\t", index=False).encode()),
        ("cage_H1", "H1_CAGE.bw", body),
    ):
        rows.append((name, file, server.serve(f"/{file}", content), "", ""))
    rows.append(("labels", "labels.csv", "", "labels_zip", "*expression*.csv"))
    return ["\t".join(row) for row in rows], around


def write_configuration(folder: Path, references: list[str]) -> None:
    tracks = ["cell\tmodality\tportal\taccession\tformat\tassembly\tresolution_bp\tnormalisation"]
    for (cell, modality), (portal, accession, file_format, _) in ACCESSIONS.items():
        bins = "5000\tNONE" if modality == "hic" else "\t"
        tracks.append(
            f"{cell}\t{modality}\t{portal}\t{accession}\t{file_format}\tsimulated\t{bins}"
        )
    (folder / "cells.tsv").write_text("cell\tbiosample\nH1\tH1\n")
    (folder / "tracks.tsv").write_text("\n".join(tracks) + "\n")
    (folder / "references.tsv").write_text("\n".join(references) + "\n")
    table = "resources/reference/genes.tsv"
    changes = {
        "run": {"datasets": ["h1"], "experiments": ["main"]},
        "experiment_overrides": {"main": {"models": ["gene_features", "gbm"]}},
        "model_overrides": {"gene_features": {"window_bp": 500}, "gbm": {"window_bp": 500}},
        "sheets": {name: f"{name}.tsv" for name in ("cells", "tracks", "references")},
        "gene_table": {
            "path": table, "tss": "tss", "features": "features", "expression": "labels",
            "splits": None, "expected_genes": None,
            "cells": {"H1": {"cage_bigwig": "cage_H1", "rna": "Actual_H1",
                             "promoter_table": "promoters_H1"}},
        },
        "datasets": {
            "h1": {
                "genome": "resources/reference/hg.fa",
                "genes": {"path": table, "features": list(FEATURES.values()),
                          "promoter_activity": "{cell}_promoter_activity"},
                "label": {"column": "{cell}_cage", "transform": "log10p1", "name": "CAGE"},
                "window_bp": 500,
                "splits": {"by": "chromosome", "folds": ["fold11"]},
            }
        },
        "seeds": [2],
    }  # fmt: skip
    (folder / "h1.yaml").write_text(yaml.safe_dump(changes))


def test_h1_from_portals_to_metrics(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    simulate(source, {"n_genes": 80, "cells": ["H1"]}, seed=1)
    workflow = Workflow(tmp_path / "project", root)
    with PortalServer() as server:
        serve_tracks(server, source, ACCESSIONS)
        references, around = serve_references(server, source)
        write_configuration(workflow.folder, references)
        monkeypatch.setenv(encode.URL_VARIABLE, server.url)
        monkeypatch.setenv(fourdn.URL_VARIABLE, server.url)
        finished(workflow, "results/h1/metrics.tsv", configfiles=("h1.yaml",))
    made = read_tsv(workflow.folder / "resources" / "reference" / "genes.tsv")
    np.testing.assert_allclose(made["H1_cage"], around)
    assert (made["H1_cage"] > 0).sum() > 20
    metrics = read_tsv(workflow.folder / "results" / "h1" / "metrics.tsv")
    assert set(metrics["model"]) == {"gene_features", "gbm"} and set(metrics["cell"]) == {"H1"}
