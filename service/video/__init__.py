"""Decoding: the one place that touches PyAV."""
