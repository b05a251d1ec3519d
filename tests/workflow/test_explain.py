"""The targets that explain, through the workflow's own rules."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prismflow.data.genome import Genome
from prismflow.explain.variants import read_scores
from prismflow.files import read_tsv

from .conftest import Workflow, finished

pytestmark = pytest.mark.workflow
OVERRIDES = {
    "run": {"experiments": ["main"]},
    "datasets": {"demo": {"cells": ["simA"], "window_bp": 500, "simulate": {"n_genes": 120}}},
    "seeds": [2, 22],
    "training": {"steps": 6, "warmup_steps": 2},
    "model_overrides": {"prism": {"window_bp": 200}, "gene_features": {"window_bp": 300}},
    "experiment_overrides": {"main": {"models": ["gene_features", "prism"]}},
    "attributions": {"at_most": 2, "steps": 10},
}
CONFIGS = ("config/demo.yaml", "config/explained.yaml")
RUN = "results/demo/simA/prism/fold11_seed2"


def configure(project: Workflow, **changes: object) -> None:
    """Write the configuration with these sections changed."""
    text = yaml.safe_dump(OVERRIDES | changes)
    (project.folder / "config" / "explained.yaml").write_text(text)


def test_attributions_and_variants_are_made_and_only_what_changed_is_made_again(
    tmp_path: Path, root: Path
) -> None:
    project = Workflow(tmp_path / "project", root)
    configure(project)
    finished(project, "attributions", configfiles=CONFIGS)
    folder = project.folder / RUN / "attributions"
    genes = read_tsv(folder / "genes.tsv")
    assert len(genes) == 2
    assert (project.folder / RUN / "attributions.png").stat().st_size > 10_000

    wider = OVERRIDES["attributions"] | {"figure_genes": 1}  # type: ignore[operator]
    configure(project, attributions=wider)
    planned = project.plan("attributions", configfiles=CONFIGS).rules
    assert set(planned) == {"plot_attributions", "attributions"}

    gene = genes.iloc[0]
    with Genome(project.folder / "resources" / "demo" / "genome.fa") as genome:
        code = int(genome.codes(gene["chrom"], gene["tss"], gene["tss"] + 1)[0])
    (project.folder / "my.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"{gene['chrom']}\t{gene['tss'] + 1}\trs1\t{'ACGT'[code]}\t{'ACGT'[code - 1]}\t.\t.\t.\n"
    )
    configure(project, variants={"vcf": "my.vcf"})
    finished(project, "variants", configfiles=CONFIGS)
    table = read_scores(project.folder / "results" / "demo" / "variants" / "simA" / "prism.tsv.gz")
    own = table[table["gene_id"] == gene["gene_id"]]
    assert set(own["seed"]) == {"2", "22", "mean"}
    assert own["percentile"].between(0, 100).all()
    one = own[(own["seed"] == "2") & (own["output"] == "direct")].iloc[0]
    assert one["reference"] == pytest.approx(gene["direct_prediction"], abs=1e-5)
