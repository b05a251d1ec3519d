"""Every renderer over a grid of sizes, names and values: nothing overlaps, leaves or collapses."""

from __future__ import annotations

import pytest
import renderers
from figure_grid import CASES, POINTS, Point, context_of
from plot_cases import check_whole

from prismflow.figures.plots import style


def test_the_grid_has_every_renderer() -> None:
    assert set(CASES) == set(renderers.PLOTS)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
@pytest.mark.parametrize("renderer", CASES)
def test_figure_keeps_its_texts_apart(renderer: str, point: Point) -> None:
    data, experiment = CASES[renderer](point)
    figure = renderers.plot(renderer).draw(data, {"id": renderer, **experiment}, context_of(point))
    check_whole(figure)
    collapsed = [axes for axes in figure.axes if min(axes.get_window_extent().size) < 12]
    assert not collapsed, f"{len(collapsed)} axes of {renderer} collapsed"


@pytest.mark.parametrize(
    ("place", "said"), [((0.1, 0.5), "overlaps 'two'"), ((0.98, 0.5), "'two' is cut off")]
)
def test_texts_on_each_other_or_off_the_page_are_found(place: tuple[float, float], said: str):
    figure = style.new_figure(style.FULL_WIDTH, 2.0)
    figure.text(0.1, 0.5, "one", rotation=0)
    figure.text(0.5, 0.5, "apart")
    figure.text(0.1, 0.5, "turned", rotation=45)  # these are left out
    figure.text(*place, "two")
    with pytest.raises(AssertionError, match=said):
        check_whole(figure)
