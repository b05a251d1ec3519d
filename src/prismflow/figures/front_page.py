"""The front page of the report: claims, main table, figures, data checks, run times, provenance.

One piece of HTML with everything inside it (images as data, no script file, no network), which
:mod:`prismflow.figures.report` puts at the front of Snakemake's report.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.figures import facts as facts
from prismflow.files import read_json, read_tsv

#: Kept short and without quotes of its own kind, because it stands in an attribute.
_SEARCH = (
    "const words = this.value.toLowerCase().split(/\\s+/).filter(Boolean);"
    "for (const item of document.querySelectorAll('.pf-item')) {"
    " const text = item.textContent.toLowerCase();"
    " item.style.display = words.every(word => text.includes(word)) ? '' : 'none'; }"
    "for (const part of document.querySelectorAll('.pf-part')) {"
    " const shown = [...part.querySelectorAll('.pf-item')].some(i => i.style.display !== 'none');"
    " part.style.display = shown ? '' : 'none'; }"
)
_STYLE = """
.pf { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; }
.prose:has(.pf) { max-width: 76rem !important; padding: 0 1rem; }
/* The report centres its content vertically, which would cut the top of a long page off. */
.h-screen.overflow-auto:has(.pf) { align-items: flex-start !important; }
.items-start:has(> div .pf) { flex-direction: column; }
.pf h2 { font-size: 1.35em; margin: 1.6em 0 0.4em; border-bottom: 2px solid #d55e00; }
.pf h3 { font-size: 1.05em; margin: 1.2em 0 0.3em; }
.pf nav a { margin-right: 1em; }
.pf input { font: inherit; padding: 0.3em 0.6em; width: min(28em, 100%); border: 1px solid #888; }
.pf img { max-width: 100%; width: 54rem; margin: 0.3em 0; background: #fff; }
.pf .caption { color: #444; max-width: 62rem; margin: 0.2em 0 0.6em; }
.pf .wide { overflow-x: auto; }
.pf table { border-collapse: collapse; margin: 0 0 1em; font-size: 13px; }
.pf th, .pf td { padding: 0.15em 0.7em; border-bottom: 1px solid #ddd; text-align: left; }
.pf td.r, .pf th.r { text-align: right; } .pf td.c, .pf th.c { text-align: center; }
.pf code { font-size: 12px; overflow-wrap: anywhere; }
"""


def paper_order(reference: str) -> tuple[int, int, str]:
    """Sort key of a place in the paper: figures by number, then tables, then what is beyond it.

    Examples: ``Figure 1d, Table 5``, ``Table 2a``, ``Equations 2 and 3``, the empty string.
    """
    kinds = {"Figure": 0, "Table": 1, "Tables": 1}
    found = re.match(r"(Figures?|Tables?)\s+(\d+)(\w*)", reference)
    if not found:
        return (2 if reference else 3, 0, reference)
    return kinds.get(found[1], 0), int(found[2]), found[3]


def overview(request: Mapping[str, Any], results: Path, benchmarks: Path) -> str:
    """The front page of one dataset.

    Args:
        request: ``dataset``, ``title``, ``simulated``, ``cells``, ``device``, ``experiments`` (id,
            title, caption, paper, figure: whether there is one), ``tracks`` (cell, modality,
            path, source: what is said of a file without a record of its download).
        results: the dataset's folder of results.
        benchmarks: the dataset's folder of benchmarks.

    Returns:
        HTML without a document around it.
    """
    parts = [
        _part("claims", "Claims of the paper", [_table_item(results, "claims", "")]),
        _part("main", "Main comparison", [_table_item(results, "main", "")]),
        _part(
            "figures", "Figures and tables by their place in the paper", _figures(request, results)
        ),
        _part(
            "predictions",
            "Predictions of genes without labels",
            [_item("", facts.html_table(facts.predictions(results)))],
        ),
        _part("checks", "Data checks", _checks(request, results)),
        _part("times", "Run times", [_item("Run times by rule", facts.run_times(benchmarks))]),
        _part("provenance", "Provenance", _provenance(request, results)),
    ]
    shown = [part for part in parts if part]
    names = re.findall(r'<section class="pf-part" id="(pf-\w+)"><h2>(.*?)</h2>', "".join(shown))
    links = " ".join(
        f'<a href="#{name}" onclick="document.getElementById(\'{name}\').scrollIntoView();'
        f'return false">{title}</a>'
        for name, title in names
    )
    search = (
        '<p><input type="search" id="pf-search" placeholder="Search figures, tables and facts" '
        f'aria-label="Search" oninput="{escape(_SEARCH)}"></p>'
    )
    head = f"<h1>{escape(request['title'])}</h1>"
    if request["simulated"]:
        head += (
            "<p><strong>These data are simulated.</strong> They show that the workflow works and "
            "what its models find in data of known causes; they say nothing about human genes.</p>"
        )
    head += _flags(results)
    front = f"<style>{_STYLE}</style>{head}<nav>{links}</nav>{search}"
    return f'<div class="pf">{front}{"".join(shown)}</div>'


def _flags(results: Path) -> str:
    """What looks wrong with the data, before any result."""
    summary = results / "checks" / "summary.json"
    flags = read_json(summary)["flags"] if summary.is_file() else []
    if not flags:
        return ""
    words = "".join(f"<li>FLAG {escape(flag)}</li>" for flag in flags)
    return f'<section id="pf-flags"><h2>The data raise flags</h2><ul>{words}</ul></section>'


def _part(name: str, title: str, items: Sequence[str]) -> str:
    kept = [item for item in items if item]
    if not kept:
        return ""
    return (
        f'<section class="pf-part" id="pf-{name}"><h2>{escape(title)}</h2>{"".join(kept)}</section>'
    )


def _item(title: str, body: str) -> str:
    if not body:
        return ""
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<article class="pf-item">{head}{body}</article>'


def _body(path: Path) -> str:
    """What stands between the body tags of a table's own page."""
    found = re.search(r"<body>(.*)</body>", path.read_text(encoding="utf-8"), re.DOTALL)
    return f'<div class="wide">{found[1]}</div>' if found else ""


def _table_item(results: Path, name: str, title: str) -> str:
    path = results / "tables" / f"{name}.html"
    return _item(title, _body(path)) if path.is_file() else ""


def _image(path: Path, text: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">'


def _figures(request: Mapping[str, Any], results: Path) -> list[str]:
    items = []
    entries = sorted(request["experiments"], key=lambda entry: paper_order(entry["paper"]))
    for entry in entries:
        body = ""
        picture = results / "figures" / f"{entry['id']}.png"
        if entry["figure"] and picture.is_file():
            caption = picture.with_suffix(".txt")
            text = caption.read_text(encoding="utf-8") if caption.is_file() else entry["caption"]
            body += _image(picture, entry["title"])
            body += f'<p class="caption">{escape(text)}</p>'
        for suffix in ("", "_comparisons"):
            path = results / "tables" / f"{entry['id']}{suffix}.html"
            if path.is_file() and not (entry["id"] == "main" and not suffix):
                label = "Comparisons and tests" if suffix else "Table"
                body += f"<details><summary>{label}</summary>{_body(path)}</details>"
        place = entry["paper"] or "beyond the paper"
        items.append(_item(f"{entry['title']} ({place}; {entry['id']})", body))
    return items


def _checks(request: Mapping[str, Any], results: Path) -> list[str]:
    items = []
    picture = results / "figures" / "data_checks.png"
    summary = results / "checks" / "summary.json"
    if picture.is_file() and summary.is_file():
        flags = read_json(summary)["flags"]
        words = "".join(f"<li>{escape(flag)}</li>" for flag in flags)
        text = f"<ul>{words}</ul>" if flags else "<p>No check raised a flag.</p>"
        items.append(_item("Do tracks, genes, strands and labels fit together?",
                           text + _image(picture, "data checks")))  # fmt: skip
    checks = results / "checks" / "checks.tsv"
    if checks.is_file():
        items.append(_item("Numbers of the checks", facts.html_table(read_tsv(checks))))
    items.append(
        _item("Tracks and their sources", facts.html_table(facts.tracks(request["tracks"])))
    )
    dropped = results / "dropped.tsv"
    if dropped.is_file():
        counts = read_tsv(dropped, dtype=str)["reason"].value_counts().sort_index()
        kept = len(read_tsv(results / "genes.tsv"))
        table = pd.DataFrame({"genes": ["kept", *counts.index], "n": [kept, *counts]})
        items.append(_item("Genes", facts.html_table(table)))
    return items


def _provenance(request: Mapping[str, Any], results: Path) -> list[str]:
    runs = facts.runs(results, request["cells"])
    return [
        _item("Versions", facts.html_table(facts.versions(runs))),
        _item("Runs: device, seeds, folds", facts.html_table(facts.run_facts(request, runs))),
        _item(
            "Digests of data and splits", facts.html_table(facts.digests(results, request, runs))
        ),
    ]
