"""The chart with one thing wrong: what the search for weaknesses and the schemas have to notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutation:
    """In a template, every ``old`` becomes ``new``, and lines go that are ``old`` if that is empty;
    rendered with the values of ``case`` there is to be ``found``."""

    template: str
    old: str
    new: str
    found: str
    case: str = "as it is"

    def __str__(self) -> str:
        what = f"{self.old.strip()} -> {self.new.strip() or 'nothing'}"
        return f"{self.template}: {what} ({self.case})"

    def apply(self, chart: Path) -> None:
        path = chart / "templates" / self.template
        text = path.read_text()
        assert self.old in text, f"{self.template} has no {self.old}"
        if not self.new:
            lines = text.splitlines(keepends=True)
            text = "".join(line for line in lines if line.strip() != self.old)
        path.write_text(text.replace(self.old, self.new))


_POD, _ALL, _WAYS = "deployment.yaml", "_helpers.tpl", "_egress.tpl"
_VOLUMES, _POLICY = "_volumes.tpl", "networkpolicy.yaml"
_FETCHED, _EVERY = "with a model that is fetched", "all of it"

WEAKENED = [
    Mutation(_ALL, "readOnlyRootFilesystem: true", "", "its root can be written"),
    Mutation(_ALL, "readOnlyRootFilesystem: true", "", "model: its root can be", _FETCHED),
    Mutation(_ALL, "allowPrivilegeEscalation: false", "", "it may gain privileges"),
    Mutation(_ALL, "privileged: false", "privileged: true", "it may gain privileges"),
    Mutation(_ALL, "drop: [ALL]", "drop: [NET_RAW]", "it has capabilities"),
    Mutation(_ALL, "drop: [ALL]", "drop: [ALL]\n  add: [SYS_PTRACE]", "it has capabilities"),
    Mutation(_ALL, "runAsNonRoot: true", "", "service: it may run as root"),
    Mutation(_ALL, "runAsUser: 10001", "runAsUser: 0", "service: it may run as root"),
    Mutation(_ALL, "type: RuntimeDefault", "type: Unconfined", "it has no seccomp profile"),
    Mutation(_POD, "type: RuntimeDefault", "type: Unconfined", "the pod has no seccomp profile"),
    Mutation(_POD, "runAsNonRoot: true", "", "the pod may run as root"),
    Mutation(_POD, "automountServiceAccountToken: false", "", "holds a token"),
    Mutation(_POD, "enableServiceLinks: false", "", "services become settings"),
    Mutation(_POD, "shareProcessNamespace: true", "", "the service is process 1"),
    Mutation(_POD, "hostNetwork: false", "hostNetwork: true", "shares namespaces"),
    Mutation(
        _POD,
        "- {name: DEEPFAKE_SERVER__METRICS_PORT",
        '- {name: DEEPFAKE_WEBHOOK__SECRET, value: "abc"}\n            '
        "- {name: DEEPFAKE_SERVER__METRICS_PORT",
        "DEEPFAKE_WEBHOOK__SECRET is written out",
    ),
    Mutation(
        _VOLUMES,
        "mountPath: /models, readOnly: true",
        "mountPath: /models",
        "models can be",
        _EVERY,
    ),
    Mutation(
        _VOLUMES, "mountPath: /secrets, readOnly: true", "mountPath: /s", "receipt can be", _EVERY
    ),
    Mutation(_VOLUMES, "defaultMode: 0440", "defaultMode: 0444", "everybody may read", _EVERY),
    Mutation(_VOLUMES, "medium: Memory, ", "", "scratch is on a disk", _EVERY),
    Mutation(_VOLUMES, "medium: Memory, ", "", "models is on a disk", _FETCHED),
    Mutation(_VOLUMES, ", sizeLimit: {{ .Values.scratch.size }}", "", "scratch may grow", _EVERY),
    Mutation("service.yaml", "automountServiceAccountToken: false", "", "hands out its token"),
    Mutation(_POLICY, "[Ingress, Egress]", "[Ingress]", "one direction is open"),
    Mutation(_POLICY, "- podSelector: {}", "[]", "anybody may call"),
    Mutation(_WAYS, " 10.0.0.0/8", "", "it may call private addresses", _EVERY),
    Mutation(_WAYS, " 169.254.0.0/16", "", "it may call private addresses", _EVERY),
    Mutation("dashboards.yaml", "dashboards/*.json", "*.yml", "alerts.yml is no dashboard", _EVERY),
]

MISTAKEN = [
    Mutation(_POD, "revisionHistoryLimit:", "revisionHistory:", "Deployment"),
    Mutation(_POD, "timeoutSeconds: 3", "timeoutSeconds: three", "Deployment"),
    Mutation("service.yaml", "sessionAffinityConfig:", "affinityConfig:", "Service"),
    Mutation(_POLICY, "podSelector:\n", "podsSelector:\n", "NetworkPolicy"),
    Mutation("disruptionbudget.yaml", "maxUnavailable:", "maxUnavailabel:", "PodDisruptionBudget"),
    Mutation(
        "autoscaling.yaml",
        "minReplicas:",
        "least:",
        "HorizontalPodAuto",
        "scaled by processor time",
    ),
    Mutation(
        "autoscaling.yaml", "pollingInterval:", "interval:", "Scaled", "scaled by waiting videos"
    ),
    Mutation("servicemonitor.yaml", "interval:", "every:", "ServiceMonitor", _EVERY),
    Mutation("prometheusrule.yaml", "  groups:", "  group:", "PrometheusRule", _EVERY),
    Mutation("dashboards.yaml", "\ndata:", "\ndates:", "ConfigMap", _EVERY),
]
