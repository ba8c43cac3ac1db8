"""Networks in int8, for their speed alone: ranges are of random clips, and no layer is spared.

    python -m benchmarks.int8_networks FOLDER

writes ``plain.onnx``, convolutions alone, and ``int8.onnx`` beside what ``benchmarks.networks``
wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
from onnx import helper

from benchmarks import networks
from benchmarks.worker import clips
from model_export.quantisation.calibrating import calibrate
from model_export.quantisation.layers import layers, quantised, widened
from service.classifier.contract import ModelContract

CLIPS = 2


def main(folder: Path) -> None:
    """Write what is missing."""
    plain, fast = networks.write_plain(folder), folder / "int8.onnx"
    if networks.up_to_date(fast):
        return
    wide = widened(onnx.load(plain))
    found = layers(wide)
    network = networks.Network.read(folder)
    ranges = calibrate(wide, found, clips(CLIPS, network.frames, network.side)).ranges
    made = quantised(wide, ranges, found)
    contract = ModelContract.parse({each.key: each.value for each in made.metadata_props})
    helper.set_model_props(made, contract.model_copy(update={"precision": "int8"}).dump())
    onnx.save(made, fast)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
