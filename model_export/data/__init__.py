"""Datasets: what there is, who is in which part, and the clips prepared from it."""
