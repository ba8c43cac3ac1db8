"""Renders a chart and validates what comes out, in the environment of ``scripts/setup deploy``.

Reads a list of cases as JSON, each with ``chart`` (folder), ``values``, ``release`` and the
``versions`` of Kubernetes to validate for. Writes a list of answers: ``error`` of Helm or null,
``notes``, ``documents``, ``lint``, and ``faults``: what schemas find wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import helm_python
import yaml


class _Strict(yaml.SafeLoader):
    """Refuses what the API server refuses and YAML's loader takes: a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) < len(keys):
            raise yaml.constructor.ConstructorError(None, None, f"a key twice in {keys}")
        return super().construct_mapping(node, deep)


def answer(case: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"error": None, "notes": "", "documents": [], "faults": []}
    try:
        with helm_python.Chart.load(case["chart"]) as chart:
            chart.validate_schema(case["values"])
            rendered = chart.render(case["values"], name=case["release"], namespace="media")
    except helm_python.HelmError as error:
        return found | {"error": str(error)}
    for name, text in sorted(rendered.items()):
        if name.endswith("NOTES.txt"):
            found["notes"] = text
        else:
            found["documents"] += [each for each in yaml.load_all(text, _Strict) if each]
    for version in case["versions"]:
        for document in found["documents"]:
            found["faults"] += faults(json.dumps(document), version)
    return found


@cache
def faults(text: str, version: str) -> tuple[str, ...]:
    """Of one document; many cases have the same."""
    return tuple(_faults(json.loads(text), version))


def _faults(document: dict[str, Any], version: str) -> Iterator[str]:
    where = f"{document['kind']} in {version}"
    try:
        if "." in document["apiVersion"].partition("/")[0] and document["kind"] in _CUSTOM:
            _custom(document)
        else:
            import kubernetes_validate

            kubernetes_validate.validate(document, version, strict=True)
    except ValueError as error:
        yield f"{where}: {error}"
    except Exception as error:
        # The validator's own, which are of several kinds.
        yield f"{where}: {type(error).__name__}: {getattr(error, 'message', error)}"


_CUSTOM = ("PrometheusRule", "ScaledObject", "ServiceMonitor")


def _custom(document: dict[str, Any]) -> None:
    """Against the models made from the operators' own definitions, strictly."""
    if document["kind"] == "ScaledObject":
        from cloudcoil.models.keda.v1alpha1 import ScaledObject as Model
    elif document["kind"] == "PrometheusRule":
        from cloudcoil.models.prometheus_operator.v1 import PrometheusRule as Model
    else:
        from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor as Model
    Model.model_validate(document, extra="forbid")


def main() -> None:
    cases = json.load(sys.stdin)
    charts = sorted({case["chart"] for case in cases})
    linted = {chart: helm_python.lint(chart, strict=True)["messages"] for chart in charts}
    answers = [answer(case) | {"lint": linted[case["chart"]]} for case in cases]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
