"""What the ONNX model of imported weights says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from model_export.errors import ExportError
from model_export.keras_import import ImportedModel
from service.classifier.contract import UNKNOWN, Alignment, ModelContract, OperatingPoint

DEFAULT_MARGIN = 1.3
"""Side of the crop over the face box's longer side, where nobody says how the crops were cut."""


@dataclass(frozen=True)
class Provenance:
    """What a Keras file does not say and the person who imports it may know."""

    name: str
    version: str = "1"
    trained_on: str = UNKNOWN
    strategy: str = UNKNOWN
    licence: str = UNKNOWN
    threshold: float | None = None
    alignment: Alignment = "per_frame"
    margin: float = DEFAULT_MARGIN
    notice: str = UNKNOWN


def import_contract(imported: ImportedModel, told: Provenance) -> ModelContract:
    """The contract of ``imported``; ``weights_sha256`` is that of the Keras file.

    A threshold that was given is marked as given by hand: it calibrates nothing.
    """
    height, width = imported.size
    point = OperatingPoint()
    if told.threshold is not None:
        point = OperatingPoint(
            threshold=told.threshold,
            uncertain_low=told.threshold,
            uncertain_high=told.threshold,
            calibration="threshold given at import, not measured here",
        )
    try:
        return ModelContract(
            name=told.name,
            version=told.version,
            architecture=imported.model.architecture,
            clip_length=imported.clip_length,
            input_height=height,
            input_width=width,
            class_order=imported.model.class_order,
            crop_margin=told.margin,
            alignment=told.alignment,
            precision="float32",
            trained_on=told.trained_on,
            strategy=told.strategy,
            operating_point=point,
            metrics=(),
            weights_sha256=imported.sha256,
            licence=told.licence,
            notice=told.notice,
        )
    except ValueError as error:
        raise ExportError(f"the model cannot be described: {error}") from error
