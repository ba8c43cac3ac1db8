"""The service as it is written in an afternoon, inside three serving frameworks.

It runs in an environment of its own (``scripts/setup benchmarks``) and imports nothing of this
project. Model and detector are named by the environment: ``NAIVE_MODEL`` and ``NAIVE_DETECTOR``.
"""
