"""Writing a detector as a self-describing ONNX model, checked before it gets its name.

The contract (inputs, outputs, metadata) is ``service.classifier.contract``'s.
"""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnxscript.optimizer
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

from model_export.detector import Detector
from model_export.errors import ExportError
from model_export.files import replacing
from model_export.graph import conv_lstm, layout
from model_export.scaling import Scaling
from service.classifier.contract import CAM_NAME, INPUT_NAME, PROBABILITY_NAME, ModelContract

PROBABILITY_TOLERANCE = 1e-5
"""Largest difference of ``fake_probability`` between ONNX Runtime and PyTorch."""
LOG_ODDS_TOLERANCE = 0.05
"""The same for the log-odds of ``fake_probability``, which calibration works on and in which a
network that is sure of itself can be wrong unseen: 1e-6 and 5e-6 are the same probability. Of real
networks a published MesoInception4 differs most, by 0.012, on noise it is surer of than of any
face; a twentieth moves a calibrated score of even odds by a hundredth."""
EDGE = 1e-7
"""Log-odds are compared so far from 0 and 1, as the service holds them."""
ROUNDING = 4 * 2.0**-24
"""What single precision cannot tell apart near P(fake) = 1, a few of its steps there."""
CAM_TOLERANCE = 1e-4
"""The same for ``cam``, over its largest value."""
CHECKED_BATCHES = (1, 3)
HALF_MIN_ELEMENTS = 1024
"""Smaller arrays stay float32 in a half-precision file: nothing is gained by them."""


class ScoredClips(nn.Module):
    """A detector from pixels to the contract's outputs: what an export computes."""

    def __init__(self, model: Detector, scaling: Scaling) -> None:
        super().__init__()
        self.model = model
        self.scaling = scaling

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """P(fake) (N,), and the CAM (N, T, h, w) if there is one, of uint8 (N, T, H, W, 3) RGB."""
        features = self.model.features(self.scaling(clips.permute(0, 1, 4, 2, 3)))
        probability = self.model.fake_probability(self.model.classify(features))
        return (probability, self.model.cam(features)) if self.model.has_cam else (probability,)


@dataclass(frozen=True)
class ExportReport:
    """What the check of an export measured."""

    path: Path
    bytes_written: int
    probability_difference: float
    log_odds_difference: float
    """Beyond what single precision leaves open."""
    cam_difference: float
    """Relative to the map's largest value; 0 where the architecture has no CAM."""


def export(
    model: Detector,
    path: Path,
    contract: ModelContract,
    *,
    scaling: Scaling | None = None,
    half_weights: bool = False,
    plain: bool = False,
) -> ExportReport:
    """Write ``model`` as ONNX to ``path``, replacing it in one step, or raise ``ExportError``.

    T, H and W come from ``contract``, whose ``precision`` is filled in here. Before the file gets
    its name it is run in ONNX Runtime on random clips in several batch sizes and compared with
    PyTorch. ``half_weights`` stores kernels as float16, which are widened when the model is
    loaded: sums stay float32, and the comparison is against the rounded weights. ``plain`` writes
    convolutional LSTMs as convolutions alone (see ``model_export.graph.layout``).
    """
    if contract.architecture != model.architecture:
        raise ExportError(f"the contract says {contract.architecture}, not {model.architecture}")
    precision = "float16 weights, float32 sums" if half_weights else "float32"
    contract = contract.model_copy(update={"precision": precision})
    training = model.training
    scored = ScoredClips(_rounded(model) if half_weights else model, scaling or Scaling()).eval()
    try:
        graph = _graph(scored, contract, plain=plain)
        if half_weights:
            _store_half(graph)
        helper.set_model_props(graph, contract.dump())
        onnx.checker.check_model(graph)
        with replacing(path) as partial:
            onnx.save(graph, partial)
            del graph
            report = _check(scored, partial, path, contract)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        model.train(training)
    return report


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 (hexadecimal) of a model's parameters and buffers, by name, type, shape, value."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def random_clips(shape: tuple[int, int, int, int, int], seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (N, T, H, W, 3): by turns noise and smooth patches, at different brightness."""
    rng = np.random.default_rng(seed)
    count, steps, height, width, _ = shape
    coarse = rng.integers(0, 256, (count, steps, 4, 4, 3))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    clips = coarse[:, :, rows][:, :, :, columns]
    clips[::2] = rng.integers(0, 256, clips[::2].shape)
    return np.asarray(clips * rng.uniform(0.3, 1.0, (count, 1, 1, 1, 1)), dtype=np.uint8)


def _rounded(model: Detector) -> Detector:
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in rounded.parameters():
            if _halved(tuple(parameter.shape)):
                parameter.copy_(parameter.half().float())
                if not torch.isfinite(parameter).all():
                    raise ExportError("the weights do not fit into half precision")
    return rounded


def _halved(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and int(np.prod(shape)) >= HALF_MIN_ELEMENTS


def _graph(scored: ScoredClips, contract: ModelContract, *, plain: bool) -> onnx.ModelProto:
    size = (contract.clip_length, contract.input_height, contract.input_width, 3)
    # Two clips: a batch of one would be taken for a fixed size.
    example = torch.from_numpy(random_clips((2, *size)))
    outputs = [PROBABILITY_NAME, CAM_NAME] if scored.model.has_cam else [PROBABILITY_NAME]
    with conv_lstm.placeholders(scored), _quiet(), torch.no_grad():
        program = torch.onnx.export(
            scored,
            (example,),
            dynamo=True,
            input_names=[INPUT_NAME],
            output_names=outputs,
            dynamic_shapes={INPUT_NAME: {0: torch.export.Dim("N")}},
            verbose=False,
            optimize=False,
        )
        assert program is not None
        # Not the exporter's own optimisation: it multiplies batch norms into the convolutions,
        # which half precision then does not fit. ONNX Runtime does so when it loads the model.
        onnxscript.optimizer.fold_constants_ir(program.model)
        onnxscript.optimizer.remove_unused_nodes(program.model)
    graph = program.model_proto
    layout.expand(graph, plain=plain)
    _strip(graph)
    return graph


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which reports on its own dependencies and progress."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _strip(graph: onnx.ModelProto) -> None:
    """Remove what the exporter notes about the source, stack traces with file names among it."""
    graph.producer_name, graph.producer_version, graph.doc_string = "model_export", "", ""
    body = graph.graph
    del body.value_info[:]
    for part in (body, *body.node, *body.initializer, *body.input, *body.output):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.metadata_props[:]


def _store_half(graph: onnx.ModelProto) -> None:
    casts = []
    for tensor in graph.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or not _halved(tuple(tensor.dims)):
            continue
        values = numpy_helper.to_array(tensor)
        halves = values.astype(np.float16)
        if not np.array_equal(halves.astype(np.float32), values):
            continue  # Made by the exporter, not a rounded parameter.
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(halves, f"{name}/half"))
        casts.append(
            helper.make_node("Cast", [tensor.name], [name], name, to=onnx.TensorProto.FLOAT)
        )
    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*casts, *nodes])


def _check(scored: ScoredClips, partial: Path, path: Path, contract: ModelContract) -> ExportReport:
    """Compare ``partial`` with PyTorch. Raises ``ExportError`` where they differ too much."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_reuse = False  # As in service.runtime: minutes for a deep network.
    # Not the service's session: the reference provider, for this comparison alone.
    session = onnxruntime.InferenceSession(  # noqa: TID251
        str(partial), options, providers=["CPUExecutionProvider"]
    )
    size = (contract.clip_length, contract.input_height, contract.input_width, 3)
    probability_difference = log_odds_difference = cam_difference = 0.0
    for seed, count in enumerate(CHECKED_BATCHES):
        clips = random_clips((count, *size), seed)
        with torch.no_grad():
            wanted = [output.numpy() for output in scored(torch.from_numpy(clips))]
        found = session.run(None, {INPUT_NAME: clips})
        for name, mine, theirs in zip(
            (PROBABILITY_NAME, CAM_NAME), wanted, found, strict=len(wanted) == 2
        ):
            if theirs.shape != mine.shape or not np.isfinite(theirs).all():
                raise ExportError(f"the exported model's {name} is not finite or of another shape")
            difference = float(np.abs(theirs - mine).max())
            if name == PROBABILITY_NAME:
                probability_difference = max(probability_difference, difference)
                log_odds_difference = max(log_odds_difference, log_odds_apart(mine, theirs))
            else:
                difference /= max(float(np.abs(mine).max()), 1e-6)
                cam_difference = max(cam_difference, difference)
    if not (
        probability_difference <= PROBABILITY_TOLERANCE
        and log_odds_difference <= LOG_ODDS_TOLERANCE
        and cam_difference <= CAM_TOLERANCE
    ):
        raise ExportError(
            f"the exported model differs from PyTorch by {probability_difference:.1e} in "
            f"{PROBABILITY_NAME} (allowed: {PROBABILITY_TOLERANCE:.0e}), by "
            f"{log_odds_difference:.1e} in its log-odds (allowed: {LOG_ODDS_TOLERANCE:.0e}) and by "
            f"{cam_difference:.1e} of its largest value in {CAM_NAME} (allowed: "
            f"{CAM_TOLERANCE:.0e}); no file was written"
        )
    return ExportReport(
        *(path, partial.stat().st_size),
        *(probability_difference, log_odds_difference, cam_difference),
    )


def log_odds_apart(mine: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """The largest of two scorings (N,), less what rounding leaves open; 0 at least."""
    first, second = (np.clip(each.astype(np.float64), EDGE, 1 - EDGE) for each in (mine, theirs))
    apart = np.abs(np.log(first / (1 - first)) - np.log(second / (1 - second)))
    return float(max(0.0, (apart - ROUNDING / (1 - np.maximum(first, second))).max()))
