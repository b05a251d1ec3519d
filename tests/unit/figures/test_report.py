"""The report's page: what it holds, that nothing breaks out of it, how it looks and behaves."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from browser import look
from PIL import Image

from prismflow.errors import InputError
from prismflow.figures import facts as facts
from prismflow.figures import report
from prismflow.figures.front_page import overview, paper_order, verdict_parts
from prismflow.figures.read.printed import of_frame, read_printed
from prismflow.figures.tables import render

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
WIDTHS = (390, 1024, 1280, 1920)
CLAIMS = "claim_id\tclaim\tverdict\n"
CLAIMS += "a\tLong inputs <do not> help\tundecided\nb\tSignals help\tsupported\n"


def printed(name: str, rows: int = 6, columns: int = 11) -> str:
    """A table's page as the workflow writes it: long names, paths, intervals."""
    values = tuple(f"−0.{i}067 [−0.0120, −0.0014]" for i in range(columns - 2))
    path = f"results/demo/genome/simA/tracks/{name}_of_a_long_name.bigWig"
    body = tuple((f"row {i} of {name} (m{i})", path, *values) for i in range(rows))
    names = ("Model", "file", *(f"published Pearson r {i} (paper)" for i in range(columns - 2)))
    block = render.Block("cell simA", body, frozenset({(0, 1)}))
    return render.html(
        render.Sheet(names, "ll" + "r" * (columns - 2), (block,), f"caption of {name}", ("note",))
    )


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
        (folder / "tables" / f"{name}.html").write_text(printed(name))
    (folder / "tables" / "claims.tsv").write_text(CLAIMS)
    for name in ("single", "extra", "main", "data_checks"):
        (folder / "figures" / f"{name}.png").write_bytes(PIXEL)
    (folder / "figures" / "single.txt").write_text("Built from data: 5 seeds, 141 genes.\n")
    (folder / "checks" / "summary.json").write_text('{"flags": ["the cells look swapped"]}')
    (folder / "checks" / "checks.tsv").write_text("cell\tspearman\nsimA\t0.5\n")
    (folder / "dropped.tsv").write_text("gene_id\treason\ng1\tblacklisted\n")
    (folder / "input_summary.tsv").write_text("input\treason\tn\npeaks\ton no gene\t12345\n")
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
        "These data are simulated", "the cells look swapped", "Long inputs &lt;do not&gt; help",
        "supported</strong>", "row 0 of claims", "row 0 of main", "Signals &lt;alone&gt;",
        "Built from data: 5 seeds", "Costs (Table 3", "row 0 of costs", "Beyond (beyond",
        "on no gene", "blacklisted", "3 jobs took 2.02 h", "cuda:0 A100: 1 runs", "d894b3",
        "split fold11",
    ]  # fmt: skip
    places = [page.find(text) for text in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)
    assert page.count("data:image/png;base64,") == 4
    assert "http://" not in page and "https://" not in page and 'src="http' not in page


@pytest.mark.parametrize(
    ("verdict", "shown", "detail", "tone"),
    [
        ("supported", "supported", "", "supported"),
        ("supported in part (1 of 2 models; not tested: Caduceus (2 kb))", "supported in part",
         "1 of 2 models; not tested: Caduceus (2 kb)", "supported-in-part"),
        ("contradicted (8 of 9 models; not tested: EPInformer)", "contradicted",
         "8 of 9 models; not tested: EPInformer", "contradicted"),
        ("not decided: 2 seeds; three are needed", "not decided", "2 seeds; three are needed",
         "not-decided"),
        ("not tested here", "not tested here", "", "not-tested-here"),
    ],
)  # fmt: skip
def test_a_verdict_keeps_its_colour_whatever_it_adds(
    results: Path, benchmarks: Path, verdict: str, shown: str, detail: str, tone: str
) -> None:
    assert verdict_parts(verdict) == {"verdict": shown, "detail": detail, "tone": tone}
    (results / "tables" / "claims.tsv").write_text(
        f"claim_id\tclaim\tverdict\na\tSignals help\t{verdict}\n"
    )
    page = overview(request(), results, benchmarks)
    assert f'<strong class="verdict {tone}">{shown}</strong>' in page
    assert (f'<span class="detail">{detail}</span>' in page) == bool(detail)


def test_only_simulated_data_are_called_so(results: Path, benchmarks: Path) -> None:
    assert "simulated" not in overview(request(simulated=False), results, benchmarks)


def test_the_front_page_says_what_is_left_out(results: Path, benchmarks: Path) -> None:
    note = "windows of 2,000 bp hold no input for mamba"
    page = overview(request(left_out=[note]), results, benchmarks)
    assert page.find("Left out of this dataset") < page.find(f"<li>{note}</li>")
    assert "Left out" not in overview(request(left_out=[]), results, benchmarks)


def test_front_page_needs_neither_claims_nor_benchmarks(results: Path, tmp_path: Path) -> None:
    (results / "tables" / "claims.html").unlink()
    page = overview(request(), results, tmp_path / "absent")
    assert 'id="claims"' not in page and 'id="times"' not in page and 'id="main"' in page


def test_a_table_is_read_back_as_it_was_printed(tmp_path: Path) -> None:
    path = tmp_path / "t.html"
    path.write_text(printed("a < b & c", rows=2, columns=3))
    page = read_printed(path)
    assert page.caption == "caption of a < b & c" and page.notes == ["note"]
    (table,) = page.tables
    assert table.heading == "cell simA"
    assert [(c.text, c.side) for c in table.columns][1:] == [
        ("file", "l"), ("published Pearson r 0 (paper)", "r")
    ]  # fmt: skip
    assert [row[0].text for row in table.rows] == [
        "row 0 of a < b & c (m0)", "row 1 of a < b & c (m1)"
    ]  # fmt: skip
    assert [[cell.bold for cell in row] for row in table.rows] == [
        [False, True, False],
        [False] * 3,
    ]


def test_what_tables_hold_is_escaped(results: Path, benchmarks: Path) -> None:
    (results / "tables" / "main.html").write_text(printed("</script><script>alert(1)</script>"))
    page = overview(request(title="<img src=x>"), results, benchmarks)
    assert page.count("</script>") == 1 and "<img src=x>" not in page


def test_missing_numbers_of_a_fact_are_empty() -> None:
    (table,) = of_frame(pd.DataFrame({"a": [1.23456, float("nan")], "b": ["x", None]}))
    assert [[cell.text for cell in row] for row in table.rows] == [["1.235", "x"], ["", ""]]
    assert [column.side for column in table.columns] == ["r", "l"]
    assert of_frame(pd.DataFrame({"a": []})) == []


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
    assert facts.benchmark_table(benchmarks.parent / "absent").empty


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


def test_a_report_that_snakemake_cannot_make_ends_in_a_sentence(tmp_path: Path) -> None:
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text("rule a:\n    output: 'x'\n    shell: 'touch x'\n")
    target = tmp_path / "snakemake_report.html"
    with pytest.raises(InputError, match=r"snakemake_report.html: the report couldn't be rendered"):
        report.write_snakemake_report(["absent"], target, str(snakefile), [])
    assert not target.exists()


def test_the_page_has_landmarks_headings_and_names(results: Path, benchmarks: Path) -> None:
    page = overview(request(), results, benchmarks)
    assert '<html lang="en">' in page and page.count("<h1>") == page.count("<main") == 1
    for landmark in ("<header>", '<nav aria-label="', '<a class="skip" href="#content"'):
        assert landmark in page
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    names = re.findall(r' id="([^"]+)"', page)
    assert len(names) == len(set(names))
    for kind in ("aria-labelledby", "aria-describedby"):
        assert set(re.findall(rf'{kind}="([^"]+)"', page)) <= set(names)
    assert all(re.findall(r'<img alt="([^"]*)"', page))
    assert page.count("<th ") == page.count('scope="col"') > 0


@pytest.fixture
def page(results: Path, benchmarks: Path, tmp_path: Path) -> Path:
    """The page as a file, with wide pictures."""
    for path in (results / "figures").glob("*.png"):
        Image.new("RGB", (2400, 1500), "white").save(path)
    file = tmp_path / "report.html"
    tracks = [
        {"cell": "simA", "modality": name, "source": "simulated",
         "path": f"results/demo/genome/simA/tracks/{name}.bigWig"}
        for name in ("h3k27ac", "dnase", "hic", "h3k4me3", "ctcf")
    ]  # fmt: skip
    file.write_text(overview(request(tracks=tracks), results, benchmarks))
    return file


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_or_hidden(page: Path, tmp_path: Path, width: int, dark: bool) -> None:
    opened = "document.querySelectorAll('details').forEach(d => { d.open = true; });"
    opened += "await new Promise(resolve => setTimeout(resolve, 300));"
    colour = "return getComputedStyle(document.body).backgroundColor;"
    seen = look(page, tmp_path / "look", opened + colour, width, dark)
    assert seen.width == width
    assert not seen.errors and not seen.broken and not seen.requests and not seen.faults
    assert seen.images == 4
    assert (seen.answer == "rgb(255, 255, 255)") is not dark


@pytest.mark.slow
def test_a_layout_that_is_broken_is_seen(page: Path, tmp_path: Path) -> None:
    action = (
        "const head = document.querySelector('h1'); head.style.whiteSpace = 'nowrap';"
        "head.textContent = 'long '.repeat(200);"
        "document.querySelector('h2').style.marginTop = '-1.2em';"
        "document.querySelector('#glance').style.marginTop = '-4em';"
    )
    faults = " ".join(look(page, tmp_path / "look", action, 390).faults)
    assert "past the edge" in faults or "wider than its box" in faults
    assert "on each other" in faults


@pytest.mark.slow
def test_a_figure_enlarges_and_the_focus_returns(page: Path, tmp_path: Path) -> None:
    action = """
    const button = document.querySelector('.enlarge');
    button.focus();
    button.click();
    const viewer = document.getElementById('viewer');
    const image = viewer.querySelector('img');
    await new Promise(resolve => setTimeout(resolve, 300));
    const fits = image.getBoundingClientRect().width <= innerWidth;
    const inside = viewer.contains(document.activeElement);
    const title = document.getElementById('viewer-title').textContent;
    document.getElementById('viewer-size').click();
    const actual = image.getBoundingClientRect().width;
    document.getElementById('viewer-close').click();
    return [fits, inside, title, actual, viewer.open, document.activeElement === button];
    """
    seen = look(page, tmp_path / "look", action)
    assert seen.answer == [True, True, "Signals <alone>", 2400, False, True] and not seen.errors


@pytest.mark.slow
def test_tables_sort_and_filter(page: Path, tmp_path: Path) -> None:
    action = """
    const table = document.querySelector('#times table');
    const column = i => [...table.tBodies[0].rows].map(row => row.cells[i].textContent.trim());
    const head = table.tHead.rows[0].cells[2];
    const seen = [];
    for (let press = 0; press < 3; press++) {
      head.querySelector('button').click();
      seen.push(head.getAttribute('aria-sort'), column(0));
    }
    const main = document.querySelector('#main table');
    const tools = main.parentElement.previousElementSibling;
    const box = tools.querySelector('input');
    box.value = 'ROW (M3)';
    box.dispatchEvent(new Event('input'));
    seen.push([...main.tBodies[0].rows].map(row => row.offsetHeight > 0));
    seen.push(tools.querySelector('output').textContent);
    return seen;
    """
    seen = look(page, tmp_path / "look", action)
    assert not seen.errors
    assert seen.answer == [
        "ascending", ["plot_figure", "train"], "descending", ["train", "plot_figure"],
        "none", ["plot_figure", "train"],
        [False, False, False, True, False, False], "1 of 6 rows",
    ]  # fmt: skip


@pytest.mark.slow
def test_numbers_sort_as_numbers_and_missing_ones_last(
    results: Path, benchmarks: Path, tmp_path: Path
) -> None:
    texts = ("–", "10.5 ± 0.1", "−0.2 [−1, 1]", "<0.0001", "1,024", "9")
    block = render.Block("", tuple((text,) for text in texts))
    sheet = render.Sheet(("value",), "r", (block,), "numbers")
    (results / "tables" / "main.html").write_text(render.html(sheet))
    file = tmp_path / "report.html"
    file.write_text(overview(request(), results, benchmarks))
    action = """
    const table = document.querySelector('#main table');
    const button = table.querySelector('th button');
    const values = () => [...table.tBodies[0].rows].map(row => row.textContent.trim());
    button.click();
    const up = values();
    button.click();
    return [up, values()].map(part => part.map(text => text.replace(/\u00a0/g, ' ')));
    """
    up, down = look(file, tmp_path / "look", action).answer
    assert up == ["−0.2 [−1, 1]", "<0.0001", "9", "10.5 ± 0.1", "1,024", "–"]
    assert down == [*up[-2::-1], "–"]


@pytest.mark.slow
def test_search_hides_what_does_not_match(page: Path, tmp_path: Path) -> None:
    whole = look(page, tmp_path / "whole")
    assert "Costs" in whole.text and "cuda:0 A100" in whole.text
    action = (
        "const box = document.getElementById('search'); box.value = 'BUILT seeds';"
        "box.dispatchEvent(new Event('input'));"
    )
    found = look(page, tmp_path / "found", action)
    assert "Signals <alone>" in found.text and not found.errors
    assert "Costs" not in found.text and "cuda:0 A100" not in found.text
    assert "1 of" in found.text and "Provenance" in found.text.split("Signals <alone>")[0]


def test_predictions_are_counted_with_those_outside_the_training(results: Path) -> None:
    assert 'id="predictions"' not in overview(request(), results, results)
    (results / "predictions").mkdir()
    (results / "predictions" / "new_cell.tsv").write_text(
        "gene_id\tpredicted\tsd\toutside\tnote\n"
        "a\t1.5\t0.25\tyes\t\nb\t2.5\t0.75\tno\t\nc\t\t\t\tmissing_cds_gc\n"
    )
    page = overview(request(), results, results)
    row = page[page.index("new_cell") :].split("</tr>")[0]
    values = [v.strip() for v in re.findall(r'class="r"[^>]*>(?:\s*<[^>]*>)*([^<]*)', row)]
    assert values == ["3", "1", "1", "2", "0.5"]


def test_attributions_and_variants_are_shown_where_they_are_asked_for(
    results: Path, benchmarks: Path
) -> None:
    folder = "results/demo/simA/prism/fold11_seed2"
    (results / "simA/prism/fold11_seed2/attributions.png").write_bytes(PIXEL)
    (results / "variants" / "simA").mkdir(parents=True)
    head = "chrom\tpos\tid\tref\talt\tgene_id\tseed\toutput\tdifference\t"
    head += "difference_both_strands\tpercentile\n"
    rows = [
        f"1\t{pos}\tx\tA\tC\tg{pos}\t{seed}\tdirect\t{value}\t0.1\t99\n"
        for pos, value in ((7, 0.25), (8, -0.75)) for seed in ("2", "mean")
    ]  # fmt: skip
    with gzip.open(results / "variants" / "simA" / "prism.tsv.gz", "wt") as out:
        out.write("## a remark\n## another\n" + head + "".join(rows))
    asked = {
        "attributions": [f"{folder}/attributions.png"],
        "variants": ["results/demo/variants/simA/prism.tsv.gz"],
    }
    page = overview(request(**asked), results, benchmarks)
    assert 'id="explanations"' in page and "What drives prism in simA (fold11_seed2)" in page
    assert "2 alleles in windows of 2 genes" in page and "the largest of 2 mean" in page
    assert 0 < page.find("-0.75") < page.find("0.25", page.find("-0.75"))
    assert 'id="explanations"' not in overview(request(), results, benchmarks)
