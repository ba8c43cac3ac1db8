"""The chart, rendered by Helm under values that together reach every line of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.operate.tools import REPOSITORY, asked

CHART = REPOSITORY / "deploy" / "helm" / "deepfake-detection"
RENDERER = Path(__file__).with_name("renderer.py")

Values = dict[str, Any]
Document = dict[str, Any]

VALUES: dict[str, Values] = {
    "as it is": {},
    "all of it": {
        "image": {"digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "replicas": 3,
        "settings": {"LIMITS__CONCURRENCY": "4", "LOG_LEVEL": "debug", "MODEL__DEVICE": "cpu"},
        "secrets": {
            "apiKeys": {"name": "keys", "key": "keys"},
            "receipt": {"name": "receipt", "key": "tls.key"},
            "webhook": {"name": "webhook", "key": "secret"},
            "metrics": {"name": "scraper", "key": "key"},
            "tracing": {"name": "collector", "key": "headers"},
        },
        "model": {
            "path": "clrnet.onnx",
            "sha256": "1" * 64,
            "volume": {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
        },
        "fetch": {"enabled": True, "ports": [443]},
        "scratch": {"enabled": True},
        "trustedProxies": "10.0.0.0/8",
        "networkPolicy": {
            "clients": [{"podSelector": {"matchLabels": {"app": "gateway"}}}],
            "extraEgress": [{"ports": [{"port": 4318, "protocol": "TCP"}]}],
        },
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True, "labels": {"team": "media"}},
        "tracing": {
            "enabled": True,
            "variables": {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.traces.svc:4318",
                "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=$(DEEPFAKE_JOBS__REPLICA)",
            },
        },
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "media"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
    },
    "scaled by processor time": {"autoscaling": {"by": "cpu", "maxReplicas": 8}},
    "scaled by waiting videos": {
        "autoscaling": {"by": "waiting"},
        "serviceMonitor": {"enabled": True},
    },
    "on a GPU": {
        "gpu": {"enabled": True, "runtimeClassName": "nvidia"},
        "model": {"path": "a/b.onnx", "volume": {"image": {"reference": "models:1"}}},
    },
    "with a model that is fetched": {
        "model": {
            "path": "clrnet.onnx",
            "init": {"image": "models:1", "command": ["cp", "/clrnet.onnx", "/models/"]},
        },
    },
    "that calls its callers alone": {"secrets": {"webhook": {"name": "w", "key": "k"}}},
    "that sends its traces alone": {
        "tracing": {"enabled": True},
        "networkPolicy": {"extraEgress": [{"ports": [{"port": 4318, "protocol": "TCP"}]}]},
    },
    "that traces in vain": {"tracing": {"enabled": True}},
    "without the rest": {
        "disruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
    },
}


@dataclass(frozen=True)
class Rendered:
    error: str | None
    notes: str
    documents: list[Document]
    faults: list[str]
    lint: list[dict[str, Any]]

    def one(self, kind: str) -> Document:
        (found,) = self.all(kind)
        return found

    def all(self, kind: str) -> list[Document]:
        return [each for each in self.documents if each["kind"] == kind]

    @property
    def pod(self) -> Document:
        pod: Document = self.one("Deployment")["spec"]["template"]["spec"]
        return pod

    @property
    def container(self) -> Document:
        (container,) = self.pod["containers"]
        found: Document = container
        return found


@dataclass(frozen=True)
class Case:
    values: Values
    versions: tuple[str, ...] = ()
    """Of Kubernetes: by whose schemas the manifests are validated."""
    chart: Path = CHART
    release: str = "deepfake"


def render(cases: Sequence[Case]) -> list[Rendered]:
    """All by one process."""
    questions = [asdict(case) | {"chart": str(case.chart)} for case in cases]
    return [Rendered(**each) for each in asked(RENDERER, questions)]
