"""Trained runs -> predictions for genes and cells without labels; bundles that travel alone."""
