"""What a measurement ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path


def machine() -> str:
    """Processor, cores that may be used, load, Python and the libraries that do the work."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    wanted = ("av", "numpy", "onnxruntime", "openvino", "torch")
    libraries = ", ".join(f"{name} {version(name)}" for name in wanted if find_spec(name))
    return (
        f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} core(s), "
        f"load {os.getloadavg()[0]:.1f} at the start; Python {platform.python_version()}, "
        f"{libraries}"
    )
