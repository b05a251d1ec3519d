"""Every figure against its reference image: a change of the look is seen and agreed to.

CONTRIBUTING.md has the command that draws the images anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import renderers
import test_attributions
import test_data_checks
from figure_grid import CASES, Point, context_of
from matplotlib.figure import Figure
from plot_cases import check_whole

from prismflow.figures.plots import attributions, data_checks

BASELINE = Path(__file__).with_name("baseline")
ORDINARY = Point()
FIGURES = (*sorted(CASES), "attributions", "data_checks")
MOST_BYTES = 3_000_000
compared = pytest.mark.mpl_image_compare(
    baseline_dir=str(BASELINE),
    style="default",
    # Root mean square of the difference in grey levels of 255, over a mostly white page.
    tolerance=1.0,
    savefig_kwargs={"dpi": 72, "metadata": {"Software": None}},
)


def drawn(name: str) -> Figure:
    """A figure of ordinary size, laid out as it is saved."""
    if name == "attributions":
        data = test_attributions.explained(("direct", "backdoor"), ("h3k27ac", "dnase"), True)
        shown = {"model": "prism", "cell": "K562", "run": "fold11_seed2", "figure_genes": 2}
        return attributions.draw(data, shown, test_attributions.CONTEXT)
    if name == "data_checks":
        return data_checks.draw(
            test_data_checks.tables(3, 2), {"id": name}, {"target_label": "log10(CAGE + 1)"}
        )
    data, experiment = CASES[name](ORDINARY)
    return renderers.plot(name).draw(data, {"id": name, **experiment}, context_of(ORDINARY))


@compared
@pytest.mark.parametrize("name", FIGURES)
def test_figure_looks_as_it_did(name: str) -> Figure:
    figure = drawn(name)
    # Drawn once for both questions: nothing overlaps, and it looks as it did.
    check_whole(figure)
    return figure


def test_every_image_has_its_figure_and_all_are_small() -> None:
    files = list(BASELINE.glob("*.png"))
    assert {file.stem for file in files} == {f"test_figure_looks_as_it_did_{f}" for f in FIGURES}
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
