"""A model says everything about itself, or is refused by the name of what it lacks."""

from __future__ import annotations

import pytest

from service.classifier.contract import Metric, ModelContract, OperatingPoint
from service.errors import ModelError
from tests.onnx_models import CONTRACT


def test_a_contract_survives_being_written_and_read() -> None:
    rich = CONTRACT.model_copy(
        update={
            "operating_point": OperatingPoint(
                threshold=0.6, uncertain_low=0.4, uncertain_high=0.7, scale=1.5, offset=-0.2
            ),
            "metrics": (Metric(name="auc", value=0.9, data="test people", low=0.8, high=0.95),),
        }
    )
    assert ModelContract.parse(rich.dump()) == rich
    assert all(isinstance(value, str) for value in rich.dump().values())


def test_what_nobody_knows_is_written_in_words() -> None:
    plain = CONTRACT.model_copy(update={"operating_point": OperatingPoint()})
    written = plain.dump()
    assert written["operating_point"] == "uncalibrated"
    assert written["metrics"] == "unknown"
    assert ModelContract.parse(written) == plain


@pytest.mark.parametrize("key", list(ModelContract.model_fields))
def test_every_missing_key_is_named(key: str) -> None:
    written = CONTRACT.dump()
    del written[key]
    with pytest.raises(ModelError, match=f"'{key}'"):
        ModelContract.parse(written)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clip_length", "many"),
        ("clip_length", "0"),
        ("crop_margin", "nan"),
        ("alignment", "sideways"),
        ("operating_point", "{"),
        ("operating_point", '{"threshold": 0.2, "uncertain_low": 0.5}'),
        ("metrics", '[{"name": "auc"}]'),
    ],
)
def test_every_bad_value_is_named(key: str, value: str) -> None:
    with pytest.raises(ModelError, match=key):
        ModelContract.parse(CONTRACT.dump() | {key: value})
