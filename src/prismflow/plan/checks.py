"""The target `checks`: every input of a configuration, the job that reads it, and its files."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from prismflow.jobs.patches.keep_going import keep_going, targets_of
from prismflow.plan.own_genes import OwnGenes, inputs_beside, made_for
from prismflow.plan.parameters import track_settings
from prismflow.plan.plain import plain
from prismflow.plan.results import stores
from prismflow.plan.runs import Plan
from prismflow.settings.label_transform import label_transform

TARGET = "checks"


def checked(plan: Plan) -> list[str]:
    """Files that stand once all inputs have been read; training needs most of them later."""
    return [
        *stores(plan),
        *(f"results/{name}/checks/summary.json" for name in plan.config.datasets),
    ]


def go_on_where_asked(workflow: Any) -> None:
    """Let a refused input hide no other one where this start of Snakemake asks for the target."""
    if TARGET in targets_of(workflow):
        keep_going(workflow)


def checks_request(plan: Plan) -> dict[str, Any]:
    """The request of :func:`prismflow.evaluation.input_table.write_tables`."""
    config = plan.config
    sheets = {
        "cells": len(config.cells), "tracks": len(config.tracks), "models": len(config.models),
        "experiments": len(config.experiments), "references": len(config.references),
    }  # fmt: skip
    return plain(
        {
            "sheets": [
                {"input": f"sheet of {name}", "file": config.values["sheets"][name], "n": n}
                for name, n in sheets.items()
            ],
            "datasets": {name: _dataset(plan, name) for name in config.datasets},
        }
    )


def _dataset(plan: Plan, name: str) -> dict[str, Any]:
    settings = plan.config.datasets[name]
    cells, folder, logs = settings["cells"], f"results/{name}", f"logs/{name}"
    genes = {"job": "define_windows", "file": settings["genes"]["path"]}
    rows: list[dict[str, Any]] = [
        {"input": "genome", "job": "index_genome", "file": settings["genome"]},
        {"input": "genes", **genes},
        *({"input": "labels", "cell": cell, **genes} for cell in cells),
        *({"input": f"split {fold}", **genes} for fold in settings["splits"]["folds"]),
    ]
    if settings["blacklist"]:
        rows.append({"input": "blacklist", "job": "define_windows", "file": settings["blacklist"]})
    jobs: dict[str, dict[str, Any]] = {
        "index_genome": _job(f"{logs}/index_genome.log", f"{folder}/genome/chrom.sizes"),
    }
    own = OwnGenes(plan) if made_for(plan, name) else None
    if own is not None:
        jobs["make_own_genes"] = _job("logs/make_own_genes.log", inputs_beside(genes["file"]))
        rows[:0] = _own_rows(own, cells)
    jobs["define_windows"] = _job(f"{logs}/define_windows.log", f"{folder}/splits.tsv", *jobs)
    tracks: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        tracks[cell] = []
        for modality in plan.config.modalities_of(cell):
            track = plan.config.tracks[cell, modality]
            job = f"inspect {cell} {modality}"
            jobs[job] = _job(
                f"{logs}/{cell}/inspect_track_{modality}.log",
                f"{folder}/tracks/{cell}/{modality}.json", "define_windows",
            )  # fmt: skip
            rows.append({"input": modality, "cell": cell, "job": job, "file": track.path})
            tracks[cell].append(
                {**track_settings(track, plan.config.values["modalities"][modality]), "job": job}
            )
        needs = ["define_windows", *(track["job"] for track in tracks[cell])]
        jobs[f"store {cell}"] = _job(
            f"{logs}/{cell}/build_store.log", f"{folder}/{cell}/inputs.json", *needs
        )
        what = "elements and store" if settings["elements"] else "store"
        rows.append({"input": what, "cell": cell, "job": f"store {cell}", "file": ""})
    jobs["check_data"] = _job(
        f"{logs}/check_data.log", f"{folder}/checks/summary.json",
        "define_windows", *(job for job in jobs if job.startswith(("inspect ", "store "))),
    )  # fmt: skip
    rows.append({"input": "all together", "job": "check_data", "file": ""})
    return {
        "rows": rows,
        "jobs": jobs,
        "tracks": tracks,
        "folder": folder,
        "aliases": settings["chrom_aliases"],
        "label_transform": label_transform(settings["label"]),
    }


def _own_rows(own: OwnGenes, cells: list[str]) -> list[dict[str, Any]]:
    """Files of which the gene table is made."""
    settings, labels = own.settings or {}, own.labels()
    rows = [{"input": "annotation", "file": settings["gtf"]}]
    if settings["tss_bed"]:
        rows.append({"input": "places of TSS", "file": settings["tss_bed"]})
    rows += [
        {"input": "quantification", "cell": cell, "file": " | ".join(labels[cell])}
        for cell in cells
    ]
    return [{**row, "job": "make_own_genes"} for row in rows]


def _job(log: str, output: str, *needs: str) -> dict[str, Any]:
    return {"log": log, "output": output, "needs": list(needs)}


def tell_what_was_refused(workflow: Any, plan: Plan) -> None:
    """Write and print the tables after some of the target's jobs have failed.

    In a process of its own: this one imports no numeric library.
    """
    if TARGET not in targets_of(workflow):
        return
    command = [sys.executable, "-m", "prismflow.evaluation.input_table"]
    subprocess.run(command, input=json.dumps(checks_request(plan)), text=True, check=False)
