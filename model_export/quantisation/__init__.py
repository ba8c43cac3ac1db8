"""Fast mode: a float32 model's products in int8, and what that costs in AUC and verdicts."""
