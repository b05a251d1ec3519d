"""The report's page: flags and verdicts, claims, figures, data checks, run times, provenance.

One document with everything inside it: pictures as data, style and script in the page, no network.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from prismflow.figures import facts as facts
from prismflow.figures.read.printed import PrintedPage, PrintedTable, of_frame, read_printed
from prismflow.files import read_json, read_tsv

#: Template, style and script of the page; a rule that writes it watches them.
TEMPLATES = Path(__file__).parent / "page"


@dataclass
class Picture:
    """A PNG in the page: base64, size (px), what it shows, what stands below it."""

    data: str
    width: int
    height: int
    alt: str
    caption: str


@dataclass
class Item:
    """What stands under one heading; ``folded`` tables are opened by the reader.

    ``files`` are names of files beside the page, by what they are called there.
    """

    title: str = ""
    text: str = ""
    remarks: list[str] = field(default_factory=list)
    picture: Picture | None = None
    pages: list[PrintedPage] = field(default_factory=list)
    folded: list[tuple[str, PrintedPage]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.text or self.remarks or self.picture or self.pages or self.folded)


@dataclass
class Section:
    """A part of the page: its anchor, title and items."""

    id: str
    title: str
    items: list[Item]


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
    """The page of one dataset.

    Args:
        request: ``dataset``, ``title``, ``simulated``, ``cells``, ``device``, ``experiments`` (id,
            title, caption, paper, figure: whether there is one), ``tracks`` (cell, modality,
            path, source: what is said of a file without a record of its download), and where
            anything is ``left_out``, sentences on it; where they are asked for, pictures of
            ``attributions`` and tables of ``variants`` (``results/{dataset}/...``).
        results: the dataset's folder of results.
        benchmarks: the dataset's folder of benchmarks.

    Returns:
        HTML, a whole document.
    """
    sections = [
        Section("claims", "Claims of the paper", [_claims(results)]),
        Section(
            "main", "Main comparison", [_main(results), _left_out(request.get("left_out", ()))]
        ),
        Section(
            "figures", "Figures and tables by their place in the paper", _figures(request, results)
        ),
        Section(
            "predictions",
            "Predictions of genes without labels",
            [_facts("Genes and flags", facts.predictions(results))],
        ),
        Section("explanations", "Attributions and variants", _explanations(request, results)),
        Section("checks", "Data checks", _checks(request, results)),
        Section("times", "Run times", [_times(benchmarks)]),
        Section("provenance", "Provenance", _provenance(request, results)),
    ]
    for section in sections:
        section.items = [item for item in section.items if item]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        request=request,
        checked=(results / "checks" / "summary.json").is_file(),
        flags=_flags(results),
        verdicts=_verdicts(results),
        sections=[section for section in sections if section.items],
    )


def _flags(results: Path) -> list[str]:
    """What looks wrong with the data."""
    summary = results / "checks" / "summary.json"
    return list(read_json(summary)["flags"]) if summary.is_file() else []


def _left_out(notes: Sequence[str]) -> Item:
    return Item("Left out of this dataset" if notes else "", remarks=list(notes))


def _verdicts(results: Path) -> list[dict[str, str]]:
    """``claim``, ``verdict``, its ``detail`` and ``tone`` of every claim, in their order."""
    path = results / "tables" / "claims.tsv"
    if not path.is_file():
        return []
    table = read_tsv(path, dtype=str).drop_duplicates("claim_id")
    return [
        {"claim": claim, **verdict_parts(verdict)}
        for claim, verdict in zip(table["claim"], table["verdict"], strict=True)
    ]


def verdict_parts(verdict: str) -> dict[str, str]:
    """A verdict apart from what it adds: how much was tested, or how many seeds there are.

    ``tone`` is a name for the style sheet. A claim that is contradicted is so whatever was not
    tested; one that is supported in part is not supported.
    """
    found = re.fullmatch(r"(?P<verdict>[a-z ]+?)(?: \((?P<part>.+)\)|: (?P<reason>.+))?", verdict)
    if found is None:
        return {"verdict": verdict, "detail": "", "tone": "open"}
    detail = found["part"] or found["reason"] or ""
    return {
        "verdict": found["verdict"],
        "detail": detail,
        "tone": found["verdict"].replace(" ", "-"),
    }


def _printed(results: Path, name: str) -> list[PrintedPage]:
    path = results / "tables" / f"{name}.html"
    return [read_printed(path)] if path.is_file() else []


def _table_files(results: Path, name: str) -> dict[str, str]:
    path = results / "tables" / f"{name}.tsv"
    return {f"{name}.tsv": f"tables/{name}.tsv"} if path.is_file() else {}


def _claims(results: Path) -> Item:
    """The verdicts; every test behind them is folded away."""
    item = Item(files=_table_files(results, "claims"))
    for page in _printed(results, "claims"):
        item.pages = [PrintedPage(page.caption, page.tables[:1], page.notes)]
        if page.tables[1:]:
            item.folded = [("Every test behind the verdicts", PrintedPage("", page.tables[1:]))]
    return item


def _main(results: Path) -> Item:
    return Item(pages=_printed(results, "main"), files=_table_files(results, "main"))


def _picture(path: Path, alt: str, caption: str) -> Picture:
    content = path.read_bytes()
    # A PNG begins with its header chunk, whose size is that of the picture.
    width, height = struct.unpack(">II", content[16:24])
    return Picture(base64.b64encode(content).decode("ascii"), width, height, alt, caption)


def _figures(request: Mapping[str, Any], results: Path) -> list[Item]:
    entries = sorted(request["experiments"], key=lambda entry: paper_order(entry["paper"]))
    return [_experiment(entry, results) for entry in entries]


def _experiment(entry: Mapping[str, Any], results: Path) -> Item:
    name = entry["id"]
    item = Item(f"{entry['title']} ({entry['paper'] or 'beyond the paper'}; {name})")
    picture = results / "figures" / f"{name}.png"
    if entry["figure"] and picture.is_file():
        words = picture.with_suffix(".txt")
        text = words.read_text(encoding="utf-8") if words.is_file() else entry["caption"]
        item.picture = _picture(picture, entry["title"], text.strip())
        if picture.with_suffix(".pdf").is_file():
            item.files[f"{name}.pdf"] = f"figures/{name}.pdf"
    for suffix, label in (("", "Table"), ("_comparisons", "Comparisons and tests")):
        if name == "main" and not suffix:
            continue  # it has a section of its own
        pages = _printed(results, f"{name}{suffix}")
        item.folded += [(label, page) for page in pages]
        item.files |= _table_files(results, f"{name}{suffix}")
    return item


def _explanations(request: Mapping[str, Any], results: Path) -> list[Item]:
    items = []
    # The folder of results stands for what it is called in the workflow.
    for name in request.get("attributions", ()):
        cell, model, run = Path(name).parts[2:5]
        title = f"What drives {model} in {cell} ({run})"
        caption = "Signals, contributions and bases of the genes predicted highest."
        picture = _picture(results.joinpath(*Path(name).parts[2:]), title, caption)
        items.append(Item(title, picture=picture))
    for name in request.get("variants", ()):
        table, text = facts.variants(results.joinpath(*Path(name).parts[2:]))
        cell, model = Path(name).parent.name, Path(name).name.partition(".")[0]
        items.append(_facts(f"Variants scored with {model} in {cell}", table, text))
    return items


def _facts(title: str, table: pd.DataFrame, text: str = "") -> Item:
    tables: list[PrintedTable] = of_frame(table)
    return Item(title, text, pages=[PrintedPage("", tables)] if tables else [])


def _checks(request: Mapping[str, Any], results: Path) -> list[Item]:
    items = []
    picture = results / "figures" / "data_checks.png"
    if picture.is_file():
        title = "Do tracks, genes, strands and labels fit together?"
        caption = "Profiles at the start of transcription, labels and windows."
        items.append(Item(title, picture=_picture(picture, title, caption)))
    checks = results / "checks" / "checks.tsv"
    if checks.is_file():
        items.append(_facts("Numbers of the checks", read_tsv(checks)))
    read = results / "input_summary.tsv"
    if read.is_file():
        items.append(_facts("What was read, kept and skipped", read_tsv(read).fillna("")))
    items.append(_facts("Tracks and their sources", facts.tracks(request["tracks"])))
    dropped = results / "dropped.tsv"
    if dropped.is_file():
        counts = read_tsv(dropped, dtype=str)["reason"].value_counts().sort_index()
        kept = len(read_tsv(results / "genes.tsv"))
        table = pd.DataFrame({"genes": ["kept", *counts.index], "n": [kept, *counts]})
        items.append(_facts("Genes", table))
    return items


def _times(benchmarks: Path) -> Item:
    table = facts.benchmark_table(benchmarks)
    return Item() if table.empty else _facts("Run times by rule", table, facts.run_times(table))


def _provenance(request: Mapping[str, Any], results: Path) -> list[Item]:
    runs = facts.runs(results, request["cells"])
    return [
        _facts("Versions", facts.versions(runs)),
        _facts("Runs: device, seeds, folds", facts.run_facts(request, runs)),
        _facts("Digests of data and splits", facts.digests(results, request, runs)),
    ]
