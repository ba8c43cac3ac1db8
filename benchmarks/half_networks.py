"""Networks as GPUs take them.

    python -m benchmarks.half_networks NAME FOLDER

writes beside what ``benchmarks.networks`` does ``plain.onnx``, convolutions alone, and
``half.onnx``, the same in float16. Both are made again where the exporter has changed since.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx

from benchmarks import networks
from model_export.half import half
from model_export.onnx_export import export
from service.classifier.contract import ModelContract


def main(name: str, folder: Path) -> None:
    """Write what is missing."""
    networks.main(name, folder)
    plain, short = folder / "plain.onnx", folder / "half.onnx"
    if not networks.up_to_date(plain):
        graph = onnx.load(folder / "ours.onnx")
        contract = ModelContract.parse({each.key: each.value for each in graph.metadata_props})
        del graph
        network = networks.load(folder)
        export(network.model, plain, contract, scaling=network.scaling, plain=True)
        del network
    if not networks.up_to_date(short):
        half(plain, short)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
