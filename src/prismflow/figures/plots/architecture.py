"""Prism's architecture with the sizes of the configured model (paper, Figure 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, diagram, style
from prismflow.labels import modality_label, model_label

NEEDS = ("model_settings",)
_HEIGHT = 2.75
_SEQUENCE, _SIGNAL, _WEIGHT, _SHARED = "#eaf4fb", "#e4f1ea", "#fbe9dd", "#f2f2f2"


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Boxes from the inputs to both predictions; every number is the model's setting.

    Args:
        data: ``model_settings``: model -> resolved settings with complete hyper-parameters.
        experiment: ``id``, ``models``; the first one of the architecture prism is drawn.
        context: ``model_labels``, ``modality_labels``.

    Raises:
        InputError: none of the models is a Prism model.
    """
    all_settings = common.require(data, "model_settings", experiment)
    names = common.model_order(all_settings, experiment)
    prism = [name for name in names if all_settings[name]["architecture"] == "prism"]
    if not prism:
        raise InputError(
            f"{common.figure_id(experiment)}: expected a model of the architecture prism, found "
            f"{', '.join(names) or 'none'}; name one in the experiment's `models`."
        )
    settings = all_settings[prism[0]]
    figure, axes = diagram.canvas(style.FULL_WIDTH, _HEIGHT)
    _inputs(axes, settings, context)
    _branches(axes, settings)
    _outputs(axes, settings)
    label = model_label(prism[0], context)
    note = (
        f"{label}, sizes of this configuration: windows of {settings['window_bp']:,} bp, d = "
        f"{settings['hyperparameters']['d_model']}. The weights a scale the embedded "
        "signals of a branch; all branches share one backbone and one head. Drawn from code; no "
        "data, n = 0 genes."
    )
    return style.finish(figure, [note], {**context, "simulated": False})


def _inputs(axes: Any, settings: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    hyper, length = settings["hyperparameters"], settings["window_bp"]
    d, m = hyper["d_model"], len(settings["modalities"])
    names = ", ".join(modality_label(name, context) for name in settings["modalities"])
    small, wide = (0.98, 0.42), (1.02, 0.42)
    diagram.box(axes, (0.58, 2.35), small, f"sequence X\n{length:,} × 4", _SEQUENCE)
    diagram.box(axes, (0.58, 1.45), small, f"signals S\n{length:,} × {m}", _SIGNAL)
    axes.text(0.24, 1.18, style.wrap(names, 24), ha="left", va="top",
              fontsize=style.SMALL_SIZE, color=style.MUTED)  # fmt: skip
    diagram.box(axes, (1.9, 2.35), wide, f"linear 4 → {d}\nE", _SEQUENCE)
    diagram.box(axes, (1.9, 1.45), wide, f"linear {m} → {d}\nH", _SIGNAL)
    diagram.arrow(axes, (1.07, 2.35), (1.39, 2.35))
    diagram.arrow(axes, (1.07, 1.45), (1.39, 1.45))
    n, channels = hyper["n_contexts"], hyper["cnn_channels"]
    if not n:
        text = "no weight generator (n = 0)"
    elif hyper.get("context_source") == "random":
        text = f"fixed random masks\n→ {n} × {d}"
    else:
        text = (f"weight generator: conv {m} → {channels} → {2 * channels} → {4 * channels}, mean, "
                f"\nlinear {4 * channels} → {n} × {d}, {hyper['weight_activation']}")  # fmt: skip
    diagram.box(axes, (1.56, 0.5), (2.86, 0.42), text, _WEIGHT)
    if n:
        diagram.route(axes, [(0.17, 1.24), (0.17, 0.71)])


def _branches(axes: Any, settings: Mapping[str, Any]) -> None:
    hyper = settings["hyperparameters"]
    n, d = hyper["n_contexts"], hyper["d_model"]
    centre = min(hyper["center_bp"], settings["window_bp"])
    diagram.box(axes, (3.1, 2.35), (0.82, 0.42), "branch 0\nE + H", _SHARED)
    diagram.arrow(axes, (2.41, 2.35), (2.69, 2.35))
    diagram.arrow(axes, (2.41, 1.52), (2.69, 2.2))
    if n:
        name = {1: "branch 1", 2: "branches 1, 2"}.get(n, f"branches 1–{n}")
        diagram.box(axes, (3.1, 1.45), (0.82, 0.42), f"{name}\nE + H · aᵢ", _SHARED)
        diagram.arrow(axes, (2.41, 1.45), (2.69, 1.45))
        diagram.arrow(axes, (2.41, 2.28), (2.69, 1.6))
        diagram.route(axes, [(2.99, 0.5), (3.1, 0.5), (3.1, 1.24)])
        axes.text(3.16, 0.8, f"a₁ … aₙ\nd × {n}", va="center", fontsize=style.SMALL_SIZE,
                  color="#a04000", linespacing=1.25)  # fmt: skip
    layers = f"{hyper['n_layers']} layer{'' if hyper['n_layers'] == 1 else 's'}"
    text = (f"bidirectional\nMamba\n{layers}\nd = {d}\n{hyper['d_state']} states"
            f"\n\nmean over\n{centre:,} bp")  # fmt: skip
    diagram.box(axes, (4.22, 1.9), (0.86, 1.32), text, _SHARED)
    diagram.arrow(axes, (3.51, 2.35), (3.79, 2.35))
    if n:
        diagram.arrow(axes, (3.51, 1.45), (3.79, 1.45))


def _outputs(axes: Any, settings: Mapping[str, Any]) -> None:
    hyper = settings["hyperparameters"]
    n, d = hyper["n_contexts"], hyper["d_model"]
    features, hidden = len(settings["gene_features"]), hyper["d_hidden"] or d
    head = f"head\n{d + features} → {hidden}\n→ {hidden} → 1"
    diagram.box(axes, (5.36, 1.9), (0.82, 1.32), head, _SHARED)
    diagram.arrow(axes, (4.65, 2.35), (4.95, 2.35))
    diagram.box(axes, (5.36, 0.5), (1.1, 0.42), f"gene features f\n{features}", _SEQUENCE)
    diagram.arrow(axes, (5.36, 0.71), (5.36, 1.24))
    reported = hyper["reported"]
    text = "direct y" + ("\n(reported)" if reported == "direct" else "")
    diagram.box(axes, (6.43, 2.35), (0.96, 0.42), text, _SHARED, bold=reported == "direct")
    diagram.arrow(axes, (5.77, 2.35), (5.95, 2.35))
    if not n:
        return
    diagram.arrow(axes, (4.65, 1.45), (4.95, 1.45))
    text = "backdoor y_do" + ("\n(reported)" if reported == "backdoor" else "")
    diagram.box(axes, (6.43, 1.45), (0.96, 0.42), text, _WEIGHT, bold=reported == "backdoor")
    diagram.arrow(axes, (5.77, 1.45), (5.95, 1.45))
    what = "hidden states" if hyper["intervention_average"] == "hidden" else "predictions"
    axes.text(6.43, 1.18, f"mean of {what}", ha="center", va="top", fontsize=style.SMALL_SIZE,
              color=style.MUTED)  # fmt: skip
    loss = settings.get("loss", {})
    alpha, beta = loss.get("intervention", 1.0), loss.get("uniform", 1.0)
    axes.text(6.43, 0.72, f"loss:\nL(y) + {alpha:g} L(y_do)\n+ {beta:g} U(a)", ha="center",
              va="center", linespacing=1.3)  # fmt: skip
