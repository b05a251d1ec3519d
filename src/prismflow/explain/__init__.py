"""What drives a prediction: attributions, single substitutions, occlusions, contexts, variants."""
