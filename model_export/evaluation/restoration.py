"""The network behind an exported CLRNet: what a white-box attack needs and an ONNX file hides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from model_export.clrnet import CLRNet
from model_export.errors import EvaluationError
from model_export.evaluation.opening import open_onnx
from model_export.evaluation.scores import network_scorer
from model_export.evaluation.subject import Network
from model_export.onnx_export import (
    LOG_ODDS_TOLERANCE,
    PROBABILITY_TOLERANCE,
    log_odds_apart,
    random_clips,
)
from model_export.scaling import SCALINGS
from service.classifier.classifier import Classifier

_OURS, _SHORT = "model.", "/half"
"""What the export puts before the name of a weight, and behind that of one it has rounded."""
_CHECKED = 4
"""Clips that both score."""

Weights = dict[str, Tensor]


def restore(path: Path) -> Network:
    """The network that was exported as ``path``, in evaluation mode on the CPU.

    Width and depth follow from its weights. The scaling is that under which it scores random clips
    as the file does, which also shows that it is the same network. Raises ``EvaluationError`` for
    another architecture, for a file that was rearranged, rounded or quantised after its export, and
    where scores differ.
    """
    classifier = open_onnx(path, "cpu")
    detector = _detector(classifier, path)
    if detector is None:
        raise _lost(path, "only a CLRNet that was exported with --plain gives it back")
    length = classifier.contract.clip_length
    found = [name for name in SCALINGS if _same(detector, name, length, classifier)]
    if len(found) != 1:
        raise _lost(path, "under no single scaling do its weights score as the file does")
    return Network(detector, found[0], length)


def _detector(classifier: Classifier, path: Path) -> CLRNet | None:
    weights = _weights(path)
    if classifier.contract.architecture != CLRNet.architecture or "stem.weight" not in weights:
        return None
    model = CLRNet(
        initial_filters=len(weights["stem.weight"]) // 4,
        repetitions=_repetitions(weights),
        peepholes="stem.peepholes" in weights,
    )
    try:
        missing, unknown = model.load_state_dict(weights, strict=False)
    except RuntimeError:  # Of another shape.
        return None
    # How many batches there were is of no use any more.
    lost = [name for name in missing if not name.endswith("num_batches_tracked")]
    return None if lost or unknown else model.eval()


def _weights(path: Path) -> Weights:
    found = {}
    for tensor in onnx.load(path).graph.initializer:
        if tensor.name.startswith(_OURS):
            name = tensor.name.removeprefix(_OURS).removesuffix(_SHORT)
            found[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    return found


def _repetitions(weights: Weights) -> list[int]:
    """Blocks of each stage: the first of each has a projection."""
    numbers = {int(name.split(".")[1]) for name in weights if name.startswith("blocks.")}
    starts = [n for n in sorted(numbers) if f"blocks.{n}.projection.weight" in weights]
    ends = [*starts[1:], len(numbers)]
    return [end - start for start, end in zip(starts, ends, strict=False)]


def _same(detector: CLRNet, scaling: str, length: int, classifier: Classifier) -> bool:
    contract = classifier.contract
    clips = random_clips((_CHECKED, length, contract.input_height, contract.input_width, 3))
    mine = network_scorer(detector, scaling, length).score(clips).astype(np.float32)
    theirs = classifier.score(clips).fake
    near = float(np.abs(mine - theirs).max()) <= PROBABILITY_TOLERANCE
    return near and log_odds_apart(mine, theirs) <= LOG_ODDS_TOLERANCE


def _lost(path: Path, why: str) -> EvaluationError:
    return EvaluationError(
        f"{path} is no run's folder: a white-box attack needs the network itself, and {why}"
    )
