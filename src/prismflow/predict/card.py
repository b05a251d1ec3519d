"""The model card of a bundle, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


def model_card(manifest: Mapping[str, Any], metrics: pd.DataFrame) -> str:
    """What a user of the bundle must know: training data, inputs, errors, limits, how to use it.

    Args:
        manifest: see :mod:`prismflow.predict.bundle`.
        metrics: one row per metric; may be empty.
    """
    settings = manifest["settings"]
    simulated = " (simulated data)" if manifest["simulated"] else ""
    folds = sorted(manifest["ranges"]["folds"])
    lines = [
        f"# {settings['model']}, trained in {manifest['cell']}{simulated}",
        "",
        f"Architecture `{settings['architecture']}`, dataset `{manifest['dataset']}`, "
        f"{len(manifest['members'])} runs ({', '.join(manifest['members'])}).",
        f"Label: `{manifest['label']['column']}`, transform `{manifest['label']['transform']}`; "
        "predictions have its unit.",
        "",
        "## What it reads",
        "",
        f"- {settings['window_bp']:,} bases around the TSS (0-based half-open, forward strand)",
        *(f"- track `{name}`: {_described(entry, settings['transforms'].get(name))}"
          for name, entry in manifest["modalities"].items()),
        f"- gene features: {', '.join(settings['gene_features']) or 'none'}",
        "",
        "## Genes",
        "",
        "| fold | train | valid | test |", "|---|---|---|---|",
        *(f"| {fold} | {manifest['genes'][fold]['train']:,} | "
          f"{manifest['genes'][fold]['valid']:,} | {manifest['genes'][fold]['test']:,} |"
          for fold in folds),
        "",
        "## Error on test genes",
        "",
        *_errors(metrics),
        "",
        "## Limits",
        "",
        "Measured on held-out genes of the training cell: in other cells the error can be larger. "
        "Tracks must be made as those of the training were (assay, unit, depth). "
        f"`outside_share` of a prediction says which share of {len(manifest['ranges']['names'])} "
        "numbers that summarise its inputs lie outside percentiles "
        f"{' to '.join(map(str, manifest['ranges']['percentiles']))} of the training genes; beyond "
        f"{manifest['ranges']['limit']} it is flagged.",
        "",
        "## Data",
        "",
        *(_sources(manifest["sources"]) or ["Not recorded."]),
        "",
        "## Use",
        "",
        "```",
        "python -m prismflow.predict --bundle THIS --genes GENES --fasta GENOME \\",
        *(f"    --track {name}=FILE \\" for name in manifest["modalities"]),
        "    --out predictions.tsv",
        "```",
        "",
        f"Made with {', '.join(f'{k} {v}' for k, v in sorted(manifest['versions'].items()))}. "
        "`bundle.json` holds the SHA-256 of every file.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _described(entry: Mapping[str, Any], transform: str | None) -> str:
    words = [str(entry["kind"])]
    if "resolution_bp" in entry:
        words.append(f"{entry['resolution_bp']} bp, normalisation {entry['normalisation']}")
    if transform is not None:
        words.append(f"read as `{transform}`")
    return ", ".join(words)


def _errors(metrics: pd.DataFrame) -> list[str]:
    if metrics.empty:
        return ["Not recorded: these weights came without a test."]
    rows = [
        f"| {row.metric} | {row.mean:.4g} | {_interval(row.low, row.high)} | {row.n_seeds} | "
        f"{row.n_genes:,} |"
        for row in metrics.itertuples()
    ]
    head = ["| metric | mean | 95 % interval over seeds | seeds | genes |", "|---|---|---|---|---|"]
    return [*head, *rows]


def _interval(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}" if low == low else "one seed, none"


def _sources(sources: Any) -> list[str]:
    return [
        "- " + ", ".join(f"{key}: {value}" for key, value in sorted(source.items()) if value)
        for source in sources
    ]
