"""Files -> a store -> arrays: genome, genes, windows, tracks and what is read from them.

Coordinates are 0-based half-open throughout.
"""
