"""What pricing a plan needs, as plain values: runs, models, experiments and stores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from prismflow.plan.claims_request import claims_request
from prismflow.plan.runs import Plan
from prismflow.settings.architectures import ARCHITECTURES
from prismflow.settings.claims import read_claims
from prismflow.settings.kinds import KINDS
from prismflow.settings.simulation import SimulationSettings

MEGABYTE = 1e6


def plan_request(plan: Plan) -> dict[str, Any]:
    """The request of :func:`prismflow.evaluation.write_plans.write_plans`; opens no large file."""
    claims = read_claims(plan.config.values["sheets"]["claims"])
    windows = {name: int(entry["window_bp"]) for name, entry in plan.models.items()}
    names = sorted({run.model for run in plan.scenarios})
    values = plan.config.values
    datasets = {}
    for dataset, settings in plan.config.datasets.items():
        experiments = {
            experiment.id: [[run.cell, run.model, run.name] for run in experiment.runs]
            for experiment in plan.experiments_of(dataset)
        }
        datasets[dataset] = {
            "title": settings["title"],
            "experiments": experiments,
            "runs": [
                {"cell": run.cell, "model": run.model, "run": run.name}
                for run in plan.runs(dataset)
            ],
            "stores": _stores(plan, dataset, settings),
            "left_out": plan.notes(dataset),
            "claims": claims_request(plan, dataset, claims, windows),
            "n_genes": _expected_genes(plan, settings),
        }
    return {
        "device": values["run"]["device"],
        "costs": values["sheets"]["costs"],
        "deciding": {key: claims[key] for key in ("margin", "level", "planning")},
        "models": {name: _model(plan, name) for name in names},
        "datasets": datasets,
    }


def _model(plan: Plan, name: str) -> dict[str, Any]:
    entry = plan.models[name]
    training = {**plan.config.values["training"], **entry.get("training", {})}
    chosen = entry.get("hyperparameters", {})
    architecture = ARCHITECTURES[entry["architecture"]]
    return {
        "architecture": entry["architecture"],
        "window_bp": entry["window_bp"],
        "branches": 1 + chosen.get("n_contexts", 0),
        "size": chosen.get("d_model", 128) * chosen.get("n_layers", 4)
        if architecture.sized_by_width
        else 512,
        "steps": None if architecture.tabular else training["steps"],
        "batch": training["batch_size"] * training.get("accumulate_batches", 1),
        "adopted": "checkpoint" in entry,
    }


def _stores(plan: Plan, dataset: str, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    n_genes = _expected_genes(plan, settings)
    kinds = plan.config.values["modalities"]
    stores = []
    for cell in settings["cells"]:
        window_bp, dtype = settings["window_bp"], settings["signal_dtype"]
        bytes_per_gene = window_bp + sum(
            KINDS[kinds[name]["kind"]].bytes_per_gene(window_bp, dtype)
            for name in plan.config.modalities_of(cell)
        )
        size = n_genes * bytes_per_gene / MEGABYTE
        stores.append({"dataset": dataset, "cell": cell, "expected_mb": size})
    return stores


def _expected_genes(plan: Plan, settings: Mapping[str, Any]) -> int:
    """Genes of a dataset before it is built: of the simulator, of the gene table, or its lines."""
    if settings["simulate"] is not None:
        return int(settings["simulate"].get("n_genes", SimulationSettings().n_genes))
    path = settings["genes"]["path"]
    made = plan.config.values["gene_table"]
    if made and made["path"] == path and made["expected_genes"]:
        return int(made["expected_genes"])
    if not os.path.isfile(path):
        return 0
    with open(path, "rb") as lines:
        return max(0, sum(1 for _ in lines) - 1)
