"""docs/own_cell.md as it is written, from an empty folder, on real files."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from prismflow.files import read_tsv

pytestmark = pytest.mark.workflow

FILES = {
    "annotation.gtf.gz": "formats/gencodeV24pri-tRNAs-ERCC-phiX_onlychr19_and_spikeins.gtf.gz",
    "genome.fa.gz": "genome/hg38_partial.fa.gz",
    "genome.fa.gz.fai": "genome/hg38_partial.fa.gz.fai",
    "genome.fa.gz.gzi": "genome/hg38_partial.fa.gz.gzi",
    "rep1.genes.results.gz": "formats/rsem_ERR188297.genes.results.gz",
    "rep2.quant.sf.gz": "formats/salmon_ERR188297.quant.sf.gz",
    "mycell.h3k27ac.bw": "signals/GM12878_H3K27ac.hg38.PEAKS.bw",
    "mycell.dnase.bw": "signals/GM12878_DNase.hg38.PEAKS.bw",
    "othercell.h3k27ac.bw": "signals/K562_H3K27ac.hg38.PEAKS.bw",
    "othercell.dnase.bw": "signals/K562_DNase.hg38.PEAKS.bw",
}
"""A lymphoblastoid line on chr19: its RNA quantified twice, its tracks, and those of K562."""


@pytest.fixture(scope="module")
def walked(
    root: Path, realdata_genomewide_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder after every command of the page."""
    folder = tmp_path_factory.mktemp("own")
    page = (root / "docs" / "own_cell.md").read_text()
    blocks = re.findall(r"^```bash\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 5
    variables = os.environ | {
        "PRISMFLOW": str(root),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for number, block in enumerate(blocks):
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], cwd=folder, env=variables,
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert result.returncode == 0, f"{block}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
        if number == 0:
            for name, source in FILES.items():
                (folder / "own_cell" / "files" / name).symlink_to(realdata_genomewide_dir / source)
    return folder


def test_replicates_agree_and_genes_are_counted(walked: Path) -> None:
    summary = read_tsv(walked / "resources" / "own" / "genes.summary.tsv")
    assert summary["what"].str.contains("Spearman correlation 0.9").any()
    counts = summary[summary["what"] == "genes matched"]["count"].tolist()
    assert counts == [1450]


def test_every_input_is_accounted_for_before_training(walked: Path) -> None:
    results = walked / "results" / "own"
    checked = read_tsv(results / "checks" / "inputs.tsv").fillna("")
    assert set(checked["state"]) <= {"ok", "flag"}
    assert {"annotation", "quantification", "genes", "h3k27ac"} <= set(checked["input"])
    table = read_tsv(results / "input_summary.tsv").fillna("")
    made = table[table["input"].isin(["annotation", "quantification"])]
    for _, own in made.groupby(["input", "cell", "unit"]):
        n = own.groupby("outcome")["n"].sum()
        assert n["read"] == n["kept"] + n.get("skipped", 0)
    lines = made[(made["unit"] == "lines") & (made["outcome"] == "read")]["n"].tolist()
    with gzip.open(walked / "own_cell" / "files" / "annotation.gtf.gz", "rt") as gtf:
        assert lines == [sum(not line.startswith("#") for line in gtf)]


def test_models_with_signals_say_something_of_the_cell(walked: Path) -> None:
    metrics = read_tsv(walked / "results" / "own" / "metrics.tsv")
    chosen = metrics[(metrics["metric"] == "spearman") & (metrics["model"] == "gbm")]
    assert chosen["value"].mean() > 0.3
    assert set(metrics["model"]) == {"gbm", "cnn", "caduceus_signals", "prism_n0", "prism"}
    assert 'id="predictions"' in (walked / "results" / "own" / "report.html").read_text()


def test_the_other_cell_is_predicted_and_the_bundle_gives_the_same_bytes(walked: Path) -> None:
    made = walked / "results" / "own" / "predictions" / "other_cell.tsv"
    table = read_tsv(made)
    assert len(table) == 1456 and table["predicted"].notna().sum() > 1400
    assert made.read_bytes() == (walked / "again.tsv").read_bytes()
