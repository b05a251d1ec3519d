"""Which models score element-gene pairs."""

from __future__ import annotations

from typing import Literal

from prismflow.settings.keys import Keys, Names, Whole, key


class EnhancerGene(Keys):
    """What the target `enhancer_gene` makes: scores of every element-gene pair of a cell."""

    models: Names = key(
        "Models whose knock-outs of elements are made; empty for all trained ones whose window is "
        "longer than `longer_than_bp`.",
        [],
    )
    longer_than_bp: Whole = key("Shortest window that counts as long.", 9999, ge=0)
    split: Literal["test", "all"] = key(
        "Genes that a run scores: those of its test split, or all (on which it may have been "
        "trained).",
        "test",
    )
