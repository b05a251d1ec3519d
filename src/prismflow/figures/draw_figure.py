"""Read what a figure needs from result files, draw it, and write it with its caption.

The plotting modules take tables in and give figures out; this is the one place between them and the
files.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prismflow.arrays import load_arrays
from prismflow.figures.read import read_needs, with_published
from prismflow.files import read_json, read_tsv, write_text

WITHOUT_DATA = {"model_settings", "families", "costs"}
"""Needs that hold nothing about genes: settings, and steps on random inputs."""


def caption_of(request: Mapping[str, Any], needs: Sequence[str], notes: str) -> str:
    """What stands below a figure: its caption, the data, and what the figure itself says of them.

    Args:
        request: experiment, context, and whether its models are ``compared`` by tests.
        needs: of the renderer; a figure drawn from settings alone has no data.
        notes: sentences that the renderer made from its data: n, seeds, intervals.
    """
    experiment, context = request["experiment"], request["context"]
    parts = [f"{experiment['title'].rstrip('.')}.", experiment["caption"].strip()]
    if set(needs) - WITHOUT_DATA:
        kind = " (simulated, not measured in cells)" if context["simulated"] else ""
        parts.append(f"Data: {context['title']}{kind}.")
    parts.append(notes)
    if request.get("compared"):
        parts.append(
            "Paired tests over seeds and genes (hierarchical bootstrap, permutation, Holm): "
            f"tables/{experiment['id']}_comparisons."
        )
    return " ".join(part for part in parts if part)


def plot_figure(
    request: Mapping[str, Any],
    published: str,
    outputs: Mapping[str, str],
    root: str = "results",
) -> None:
    """Draw one experiment's figure and write its caption.

    Args:
        request: experiment, runs and context, as the plan words them.
        published: sheet of published values.
        outputs: paths of ``pdf``, ``png`` and ``caption``.
        root: the results folder.

    Raises:
        InputError: there is nothing to draw.
    """
    from prismflow.figures import plots

    module = importlib.import_module(f"prismflow.figures.plots.{request['experiment']['renderer']}")
    data = read_needs(request, module.NEEDS, Path(root))
    figure = module.draw(data, request["experiment"], with_published(request, published))
    plots.save(figure, outputs["pdf"], outputs["png"])
    caption = caption_of(request, module.NEEDS, figure.get_label())
    write_text(f"{caption}\n", outputs["caption"])


def plot_data_checks(
    context: Mapping[str, Any], files: Mapping[str, str], pdf: str, png: str
) -> None:
    """Draw the figure of :func:`prismflow.evaluation.data_checks.check_data`.

    Args:
        context: what the plan says about the dataset.
        files: ``checks``, ``profiles``, ``examples`` (TSV) and ``summary`` (JSON).
        pdf, png: outputs.
    """
    from prismflow.figures import plots

    # By name, so that an edit of this one figure doesn't redraw the experiments'.
    data_checks = importlib.import_module("prismflow.figures.plots.data_checks")
    data = {name: read_tsv(files[name]) for name in ("checks", "profiles", "examples")}
    data["summary"] = read_json(files["summary"])
    figure = data_checks.draw(data, {"id": "data_checks"}, context)
    plots.save(figure, pdf, png)


def plot_attributions(
    context: Mapping[str, Any],
    shown: Mapping[str, Any],
    folder: str,
    pdf: str,
    png: str,
) -> None:
    """Draw what :func:`prismflow.explain.attributions.explain_run` wrote of a few genes.

    Args:
        context: what the plan says about the dataset.
        shown: ``model``, ``cell`` and ``figure_genes``.
        folder: the run's attributions.
        pdf, png: outputs.
    """
    from prismflow.figures import plots

    attributions = importlib.import_module("prismflow.figures.plots.attributions")
    tables = {name: read_tsv(Path(folder) / f"{name}.tsv") for name in ("genes", "totals")}
    arrays = load_arrays(Path(folder) / "attributions.safetensors")
    data = {**tables, "arrays": arrays}
    figure = attributions.draw(data, {"id": "attributions", **shown}, context)
    plots.save(figure, pdf, png)
