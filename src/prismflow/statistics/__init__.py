"""Statistics that can say no: seeds, genes, and both at once (docs/statistics.md).

``agreement`` compares predictions with labels, ``seeds`` summarises runs, ``bootstrap`` resamples
test genes, ``paired`` compares two models over seeds and genes together, ``permutation`` holds the
permutation test and Holm's correction, ``power`` says how many seeds or genes would decide a
difference. Nothing is imported here: ``agreement`` serves every evaluation, and scipy.stats takes
longer to import than such a job takes.
"""
