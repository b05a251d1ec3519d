"""Every key of models.yaml: named models, each a base and the keys that differ."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from prismflow.settings.architectures import ARCHITECTURES
from prismflow.settings.keys import Keys, SomeNames, Whole, even_length, key, one_of


class ModelEntry(Keys):
    """A named model. An ablation is a name, a base and the few keys that differ."""

    SPARSE: ClassVar[bool] = True

    base: str = key("The entry whose keys this one inherits.", None)
    label: str = key("Name in figures and tables; without it the model's own.", None)
    architecture: str = one_of(
        "What is built, here or in the base; docs/models.md describes each.", ARCHITECTURES, None
    )
    modalities: Literal["available", "none"] | SomeNames = key(
        "`available` (all that the cell has), `none`, or a list (a cell that lacks one is left "
        "out); without it `none` where the architecture reads no signal, else `available`.",
        None,
        expected="`available`, `none` or a list of modalities",
    )
    window_bp: Whole = even_length("Input length, here or in the base.", None, what="window length")
    exclude_gene_features: list[str] = key("Gene features that it doesn't get.", None)
    transforms: dict[str, str] = key("Modality -> transform in the place of its own.", None)
    hyperparameters: dict[str, Any] = key("Settings of the architecture that differ.", None)
    loss: dict[str, Annotated[float, Field(strict=True, ge=0)]] = key("Weights of the loss.", None)
    training: dict[str, Any] = key("Keys of `training` in config.yaml that differ.", None)
    initial_weights: str = key(
        "Name of a `pretraining` of config.yaml whose embedding and backbone it starts from.", None
    )
    checkpoint: str = key(
        "A released checkpoint ({cell}, {seed} are replaced) to evaluate instead of training.", None
    )


ModelsFile = Annotated[dict[str, ModelEntry], Field(min_length=1)]
