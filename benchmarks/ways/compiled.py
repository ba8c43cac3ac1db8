"""PyTorch through ``torch.compile`` with its default options.

The first run of a batch size compiles, for minutes where the network is large.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch

from benchmarks.networks import load as load_network
from benchmarks.ways import eager
from benchmarks.worker import Task, Way


def load(task: Task) -> Way:
    """The network's module, compiled."""
    module = load_network(Path(task.path))
    return eager.of(task, cast(torch.nn.Module, torch.compile(module)))
