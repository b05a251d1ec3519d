"""The report's front page: what it holds, that it is safe inside the report, how it looks."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from browser import look

from prismflow.errors import InputError
from prismflow.figures import facts as facts
from prismflow.figures.front_page import overview, paper_order
from prismflow.figures.report import PLACE, with_front_page

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
TABLE = "<!doctype html><html><body>\n<table><tr><td>{}</td></tr></table>\n</body></html>"


def request(**changes: Any) -> dict[str, Any]:
    experiments = [
        {"id": "single", "title": "Signals <alone>", "caption": "c", "paper": "Figure 1e",
         "figure": True},
        {"id": "costs", "title": "Costs", "caption": "c", "paper": "Table 3", "figure": False},
        {"id": "extra", "title": "Beyond", "caption": "c", "paper": "", "figure": True},
        {"id": "main", "title": "Errors", "caption": "c", "paper": "Table 1", "figure": True},
    ]  # fmt: skip
    return {
        "dataset": "demo", "title": "genome", "simulated": True, "cells": ["simA"],
        "device": "auto", "experiments": experiments, "tracks": [], **changes,
    }  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of a dataset with one run, as far as the front page reads them."""
    folder = tmp_path / "results" / "demo"
    for name in ("tables", "figures", "checks", "simA/prism/fold11_seed2", "simA/store"):
        (folder / name).mkdir(parents=True)
    for name in ("claims", "main", "costs", "main_comparisons"):
        (folder / "tables" / f"{name}.html").write_text(TABLE.format(f"row of {name}"))
    for name in ("single", "extra", "main", "data_checks"):
        (folder / "figures" / f"{name}.png").write_bytes(PIXEL)
    (folder / "figures" / "single.txt").write_text("Built from data: 5 seeds, 141 genes.\n")
    (folder / "checks" / "summary.json").write_text('{"flags": ["the cells look swapped"]}')
    (folder / "checks" / "checks.tsv").write_text("cell\tspearman\nsimA\t0.5\n")
    (folder / "dropped.tsv").write_text("gene_id\treason\ng1\tblacklisted\n")
    (folder / "genes.tsv").write_text("gene_id\nx\ny\n")
    record = {
        "versions": {"torch": "2.0"}, "device": "cuda:0 A100", "seed": 2, "fold": "fold11",
        "split": {"digest": "f469"},
    }  # fmt: skip
    (folder / "simA/prism/fold11_seed2/model.json").write_text(json.dumps(record))
    (folder / "simA/store/store.json").write_text('{"digests": {"labels.npy": "d894b3"}}')
    return folder


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    """Benchmark files of three jobs."""
    folder = tmp_path / "benchmarks" / "demo"
    for name, seconds in (("simA/prism/a/train", 7200), ("simA/prism/b/train", 60),
                          ("figures/main", 3)):  # fmt: skip
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{seconds / 10}\n")
    return folder


def test_front_page_is_complete_and_in_order(results: Path, benchmarks: Path) -> None:
    page = overview(request(), results, benchmarks)
    wanted = [
        "These data are simulated", "row of claims",
        "row of main<", "Signals &lt;alone&gt;", "Built from data: 5 seeds",
        "Costs (Table 3", "Beyond (beyond the paper", "the cells look swapped", "blacklisted",
        "3 jobs took 2.02 h", "cuda:0 A100: 1 runs", "d894b3", "split fold11", "f469",
    ]  # fmt: skip
    # Flags stand twice: on top of everything, and with their checks.
    assert page.find("FLAG") < page.find("the cells look swapped") < page.find("row of claims")
    places = [page.rfind(text) for text in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)
    assert page.count("data:image/png;base64,") == 4
    assert "<script" not in page and "http" not in page


def test_only_simulated_data_are_called_so(results: Path, benchmarks: Path) -> None:
    assert "simulated" not in overview(request(simulated=False), results, benchmarks)


def test_front_page_needs_neither_claims_nor_benchmarks(results: Path, tmp_path: Path) -> None:
    (results / "tables" / "claims.html").unlink()
    page = overview(request(), results, tmp_path / "absent")
    assert "pf-claims" not in page and "pf-times" not in page and "pf-main" in page


def test_figures_stand_by_their_place_in_the_paper() -> None:
    places = ["", "Table 10", "Equations 2 and 3", "Table 2a", "Figure 3", "Figure 1e, Table 6",
              "Figure 1d", "Tables 6 and 11"]  # fmt: skip
    assert sorted(places, key=paper_order) == [
        "Figure 1d", "Figure 1e, Table 6", "Figure 3", "Table 2a", "Tables 6 and 11", "Table 10",
        "Equations 2 and 3", "",
    ]  # fmt: skip


def test_run_times_are_summed_by_rule(benchmarks: Path) -> None:
    table = facts.benchmark_table(benchmarks).set_index("rule")
    assert table.loc["train"].tolist() == [2, 7260, 7200, 720]
    assert table.loc["plot_figure", "jobs"] == 1
    assert facts.run_times(benchmarks.parent / "absent") == ""


def test_output_type_of_downloads_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "ENCFF000AAA.bw"
    Path(f"{path}.json").write_text(
        json.dumps({"output_type": "fold change over control", "accession": "ENCFF000AAA"})
    )
    entries = [
        {"cell": "K562", "modality": "h3k27ac", "path": str(path), "source": "not recorded"},
        {"cell": "K562", "modality": "dnase", "path": "own.bw", "source": "not recorded"},
    ]
    table = facts.tracks(entries)
    assert table["output_type"].tolist() == ["fold change over control", "not recorded"]
    assert table["accession"].tolist() == ["ENCFF000AAA", ""]
    assert "md5" not in table.columns


def test_front_page_is_escaped_for_the_script_it_stands_in() -> None:
    page = f"<script>var workflow_desc = {json.dumps(PLACE)};</script>"
    front = 'a "quoted" word, a </script> tag,\na new line and \\ one backslash'
    merged = with_front_page(page, front, "report.html")
    assert merged.count("</script>") == 1
    literal = merged.removeprefix("<script>var workflow_desc = ").removesuffix(";</script>")
    assert json.loads(literal) == front
    with pytest.raises(InputError, match=r"expected the paragraph .* in the report, found none"):
        with_front_page("<p>something else</p>", front, "report.html")


def test_the_place_of_the_front_page_is_in_the_description(root: Path) -> None:
    text = PLACE.removeprefix("<p>").removesuffix("</p>")
    assert text in (root / "workflow" / "report" / "workflow.rst").read_text()


@pytest.mark.slow
def test_search_hides_what_does_not_match(results: Path, benchmarks: Path, tmp_path: Path) -> None:
    page = tmp_path / "front.html"
    front = overview(request(), results, benchmarks)
    page.write_text(f"<html><head></head><body class='prose'>{front}</body></html>")
    whole = look(page, tmp_path / "whole")
    assert not whole.errors and not whole.broken and not whole.requests and whole.images == 4
    action = (
        "const box = document.getElementById('pf-search'); box.value = 'BUILT seeds';"
        "box.dispatchEvent(new Event('input'));"
    )
    found = look(page, tmp_path / "found", action)
    assert "Signals <alone>" in found.text and not found.errors
    assert "Costs" not in found.text and "cuda:0 A100" not in found.text
    assert "Provenance" in found.text.split("Signals")[0]  # the links stay


def test_predictions_are_counted_with_those_outside_the_training(results: Path) -> None:
    assert "pf-predictions" not in overview(request(), results, results)
    (results / "predictions").mkdir()
    (results / "predictions" / "new_cell.tsv").write_text(
        "gene_id\tpredicted\tsd\toutside\tnote\n"
        "a\t1.5\t0.25\tyes\t\nb\t2.5\t0.75\tno\t\nc\t\t\t\tmissing_cds_gc\n"
    )
    page = overview(request(), results, results)
    row = page[page.index("new_cell") :].split("</tr>")[0]
    values = [part.split("<")[0] for part in row.split('<td class="r">')[1:]]
    assert values == ["3", "1", "1", "2", "0.5"]
