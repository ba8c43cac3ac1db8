"""What a pod of the service must not be allowed, looked for in rendered manifests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.operate.kubernetes.charts import Document, Rendered

# A Secret would hold values in plain sight of whoever may read the release.
KINDS = {
    "ConfigMap",
    "Deployment",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PrometheusRule",
    "ScaledObject",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
}
SECRET = re.compile(r"HEADERS$|KEYS?$|SECRET$|PASSWORD|TOKEN")
PLAIN = {"DEEPFAKE_AUTH__METRICS_KEY", "DEEPFAKE_RECEIPT__KEY"}
"""Settings that are named like secrets and hold yes or no, or a path."""


def weaknesses(rendered: Rendered) -> list[str]:
    """One line for each; none in a chart that is as it should be."""
    found = [f"there is a {kind}" for kind in {each["kind"] for each in rendered.documents} - KINDS]
    found += _of_pod(rendered.pod)
    for container in [*rendered.pod.get("initContainers", []), *rendered.pod["containers"]]:
        found += [f"{container['name']}: {each}" for each in _of_container(container)]
    for container in rendered.pod["containers"]:
        found += _of_service(container)
    if rendered.one("ServiceAccount").get("automountServiceAccountToken") is not False:
        found.append("the account hands out its token")
    for policy in rendered.all("NetworkPolicy"):
        found += _of_policy(policy["spec"])
    for each in rendered.all("ConfigMap"):
        found += _of_data(each["data"])
    return found


def _of_pod(pod: Document) -> Iterator[str]:
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "the pod may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "the pod has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod holds a token of the cluster"
    if pod.get("enableServiceLinks") is not False:
        yield "services become settings"
    if pod.get("shareProcessNamespace") is not True:
        yield "the service is process 1"
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "the pod shares namespaces with its node"
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield "the pod sees its node's files"
        if "emptyDir" in volume and volume["emptyDir"].get("medium") != "Memory":
            yield f"{volume['name']} is on a disk"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"{volume['name']} may grow"
        if "secret" in volume and volume["secret"].get("defaultMode", 0o644) & 0o007:
            yield f"everybody may read {volume['name']}"


def _of_container(container: Document) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("readOnlyRootFilesystem") is not True:
        yield "its root can be written"
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "it may gain privileges"
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "it may run as root"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "it has capabilities"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "it has no seccomp profile"
    if "memory" not in container.get("resources", {}).get("limits", {}):
        yield "its memory has no limit"
    for each in container.get("env", []):
        name = each["name"]
        if (
            SECRET.search(name)
            and name not in PLAIN
            and "secretKeyRef" not in each.get("valueFrom", {})
        ):
            yield f"{name} is written out"


def _of_service(container: Document) -> Iterator[str]:
    for mount in container.get("volumeMounts", []):
        if mount["name"] != "scratch" and mount.get("readOnly") is not True:
            yield f"{mount['name']} can be written"
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    if requests.get("memory") != limits.get("memory"):
        yield "memory is promised that may not be there"


def _of_policy(policy: Document) -> Iterator[str]:
    if set(policy.get("policyTypes", [])) != {"Ingress", "Egress"}:
        yield "one direction is open"
    for rule in policy.get("ingress") or []:
        if not rule.get("from") or not rule.get("ports"):
            yield "anybody may call, or call any port"
    for rule in policy.get("egress") or []:
        if not rule.get("ports"):
            yield "it may call any port"
        for peer in rule.get("to") or []:
            block = peer.get("ipBlock", {"cidr": "2000::/3"})
            private = {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}
            if block["cidr"] != "2000::/3" and not private <= set(block.get("except", [])):
                yield "it may call private addresses"
        if not rule.get("to") and {each["port"] for each in rule["ports"]} & {53, 80, 443}:
            yield "it may call anybody"


def _of_data(data: dict[str, str]) -> Iterator[str]:
    for name, text in data.items():
        if not name.endswith(".json") or "panels" not in json.loads(text):
            yield f"{name} is no dashboard"
