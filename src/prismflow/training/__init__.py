"""Store + model -> a trained run; exact resume, the loop, batches, the optimiser."""
