"""The causal graph that Prism assumes, before and after the intervention (paper, Figure 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismflow.figures.plots import common, diagram, style
from prismflow.labels import modality_label, target_label

NEEDS = ("model_settings",)
_HEIGHT, _PANEL = 1.62, 2.0
_CAUSAL, _BACKDOOR = "#009e73", "#d55e00"
#: Node -> place in its panel, colour, whether it is observed.
_NODES = {
    "X": ((0.4, 0.95), style.INK, True),
    "S": ((1.0, 0.95), "#0072b2", True),
    "C": ((1.3, 1.42), _BACKDOOR, False),
    "Y": ((1.6, 0.95), style.INK, True),
}


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Two graphs: what is observed, and what remains after do(S); names from the configuration.

    Args:
        data: ``model_settings`` of Prism models; the first one is described.
        experiment: ``id``, ``models``.
        context: ``modality_labels``, ``target_label``.
    """
    settings = common.require(data, "model_settings", experiment)
    model = common.model_order(settings, experiment)[0]
    n = settings[model]["hyperparameters"].get("n_contexts", 0)
    signals = [modality_label(name, context) for name in settings[model]["modalities"]]
    figure, axes = diagram.canvas(style.FULL_WIDTH, _HEIGHT)
    _graph(axes, 0.1, "Observed: P(Y | X, S)", intervened=False)
    _graph(axes, 0.1 + _PANEL, "After the intervention: P(Y | X, do(S))", intervened=True)
    lines = (
        ("X", "DNA sequence around the TSS"),
        ("S", style.wrap(f"epigenomic signals: {', '.join(signals)}", 44)),
        ("C", "background chromatin state: not observed,\nit raises signals and expression alike"),
        ("Y", style.wrap(f"expression, {target_label(context)}", 44)),
    )
    y, left = _HEIGHT - 0.14, 0.45 + 2 * _PANEL
    for name, text in lines:
        colour = _NODES[name][1]
        axes.text(left, y, name, color=colour, fontweight="bold", va="top")
        axes.text(left + 0.18, y, text, va="top", linespacing=1.25)
        y -= 0.17 + 0.125 * text.count("\n")
    reading = (
        f"Prism puts n = {n} learned contexts a_i in the\nplace of C and averages over them: "
        "Y after do(S)\nis estimated by (1/n) Σ f(X, S · a_i)."
        if n
        else "This model has n = 0 contexts: it fits P(Y | X, S)."
    )
    axes.text(left, y, reading, va="top", linespacing=1.25)
    note = (
        "Orange: the backdoor path S ← C → Y. Green: the effect of interest. Dashed circle: not "
        "observed. Drawn from code; no data, n = 0 genes."
    )
    return style.finish(figure, [note], {**context, "simulated": False})


def _graph(axes: Axes, left: float, title: str, intervened: bool) -> None:
    def at(name: str) -> tuple[float, float]:
        (x, y), _, _ = _NODES[name]
        return left + x - 0.2, y - 0.35

    axes.text(left, _HEIGHT - 0.14, title, fontweight="bold", va="top")
    diagram.arrow(axes, at("S"), at("Y"), _CAUSAL, 0.2)
    diagram.arrow(axes, at("X"), at("Y"), shrink=0.2, bend=0.55)
    diagram.arrow(axes, at("C"), at("Y"), _BACKDOOR, 0.2)
    if intervened:
        (sx, sy), (cx, cy) = at("S"), at("C")
        axes.text((sx + cx) / 2 - 0.06, (sy + cy) / 2 + 0.05, "cut", color=_BACKDOOR, ha="right",
                  fontsize=style.SMALL_SIZE)  # fmt: skip
    else:
        diagram.arrow(axes, at("C"), at("S"), _BACKDOOR, 0.2)
        diagram.arrow(axes, at("X"), at("S"), shrink=0.2)
    for name, (_, colour, observed) in _NODES.items():
        diagram.node(axes, at(name), name, colour, observed)
