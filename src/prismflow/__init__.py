"""Predict gene expression from proximal multimodal signals: library of the Prism workflow."""

__version__ = "0.1.0"
