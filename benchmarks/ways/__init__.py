"""The ways of scoring clips that are compared; see ``benchmarks.worker``."""

from __future__ import annotations

MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}


def matrix_operations(device: str) -> float:
    """Floating-point operations of the matrix product that stands for the peak."""
    return 2.0 * MATRIX_SIDE[device] ** 3
