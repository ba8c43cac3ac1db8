"""From a Keras file to a PyTorch model with the same outputs.

Layers are matched by their order and shapes. Names are no help: their counters depend on what
else the process had built before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from model_export.architectures import ARCHITECTURES, MAX_SIZE, MIN_SIZE, Architecture, Size
from model_export.detector import Detector
from model_export.errors import KerasImportError
from model_export.keras_config import check_head
from model_export.keras_file import KerasFile, KerasLayer, open_keras
from model_export.keras_layers import Shapes, assign, keras_shapes, kind_of


@dataclass(frozen=True)
class ImportedModel:
    """A model taken over from Keras."""

    model: Detector
    """In evaluation mode, float32, on the CPU."""
    size: Size
    """Rows and columns of its frames."""
    clip_length: int
    layout: str
    """Which Keras layout the file had."""
    sha256: str
    """Of the Keras file's bytes, hexadecimal."""


def import_keras(path: Path, architecture: str, input_size: int | None = None) -> ImportedModel:
    """Read the Keras HDF5 file at ``path`` as an ``architecture`` of ``ARCHITECTURES``.

    Width, depth and input size come from the file where it says them; ``input_size`` (square)
    gives the last where it does not. Raises ``KerasImportError`` with a message for people.
    """
    plan = ARCHITECTURES[architecture]
    if input_size is not None and not MIN_SIZE <= input_size <= MAX_SIZE:
        raise KerasImportError(f"an input size is between {MIN_SIZE} and {MAX_SIZE} pixels")
    with open_keras(path) as file:
        try:
            # Without memory first: what does not fit is refused before anything is read.
            with torch.device("meta"):
                model = plan.build(file, _size_or_published(plan, file, input_size))
            layers = _matched(model, file, architecture)
            check_head(architecture, file.head_activation)
        except KerasImportError as error:
            others = [name for name in ARCHITECTURES if name != architecture]
            fitting = next((name for name in others if _fits(name, file)), None)
            hint = f"; its layers are those of {fitting}" if fitting else ""
            raise KerasImportError(f"{path.name}: {error}{hint}") from error
        try:
            size = _input_size(plan, file, input_size)
            model.to_empty(device="cpu")
            for module, layer in zip(model.keras_layers(), layers, strict=True):
                assign(module, layer.read())
        except KerasImportError as error:
            raise KerasImportError(f"{path.name}: {error}") from error
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.num_batches_tracked is not None
                module.num_batches_tracked.zero_()
        return ImportedModel(
            model=model.eval(),
            size=size,
            clip_length=_clip_length(model, file),
            layout=file.layout,
            sha256=file.sha256,
        )


def _stated_size(file: KerasFile) -> Size | None:
    shape = file.input_shape
    if shape is None or len(shape) < 3:
        return None
    height, width = shape[-3], shape[-2]
    return None if height is None or width is None else (height, width)


def _input_size(plan: Architecture, file: KerasFile, given: int | None) -> Size:
    stated = _stated_size(file)
    asked = None if given is None else (given, given)
    if stated and asked and stated != asked:
        raise KerasImportError(
            f"the file says {stated[0]}x{stated[1]} frames, not {given}x{given} (--input-size)"
        )
    size = stated or asked or plan.implied_size(file)
    if size is None:
        raise KerasImportError(
            f"the file does not say its input size: give it with --input-size (the published "
            f"{plan.name} weights have {plan.published_size})"
        )
    if not all(MIN_SIZE <= side <= MAX_SIZE for side in size):
        raise KerasImportError(f"frames of {size[0]}x{size[1]} pixels are not supported")
    if not plan.accepts_size(file, size):
        raise KerasImportError(
            f"the weights do not fit frames of {size[0]}x{size[1]} pixels (--input-size)"
        )
    return size


def _size_or_published(plan: Architecture, file: KerasFile, given: int | None) -> Size:
    """A size to build with; whether it is the right one is a question of its own, for later."""
    published = (plan.published_size, plan.published_size)
    implied = plan.implied_size(file)
    stated = _stated_size(file) or (None if given is None else (given, given))
    if stated and all(MIN_SIZE <= side <= MAX_SIZE for side in stated):
        return stated if plan.accepts_size(file, stated) else implied or published
    return implied or published


def _clip_length(model: Detector, file: KerasFile) -> int:
    shape = file.input_shape
    if shape is not None and len(shape) == 4 and model.clip_length > 1 and shape[0]:
        if shape[0] > 64:
            raise KerasImportError(f"clips of {shape[0]} frames are not supported")
        return shape[0]
    return model.clip_length


def _fits(architecture: str, file: KerasFile) -> bool:
    plan = ARCHITECTURES[architecture]
    try:
        with torch.device("meta"):
            model = plan.build(file, _size_or_published(plan, file, None))
        _matched(model, file, architecture)
    except KerasImportError:
        return False
    return True


def _matched(model: Detector, file: KerasFile, architecture: str) -> list[KerasLayer]:
    """The file's layers in the order of ``model``'s, each with its shapes; or a refusal."""
    modules = list(model.keras_layers())
    found = list(file.layers) if file.ordered else _by_class(modules, file)
    expected = [keras_shapes(module) for module in modules]
    shapes = [layer.shapes for layer in found]
    if shapes == expected:
        return found
    raise KerasImportError(_difference(modules, expected, found, architecture))


def _by_class(modules: Sequence[nn.Module], file: KerasFile) -> list[KerasLayer]:
    """Order a ``.weights.h5`` file's layers, which it numbers class by class."""
    queues: dict[str, list[KerasLayer]] = defaultdict(list)
    for layer in file.layers:
        base, _, counter = layer.name.rpartition("_")
        queues[base if counter.isdecimal() else layer.name].append(layer)
    found = []
    for module in modules:
        kind = kind_of(module)
        if not queues[kind.snake_name]:
            raise KerasImportError(f"a {kind.name} layer is missing")
        found.append(queues[kind.snake_name].pop(0))
    spare = [layer.name for queue in queues.values() for layer in queue]
    if spare:
        raise KerasImportError(f"layer '{spare[0]}' has no place in this architecture")
    return found


def _difference(
    modules: Sequence[nn.Module],
    expected: Sequence[Shapes],
    found: Sequence[KerasLayer],
    architecture: str,
) -> str:
    """Say in one sentence where the file and the architecture part."""
    shapes = [layer.shapes for layer in found]
    same = 0
    while same < min(len(shapes), len(expected)) and shapes[same] == expected[same]:
        same += 1
    wanted = (
        f"a {kind_of(modules[same]).name} with weights {_words(expected[same])}"
        if same < len(expected)
        else "nothing more"
    )
    if same and shapes[same:] == expected[same + 1 :]:
        before = f" before '{found[same].name}'" if same < len(found) else " at the end"
        return f"a layer is missing: {architecture} has {wanted}{before}"
    if same and shapes[same + 1 :] == expected[same:]:
        return f"layer '{found[same].name}' is one too many for {architecture}"
    if same == len(found):
        missing = len(expected) - same
        return f"the file ends {missing} layers early: {architecture} goes on with {wanted}"
    return (
        f"the file is no {architecture} of this shape: its layer '{found[same].name}' (number "
        f"{same + 1} with weights) has {_words(shapes[same])}, where {wanted} belongs"
    )


def _words(shapes: Shapes) -> str:
    return ", ".join("x".join(str(n) for n in shape) or "scalar" for shape in shapes)
