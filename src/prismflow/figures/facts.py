"""Facts that the report lists: run times, versions, devices, seeds, digests, sources of tracks."""

from __future__ import annotations

import gzip
import itertools
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.files import read_json, read_tsv

#: Folders of benchmarks whose files are named after what they make, not after their rule.
_RULES = {
    "figures": "plot_figure",
    "tables": "write_table",
    "predictions": "predict_genes",
    "costs": "measure_cost",
    "compare_models": "compare_models",
    "write_comparisons": "write_comparisons",
}
_PACKAGES = ("snakemake", "numpy", "pandas", "scipy", "matplotlib")
SOURCE_COLUMNS = ("output_type", "portal", "accession", "assembly", "biosample", "md5")


def predictions(results: Path) -> pd.DataFrame:
    """One row per table of predictions: genes, those without one, those outside the training."""
    rows = []
    for path in sorted((results / "predictions").glob("*.tsv")):
        table = read_tsv(path)
        found = table["predicted"].notna()
        rows.append(
            {"predictions": path.stem, "genes": len(table), "without one": int((~found).sum()),
             "outside the training range": int((table["outside"] == "yes").sum()),
             "median prediction": float(table["predicted"].median()),
             "median sd between runs": float(table["sd"].median())}
        )  # fmt: skip
    return pd.DataFrame(rows)


def variants(path: Path, most: int = 20) -> tuple[pd.DataFrame, str]:
    """Alleles with the largest mean difference over seeds, and a sentence on all.

    Args:
        path: scores of variants, with lines of remarks (``##``) at the head.
        most: rows.
    """
    with gzip.open(path, "rt", encoding="utf-8") as file:
        n_remarks = sum(1 for _ in itertools.takewhile(lambda line: line.startswith("##"), file))
    table = read_tsv(path, skiprows=n_remarks, dtype={"seed": str, "chrom": str, "id": str})
    means = table[table["seed"] == "mean"]
    places = ["chrom", "pos", "ref", "alt"]
    text = (
        f"{len(means.drop_duplicates(places)):,} alleles in windows of "
        f"{means['gene_id'].nunique():,} genes; below, the largest of {len(means):,} mean "
        "differences over seeds (signals held fixed)."
    )
    order = means["difference"].abs().sort_values(ascending=False, kind="stable").index
    columns = [*places, "gene_id", "output", "difference", "difference_both_strands", "percentile"]
    return means.loc[order, columns].head(most), text


def rule_of(path: Path) -> str:
    """Rule that a benchmark file belongs to."""
    for folder, rule in _RULES.items():
        if path.parent.name == folder:
            return rule
    return "inspect_track" if path.stem.startswith("inspect_track_") else path.stem


def benchmark_table(folder: Path) -> pd.DataFrame:
    """Per rule: jobs, seconds in all and of the longest job, largest memory (RSS) in MiB."""
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        table = read_tsv(path)
        if {"s", "max_rss"} <= set(table.columns) and len(table):
            memory = pd.to_numeric(table["max_rss"], errors="coerce")
            seconds = pd.to_numeric(table["s"], errors="coerce")
            rows.append((rule_of(path), seconds.iloc[-1], memory.iloc[-1]))
    columns = ["rule", "seconds", "memory"]
    if not rows:
        return pd.DataFrame(columns=["rule", "jobs", "seconds", "longest (s)", "memory (MiB)"])
    by_rule = pd.DataFrame(rows, columns=columns).groupby("rule", sort=True)
    return pd.DataFrame(
        {
            "jobs": by_rule.size(),
            "seconds": by_rule["seconds"].sum(),
            "longest (s)": by_rule["seconds"].max(),
            "memory (MiB)": by_rule["memory"].max(),
        }
    ).reset_index()


def run_times(table: pd.DataFrame) -> str:
    """What the jobs of :func:`benchmark_table` took in all, as a sentence."""
    hours = table["seconds"].sum() / 3600
    return f"{int(table['jobs'].sum()):,} jobs took {hours:.2f} h of job time in all."


def tracks(entries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Where each track comes from, as recorded at its download.

    ``output_type`` says what the numbers are, for instance fold change over control or signal
    p-value; files that were not downloaded have no record.
    """
    rows = []
    for entry in entries:
        record_path = Path(f"{entry['path']}.json")
        record = read_json(record_path) if record_path.is_file() else {}
        facts = {name: record.get(name) or "" for name in SOURCE_COLUMNS}
        facts["output_type"] = facts["output_type"] or entry.get("source", "not recorded")
        rows.append(
            {"cell": entry["cell"], "modality": entry["modality"], "file": entry["path"], **facts}
        )
    table = pd.DataFrame(rows)
    return table[[name for name in table.columns if (table[name] != "").any()]] if rows else table


def runs(results: Path, cells: Sequence[str]) -> list[dict[str, Any]]:
    """``model.json`` of every run of these cells."""
    paths = [path for cell in cells for path in sorted((results / cell).glob("*/*/model.json"))]
    return [read_json(path) for path in paths]


def versions(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Versions that the runs recorded, and those of the programs that made this report."""
    found: dict[str, set[str]] = {}
    for record in records:
        for name, version in record["versions"].items():
            found.setdefault(name, set()).add(str(version))
    rows = [
        {"program": name, "version": ", ".join(sorted(values)), "used by": "runs"}
        for name, values in sorted(found.items())
    ]
    here = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            here[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    rows += [{"program": n, "version": v, "used by": "this report"} for n, v in here.items()]
    return pd.DataFrame(rows)


def run_facts(request: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """What was run where, with which seeds and folds."""
    devices: dict[str, int] = {}
    for record in records:
        devices[str(record["device"])] = devices.get(str(record["device"]), 0) + 1
    rows = {
        "runs": str(len(records)),
        "device": ", ".join(f"{name}: {n} runs" for name, n in sorted(devices.items())),
        "seeds": ", ".join(str(seed) for seed in sorted({r["seed"] for r in records})),
        "folds": ", ".join(sorted({str(r["fold"]) for r in records})),
        "cells": ", ".join(request["cells"]),
        "configured device": str(request["device"]),
    }
    return pd.DataFrame({"fact": list(rows), "value": list(rows.values())})


def digests(
    results: Path, request: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """SHA-256 of every array of the stores, and the digests of the splits that the runs used."""
    rows = []
    for cell in request["cells"]:
        manifest = results / cell / "store" / "store.json"
        if manifest.is_file():
            stored = read_json(manifest)["digests"]
            rows += [
                {"what": f"{cell}/store/{file}", "digest": digest}
                for file, digest in sorted(stored.items())
            ]
    used = sorted({(str(r["fold"]), str(r["split"]["digest"])) for r in records})
    rows += [{"what": f"split {fold}", "digest": digest} for fold, digest in used]
    return pd.DataFrame(rows)
