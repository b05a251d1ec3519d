"""What is explained, and how: attributions of trained runs, and variants scored with them."""

from __future__ import annotations

from typing import Literal

from prismflow.settings.keys import Flag, Keys, Names, Whole, key


class Attributions(Keys):
    """What the target `attributions` makes: which genes, and by which means."""

    models: Names = key("Networks whose runs are explained; empty for `prism`.", [])
    genes: Names = key("Genes by identifier; empty for those of `split`.", [])
    split: Literal["train", "valid", "test"] = key("Genes of this part of the fold.", "test")
    at_most: Whole | None = key(
        "Genes of the split, evenly spaced in its order; null for all.", 20, ge=1
    )
    baseline: Literal["mean", "zero"] = key(
        "What an input is compared with: its mean over the training genes at each position, or "
        "zero (no signal, unknown bases).",
        "mean",
    )
    steps: Whole = key(
        "Steps of integrated gradients; doubled for a gene up to 16 times as many while it is "
        "more than 1 % from complete.",
        50,
        ge=2,
    )
    bin_bp: Whole = key("Length of an occluded bin.", 50, ge=1)
    mutagenesis: Flag = key("Every substitution of the window, too.", True)
    pass_bp: Whole = key(
        "Most bases (windows x length x branches of the model) of one pass; bounds the memory.",
        65536,
        ge=1,
    )
    report: Flag = key("Explain with every report, which shows the figures.", False)
    figure_genes: Whole = key("Genes in the figure, those predicted highest.", 2, ge=1, le=4)


class Variants(Keys):
    """What the target `variants` makes: a VCF scored with all seeds of some models."""

    vcf: str | None = key(
        "Variants on the dataset's genome (plain or gz); the report shows them.", None
    )
    models: Names = key("Networks with which they are scored; empty for `prism`.", [])
    percentile: Flag = key(
        "Compare each variant with every substitution of its window (three passes per base).", True
    )
    pass_bp: Whole = key("As in `attributions`.", 65536, ge=1)
