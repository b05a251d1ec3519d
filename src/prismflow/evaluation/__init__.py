"""A run -> tables of numbers: scenarios, metrics, comparisons, claims, costs, checks of data."""
