"""One product of square matrices: what the processor, or a GPU, can do at most.

In float32 by NumPy's library and by PyTorch's, whichever is faster on this machine; by PyTorch's in
what ``variant`` names too, such as ``float16``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.ways import MATRIX_SIDE
from benchmarks.worker import NotRun, Task, Way


def load(task: Task) -> Way:
    """NumPy's, or PyTorch's where ``path`` is ``torch``."""
    side = MATRIX_SIDE[task.device]
    values = np.random.default_rng(0).standard_normal((side, side), dtype=np.float32)
    if task.path != "torch":
        if task.device != "cpu":
            raise NotRun("NumPy multiplies on the CPU")
        result = np.empty_like(values)

        def multiply(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
            np.matmul(values, values, out=result)
            return result[0, :1]

        return Way(f"NumPy {np.__version__}, CPU", multiply)
    import torch

    torch.set_num_threads(task.threads)
    if task.device == "cuda" and not torch.cuda.is_available():
        raise NotRun("PyTorch finds no GPU")
    kind = getattr(torch, task.variant or "float32")
    # Small numbers: sums of 8192 products must fit into float16.
    matrix = torch.from_numpy(values / side**0.5).to(task.device, kind)

    def product(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray((matrix @ matrix)[0, :1].float().cpu().numpy(), np.float32)

    return Way(f"PyTorch {torch.__version__}, {task.device}, {kind}", product)
