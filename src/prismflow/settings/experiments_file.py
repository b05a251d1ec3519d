"""Every key of experiments.yaml: what is compared, once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from prismflow.settings.keys import (
    UNIQUE,
    EvenLengths,
    Flag,
    Keys,
    Names,
    Number,
    SomeNames,
    key,
)  # fmt: skip
from prismflow.settings.scenarios import ScenarioKeys

Values = Annotated[list[Number], Field(min_length=1)]
Weights = Annotated[list[Annotated[float, Field(strict=True, ge=0)]], Field(min_length=1)]


class Vary(Keys):
    """Variants of some models: one named model per value."""

    models: SomeNames = key("Models that are varied.")
    window_bp: EvenLengths = key(
        "Input lengths.", None, sparse=True, expected="a list of even lengths in bp"
    )
    modalities: Literal["subsets", "extras"] | list[SomeNames] = key(
        "Lists of signals, `subsets` (all of them), or `extras` (one more each).",
        None,
        sparse=True,
        expected="`subsets`, `extras` or lists of modalities",
    )
    hyperparameters: dict[str, Values] = key("Setting -> its values.", None, sparse=True)
    loss: dict[str, Weights] = key("Weight of the loss -> its values.", None, sparse=True)


class Experiment(Keys):
    """One question: models, how they are tested, what draws the answer."""

    title: str = key("Title in the report.")
    caption: str = key("Text below the figure.")
    paper: str = key("Figure or table of the paper that this answers.", "")
    category: str = key("Chapter of the report.", "Experiments")
    renderer: str | None = key("Module of prismflow.figures.plots; null: no figure.")
    table: str | None = key("Module of prismflow.figures.tables.", None)
    models: Names = key("Named models.", [])
    vary: Vary = key("Variants of some models.", None, sparse=True)
    scenarios: Names = key("Ways of testing.", ["full"])
    crop_bp: Annotated[EvenLengths, UNIQUE] = key(
        "Central lengths at which the trained models are tested too.",
        None,
        sparse=True,
        expected="a list of even lengths in bp",
    )
    beyond_bp: Annotated[list[Annotated[int, Field(strict=True, ge=1)]], UNIQUE] = key(
        "Distances from the TSS beyond which input is replaced in every way that scenarios know.",
        None,
        sparse=True,
    )
    transfer: Flag = key("Test every model on the other cells too.", False)
    cells: SomeNames = key(
        "Cells of the dataset that take part; without it all.", None, sparse=True
    )
    folds: Literal["all"] | SomeNames = key(
        "Folds of the dataset, or `all` of them; without it `splits.use`.",
        None,
        sparse=True,
        expected="`all` or a list of folds",
    )
    reference: str | None = key(
        "Model that all others are compared with; null for none. Without it variants are compared "
        "with the model that was varied, others with `prism`, else with the first model of `vary`.",
        None,
        sparse=True,
    )
    seeds: Annotated[list[Annotated[int, Field(strict=True, ge=0)]], UNIQUE] = key(
        "Seeds that take part; without it those of the configuration.", None, sparse=True
    )
    options: dict[str, Any] = key("Settings of the renderer.", {})


class ExperimentsFile(Keys):
    """What is compared, once. Runs that several experiments share are trained once."""

    scenarios: dict[str, ScenarioKeys] = key("Ways of testing a trained model.")
    experiments: dict[str, Experiment] = key("Experiments by name.", min_length=1)
