"""Names as readers know them: models, metrics, modalities.

No matplotlib here, because tables use these names too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODEL_LABEL: dict[str, str] = {
    "gene_features": "Gene features (ridge)",
    "kmer_ridge": "k-mers (ridge)",
    "gbm": "Gradient boosting",
    "cnn": "CNN",
    "isegnet": "iSEGnet",
    "enformer": "Enformer",
    "hyena": "HyenaDNA",
    "mamba": "Mamba",
    "caduceus": "Caduceus",
    "caduceus_signals": "Caduceus w/ signals",
    "epinformer": "EPInformer",
    "peak_mask": "Peak mask (MACS3)",
    "seq2exp_hard": "Seq2Exp-hard",
    "seq2exp_soft": "Seq2Exp-soft",
    "infer": "InFER (Prism, backdoor reported)",
    "prism": "Prism",
}
"""Architecture -> label."""

METRIC_LABEL = {
    "mse": "MSE",
    "mae": "MAE",
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "r2": "R²",
}
HIGHER_IS_BETTER = {"mse": False, "mae": False, "pearson": True, "spearman": True, "r2": True}
MODALITY_LABEL = {
    "h3k27ac": "H3K27ac",
    "h3k4me3": "H3K4me3",
    "dnase": "DNase",
    "atac": "ATAC",
    "accessibility": "Accessibility",
    "hic": "Hi-C",
    "chia_pet": "ChIA-PET",
    "promoter_activity": "Promoter activity",
}


def base_model(model: str, context: Mapping[str, Any] | None = None) -> str | None:
    """Architecture whose style a model takes, or None for an unknown one.

    ``context["architectures"]`` (model -> architecture) decides where it is given; otherwise the
    longest key of :data:`MODEL_LABEL` that is the name or a prefix of it before ``_``.
    """
    named = (context or {}).get("architectures", {}).get(model)
    if named in MODEL_LABEL:
        return str(named)
    prefixes = [key for key in MODEL_LABEL if model == key or model.startswith(f"{key}_")]
    return max(prefixes, key=len) if prefixes else None


def model_label(model: str, context: Mapping[str, Any] | None = None) -> str:
    """Label from ``context["model_labels"]``, else made from :data:`MODEL_LABEL`."""
    labels = (context or {}).get("model_labels") or {}
    if labels.get(model):
        return str(labels[model])
    base = base_model(model)
    if base is None:
        return model.replace("_", " ")
    words = model[len(base) :].strip("_").split("_")
    variant = " ".join(MODALITY_LABEL.get(word, word) for word in words)
    return MODEL_LABEL[base] + (f", {variant}" if variant else "")


def modality_label(modality: str, context: Mapping[str, Any] | None = None) -> str:
    """Label from ``context["modality_labels"]``, else from :data:`MODALITY_LABEL`."""
    labels = (context or {}).get("modality_labels") or {}
    return str(labels.get(modality) or MODALITY_LABEL.get(modality, modality.replace("_", " ")))


def target_label(context: Mapping[str, Any]) -> str:
    """What is predicted, with its unit: ``context["target_label"]``, e.g. log10(CAGE + 1)."""
    return str(context.get("target_label") or "the expression label")


def metric_label(metric: str, context: Mapping[str, Any], change: bool = False) -> str:
    """Axis label of a metric; squared and absolute errors name the label they are in."""
    name = METRIC_LABEL.get(metric, metric)
    name = f"Δ {name}" if change else name
    return f"{name} of {target_label(context)}" if metric in ("mse", "mae") else name
