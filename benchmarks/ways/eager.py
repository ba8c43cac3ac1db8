"""PyTorch as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.networks import load as load_network
from benchmarks.worker import NotRun, Task, Way


def load(task: Task) -> Way:
    """The network's PyTorch module."""
    return of(task, load_network(Path(task.path)))


def of(task: Task, module: Callable[..., torch.Tensor]) -> Way:
    """A module, compiled or not."""
    torch.set_num_threads(task.threads)
    if task.device == "cuda" and not torch.cuda.is_available():
        raise NotRun("PyTorch finds no GPU")
    assert isinstance(module, torch.nn.Module)
    module = module.to(task.device)

    def score(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            # Pageable memory, as most who use PyTorch copy; .cpu() waits for the result.
            scores = module(torch.from_numpy(clips).to(task.device)).cpu().numpy()
        return np.asarray(scores, np.float32)

    runs_on = torch.cuda.get_device_name() if task.device == "cuda" else "CPU"
    return Way(f"PyTorch {torch.__version__}, {runs_on}", score)
