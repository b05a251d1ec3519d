"""Settings -> runs and the parameters of rules; imports neither numpy nor torch."""
