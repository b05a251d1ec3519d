"""From accessions to stores, against a local server with the portals' formats and some troubles."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from portal_server import PortalServer, Trouble

from prismflow.data.gene_table import FEATURES
from prismflow.data.store import Store
from prismflow.portals import encode, fourdn
from prismflow.simulate import simulate

from .conftest import Workflow, finished

pytestmark = pytest.mark.workflow

ACCESSIONS = {
    ("simA", "h3k27ac"): ("encode", "ENCFF001AAA", "bigWig", "simA.h3k27ac.bw"),
    ("simA", "dnase"): ("encode", "ENCFF002AAA", "bigWig", "simA.dnase.bw"),
    ("simA", "hic"): ("4dn", "4DNFI001AAA", "mcool", "simA.mcool"),
    ("simB", "h3k27ac"): ("encode", "ENCFF003BBB", "bigWig", "simB.h3k27ac.bw"),
    ("simB", "hic"): ("4dn", "4DNFI002BBB", "hic", "simB.hic"),
}


def serve_tracks(
    server: PortalServer,
    source: Path,
    accessions: dict[tuple[str, str], tuple[str, str, str, str]] = ACCESSIONS,
) -> None:
    for (cell, _), (portal, accession, extension, name) in accessions.items():
        body = (source / name).read_bytes()
        about = {
            "accession": accession, "md5sum": hashlib.md5(body).hexdigest(),
            "file_size": len(body), "status": "released", "assembly": "simulated",
            "genome_assembly": "simulated", "output_type": "fold change over control",
            "file_type": "contact matrix", "biosample_ontology": {"term_name": cell},
            "track_and_facet_info": {"biosource_name": f"{cell} (Tier 1)"},
        }  # fmt: skip
        folder = "files" if portal == "encode" else "files-processed"
        server.serve(f"/{folder}/{accession}/?format=json", json.dumps(about).encode())
        server.serve(f"/{folder}/{accession}/@@download/{accession}.{extension}", body)


def zipped(name: str, content: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr(f"data/{name}", content)
    return buffer.getvalue()


def serve_references(server: PortalServer, source: Path) -> list[str]:
    """Serve the published tables' formats; return the rows of the references sheet."""
    genes = pd.read_csv(source / "genes.tsv", sep="\t")
    short = genes["chrom"].str.removeprefix("chr")
    bed = pd.DataFrame(
        {0: short, 1: genes.tss - 100, 2: genes.tss + 100, 3: genes.gene_id, 4: 0, 5: genes.strand}
    )
    features = genes[["gene_id"]].assign(**{"Gene name": genes.symbol, "TSS": genes.tss})
    for published, ours in FEATURES.items():
        features[published] = genes[ours]
    labels = genes[["gene_id"]].rename(columns={"gene_id": "ENSID"})
    labels["A_CAGE"], labels["B_CAGE"] = genes["simA_cage"], genes["simB_cage"]
    bodies = {
        "/hg.fa.gz": gzip.compress((source / "genome.fa").read_bytes(), mtime=0),
        "/tss.bed": bed.to_csv(sep="\t", index=False, header=False).encode(),
        "/features.csv": features.to_csv(index=False).encode(),
        "/labels.zip": zipped("expression_18377.csv", labels.to_csv(index=False)),
    }
    for cell in ("simA", "simB"):
        table = genes[["gene_id", "tss"]].rename(columns={"gene_id": "Ensembl_ID"})
        table["H3K27ac.RPM.TSS1Kb"] = table["DHS.RPM.TSS1Kb"] = genes[f"{cell}_promoter_activity"]
        bodies[f"/{cell}.zip"] = zipped(
            "Neighborhoods/GeneList.txt", table.to_csv(sep="\t", index=False)
        )
    urls = {path: server.serve(path, body) for path, body in bodies.items()}
    rows = [
        ("genome_gz", "hg.fa.gz", urls["/hg.fa.gz"], "", ""),
        ("genome", "hg.fa", "", "genome_gz", ""),
        ("tss", "tss.bed", urls["/tss.bed"], "", ""),
        ("features", "features.csv", urls["/features.csv"], "", ""),
        ("labels_zip", "labels.zip", urls["/labels.zip"], "", ""),
        ("labels", "labels.csv", "", "labels_zip", "*expression*.csv"),
    ]
    for cell in ("simA", "simB"):
        rows.append((f"abc_{cell}", f"abc_{cell}.zip", urls[f"/{cell}.zip"], "", ""))
        rows.append(
            (f"p_{cell}", f"p_{cell}.txt", "", f"abc_{cell}", "*Neighborhoods/GeneList.txt")
        )
    return ["\t".join(row) for row in [("name", "file", "url", "archive", "member"), *rows]]


def write_configuration(folder: Path, references: list[str]) -> None:
    tracks = ["cell\tmodality\tportal\taccession\tformat\tassembly\tresolution_bp\tnormalisation"]
    for (cell, modality), (portal, accession, file_format, _) in ACCESSIONS.items():
        bins = "5000\tNONE" if modality == "hic" else "\t"
        tracks.append(
            f"{cell}\t{modality}\t{portal}\t{accession}\t{file_format}\tsimulated\t{bins}"
        )
    (folder / "cells.tsv").write_text("cell\tbiosample\nsimA\tsimA\nsimB\tsimB\n")
    (folder / "tracks.tsv").write_text("\n".join(tracks) + "\n")
    (folder / "references.tsv").write_text("\n".join(references) + "\n")
    changes = {
        "run": {"datasets": ["ported"], "experiments": ["main"]},
        "experiment_overrides": {"main": {"models": ["gene_features"]}},
        "model_overrides": {"gene_features": {"window_bp": 500}},
        "sheets": {name: f"{name}.tsv" for name in ("cells", "tracks", "references")},
        "gene_table": {
            "path": "resources/reference/genes.tsv", "tss": "tss", "features": "features",
            "expression": "labels", "splits": None, "expected_genes": None,
            "cells": {
                "simA": {"cage": "A_CAGE", "promoter_table": "p_simA"},
                "simB": {"cage": "B_CAGE", "promoter_table": "p_simB"},
            },
        },
        "downloads": {"attempts": 3, "read_timeout_s": 5},
        "datasets": {
            "ported": {
                "genome": "resources/reference/hg.fa",
                "genes": {
                    "path": "resources/reference/genes.tsv",
                    "features": list(FEATURES.values()),
                    "promoter_activity": "{cell}_promoter_activity",
                },
                "label": {"column": "{cell}_cage", "transform": "log10p1", "name": "CAGE"},
                "window_bp": 500,
                "splits": {"by": "chromosome", "folds": ["fold11"]},
                "cells": ["simA", "simB"],
            }
        },
    }  # fmt: skip
    (folder / "ported.yaml").write_text(yaml.safe_dump(changes))


def test_from_accessions_to_stores(root: Path, tmp_path: Path, monkeypatch):
    source = tmp_path / "source"
    simulate(source, {"n_genes": 80, "cells": ["simA", "simB"]}, seed=1)
    workflow = Workflow(tmp_path / "project", root)
    with PortalServer() as server:
        serve_tracks(server, source)
        write_configuration(workflow.folder, serve_references(server, source))
        cut = server.files["/files/ENCFF001AAA/@@download/ENCFF001AAA.bigWig"]
        cut.troubles = [Trouble(status=503), Trouble(cut_after=100_000)]
        monkeypatch.setenv(encode.URL_VARIABLE, server.url)
        monkeypatch.setenv(fourdn.URL_VARIABLE, server.url)
        finished(workflow, "stores", configfiles=("ported.yaml",))
    again = workflow.plan("stores", configfiles=("ported.yaml",))
    assert not again.outputs, "a finished run plans nothing, without the server"

    resources = workflow.folder / "resources"
    made = pd.read_csv(resources / "reference" / "genes.tsv", sep="\t")
    genes = pd.read_csv(source / "genes.tsv", sep="\t")
    for column in ("gene_id", "chrom", "tss", "strand"):
        assert list(made[column]) == list(genes[column])
    np.testing.assert_allclose(
        made["simB_promoter_activity"], genes["simB_promoter_activity"], rtol=1e-6
    )
    assert (resources / "encode" / "ENCFF001AAA.bw").read_bytes() == (
        source / "simA.h3k27ac.bw"
    ).read_bytes()
    about = json.loads((resources / "encode" / "ENCFF001AAA.bw.json").read_text())
    assert about["output_type"] == "fold change over control" and about["cell"] == "simA"
    ranges = [asked.range for asked in server.asked if asked.path.endswith("ENCFF001AAA.bigWig")]
    assert ranges == [None, None, "bytes=100000-"]
    folder = workflow.folder / "results" / "ported"
    assert Store.open(folder / "simA" / "store").modalities == ("h3k27ac", "dnase", "hic")
    assert Store.open(folder / "simB" / "store").modalities == ("h3k27ac", "hic")


def test_downloads_killed_in_mid_write(root: Path, tmp_path: Path, monkeypatch):
    source = tmp_path / "source"
    simulate(source, {"n_genes": 80, "cells": ["simA", "simB"]}, seed=1)
    targets = ("resources/reference/genes.tsv", "resources/encode/ENCFF001AAA.bw")
    made = []
    with PortalServer() as server:
        serve_tracks(server, source)
        references = serve_references(server, source)
        monkeypatch.setenv(encode.URL_VARIABLE, server.url)
        for kind in ("none", "job"):
            workflow = Workflow(tmp_path / kind, root)
            write_configuration(workflow.folder, references)
            finished(
                workflow, *targets, "--retries", "1", configfiles=("ported.yaml",),
                environment=workflow.faults(kind, "resources/[er]"),
            )  # fmt: skip
            assert workflow.marked() == {
                "build_gene_table", "download_file", "download_reference", "extract_reference"
            }  # fmt: skip
            made.append([(workflow.folder / target).read_bytes() for target in targets])
    assert made[0] == made[1]
    assert made[0][1] == (source / "simA.h3k27ac.bw").read_bytes()
