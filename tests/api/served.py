"""Models for engines that have none, as readiness shows them."""

from __future__ import annotations

from service.classifier.contract import ModelContract, OperatingPoint
from service.engine import Readiness, ServedEnsemble, ServedModel

MODEL = ModelContract(
    name="clrnet",
    version="1",
    architecture="clrnet",
    clip_length=5,
    input_height=240,
    input_width=128,
    class_order="fake,real",
    crop_margin=1.3,
    alignment="per_frame",
    precision="float32",
    trained_on="unknown",
    strategy="unknown",
    operating_point=OperatingPoint(),
    metrics=(),
    weights_sha256="0" * 64,
    licence="unknown",
    notice="unknown",
)
SERVED = ServedModel(MODEL, "0" * 64, "CPUExecutionProvider")
OTHER = MODEL.model_copy(update={"name": "mesonet", "clip_length": 1})
TWO_MODELS = Readiness(
    ready=True,
    models=(SERVED, ServedModel(OTHER, "1" * 64, "CPUExecutionProvider", fallback=True)),
    ensembles=(ServedEnsemble("both", "max", ("clrnet", "mesonet")),),
    default="both",
)
