"""Networks as GPUs take them.

    python -m benchmarks.half_networks NAME FOLDER

writes beside what ``benchmarks.networks`` does ``plain.onnx``, convolutions alone, and
``half.onnx``, the same in float16. Both are made again where the exporter has changed since.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import networks
from model_export.half import half


def main(name: str, folder: Path) -> None:
    """Write what is missing."""
    networks.main(name, folder)
    plain, short = networks.write_plain(folder), folder / "half.onnx"
    if not networks.up_to_date(short):
        half(plain, short)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
