"""What is done about data that aren't there; one list for the configuration and for the readers."""

#: A base of a signal without a value: 0, the mean over the bases that have one, or a refusal.
MISSING_SIGNAL: tuple[str, ...] = ("zero", "mean", "error")
#: A gene without a label or feature: a refusal, or the gene is dropped with a reason.
MISSING_GENE: tuple[str, ...] = ("error", "drop")
