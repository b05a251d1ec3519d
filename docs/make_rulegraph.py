"""Write docs/images/rulegraph.tsv and draw it: which rule of the demo waits for which.

python docs/make_rulegraph.py
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import networkx as nx
from matplotlib import pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"


def pairs(dot: str) -> list[tuple[str, str]]:
    """(rule, rule that waits for it), sorted, of Snakemake's graph in the dot language."""
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', dot, flags=re.MULTILINE))
    edges = re.findall(r"^\s*(\d+) -> (\d+)", dot, flags=re.MULTILINE)
    return sorted((names[first], names[then]) for first, then in edges)


def of_the_demo() -> list[tuple[str, str]]:
    """The pairs of the demo, as Snakemake plans it."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "dot", "--forceall"]
    command += ["--configfile", "config/demo.yaml"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return pairs(told)


def places(graph: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """A row per step from the first rules; in a row, each rule below those that it waits for."""
    rows = list(nx.topological_generations(graph))
    across: dict[str, float] = {}
    for row in rows:

        def middle(name: str) -> float:
            before = [across[p] for p in graph.predecessors(name)]
            return sum(before) / len(before) if before else 0.0

        ordered = sorted(row, key=lambda name: (middle(name), name))
        for place, name in enumerate(ordered):
            across[name] = place - (len(ordered) - 1) / 2
    return {name: (across[name], -float(depth)) for depth, row in enumerate(rows) for name in row}


def draw(edges: list[tuple[str, str]], target: Path) -> None:
    """Draw the graph without edges that follow from others."""
    graph = nx.transitive_reduction(nx.DiGraph(edges))
    at = places(graph)
    depth, width = -min(y for _, y in at.values()), max(x for x, _ in at.values())
    figure, axes = plt.subplots(figsize=(2.1 * (2 * width + 1), 0.62 * (depth + 1)), dpi=110)
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#eef3f8", "edgecolor": "#48627a"}
    for first, then in graph.edges:
        arrow = {"arrowstyle": "-|>", "color": "#8a97a3", "shrinkA": 9, "shrinkB": 9}
        axes.annotate("", at[then], at[first], arrowprops=arrow)
    for name, (x, y) in at.items():
        axes.text(x, y, name, ha="center", va="center", fontsize=9, bbox=box, zorder=3)
    axes.set(xlim=(-width - 0.6, width + 0.6), ylim=(-depth - 0.5, 0.5))
    axes.axis("off")
    figure.savefig(target, bbox_inches="tight", facecolor="white", metadata={"Software": None})


if __name__ == "__main__":
    found = of_the_demo()
    text = "rule\tthen\n" + "".join(f"{first}\t{then}\n" for first, then in found)
    (IMAGES / "rulegraph.tsv").write_text(text)
    draw(found, IMAGES / "rulegraph.png")
