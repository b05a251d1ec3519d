"""External files: what is wanted, and what a job must know of each."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

from planned import PAPER, RELEASED, wildcards

from prismflow.plan.downloads import Downloads
from prismflow.plan.runs import Plan

Make = Callable[..., Plan]


def test_the_demo_downloads_nothing(plan: Make) -> None:
    downloads = Downloads(plan())
    assert downloads.wanted() == []
    assert downloads.track_names() == "none"


def test_the_paper_wants_its_tracks_genome_and_gene_table(plan: Make) -> None:
    made = plan(files=PAPER)
    downloads = Downloads(made)
    wanted = downloads.wanted()
    assert len(wanted) == len(set(wanted))
    settings = made.config.datasets["hg38_cage"]
    assert {settings["genome"], settings["genes"]["path"]} <= set(wanted)
    assert sum(path in downloads.tracks for path in wanted) >= 6


def test_a_track_is_told_to_its_job_without_the_line_of_its_row(plan: Make) -> None:
    downloads = Downloads(plan(files=PAPER))
    path = next(iter(downloads.tracks))
    _, portal, name = path.split("/")
    found = downloads.track(wildcards(portal=portal, name=name))
    assert ast.literal_eval(repr(found)) == found
    assert "where" not in found  # a row that moves in its sheet is not downloaded again
    assert found["sheet"] == "config/tracks.tsv" and found["portal"] == portal
    assert re.fullmatch(downloads.track_names(), name)


def test_references_are_downloaded_or_taken_out_of_archives(plan: Make) -> None:
    downloads = Downloads(plan(files=PAPER))
    archived = downloads.reference_names(archived=True).split("|")
    plainly = downloads.reference_names(archived=False).split("|")
    assert archived and plainly and not set(archived) & set(plainly)
    assert len(archived) + len(plainly) == len(downloads.references)
    held = next(entry for entry in downloads.references.values() if entry.archive)
    asked = wildcards(name=Path(held.path).name)
    assert downloads.row(asked) == held
    assert downloads.archive(asked) in downloads.references
    assert downloads.local(asked) == (held.local or [])
    found = downloads.reference(asked)
    assert isinstance(found["urls"], list)
    assert ast.literal_eval(repr(found)) == found


def test_a_gene_table_is_joined_for_the_cells_that_are_run(plan: Make) -> None:
    downloads = Downloads(plan(files=PAPER))
    assert set(downloads.gene_table_inputs().values()) <= set(downloads.references)
    assert set(downloads.gene_table_settings()) == {"cells", "expected_genes"}
    none = Downloads(plan(gene_table=None))
    assert none.gene_table_inputs() == none.gene_table_settings() == {}


def test_the_released_bundle_brings_contacts_of_its_cells(plan: Make) -> None:
    downloads = Downloads(plan(files=RELEASED))
    cells = plan(files=RELEASED).config.datasets["hg38_cage"]["cells"]
    assert set(cells) <= set(downloads.contacts)
    for cell in cells:
        assert set(downloads.contacts_of(wildcards(cell=cell))) <= set(downloads.references)
        assert downloads.elements_of(wildcards(cell=cell)) in downloads.references
