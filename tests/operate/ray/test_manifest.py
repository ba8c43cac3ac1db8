"""What KubeRay is given, and the probes in it."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from deploy.ray import cluster, probe
from tests.security.server_process import REPOSITORY, free_port

FOLDER = REPOSITORY / "deploy" / "ray"


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / "rayservice.yaml").read_text()))


@pytest.fixture(scope="module")
def manifest(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return documents[0]


def groups(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    spec = manifest["spec"]["rayClusterConfig"]
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def container(group: dict[str, Any]) -> dict[str, Any]:
    """The one that a group of pods has, apart from those of KubeRay."""
    (found,) = group["template"]["spec"]["containers"]
    return dict(found)


def autoscaler(manifest: dict[str, Any]) -> dict[str, Any]:
    """What is said of the container that KubeRay puts beside the head."""
    return dict(manifest["spec"]["rayClusterConfig"]["autoscalerOptions"])


def test_the_manifest_serves_the_same_as_the_serve_config(manifest: dict[str, Any]) -> None:
    config = yaml.safe_load((FOLDER / "serve.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayService")
    assert yaml.safe_load(manifest["spec"]["serveConfigV2"]) == config


def test_the_manifest_keeps_media_in_memory(manifest: dict[str, Any]) -> None:
    head, *workers = groups(manifest)
    option = f"--system-config={head['rayStartParams']['system-config']}"
    # KubeRay writes it into a line of the shell.
    (word,) = shlex.split(option)
    assert json.loads(word.removeprefix("--system-config=")) == dict(cluster.SYSTEM_CONFIG)
    for group in (head, *workers):
        volumes = {each["name"]: each for each in group["template"]["spec"]["volumes"]}
        held = [container(group), *([autoscaler(manifest)] if group is head else [])]
        for each in held:
            written = {
                mount["mountPath"]: volumes[mount["name"]].get("emptyDir", {}).get("medium")
                for mount in each["volumeMounts"]
                if not mount.get("readOnly")
            }
            assert written.keys() >= {"/tmp", "/tmp/ray"}
            assert set(written.values()) == {"Memory"}
        assert "/dev/shm" in {mount["mountPath"] for mount in held[0]["volumeMounts"]}
        given = {each["name"]: each["value"] for each in held[0]["env"] if "value" in each}
        assert given.items() >= cluster.ENVIRONMENT.items()


def test_the_manifest_gives_no_rights(manifest: dict[str, Any]) -> None:
    head, *workers = groups(manifest)
    assert not any(each["template"]["spec"]["automountServiceAccountToken"] for each in workers)
    for group in (head, *workers):
        assert group["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
        for each in (container(group), autoscaler(manifest)):
            context = each["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_operator_finds_what_it_deploys_by(manifest: dict[str, Any]) -> None:
    head, *workers = groups(manifest)
    assert head["rayStartParams"]["dashboard-host"] == "0.0.0.0"
    served = yaml.safe_load(manifest["spec"]["serveConfigV2"])["http_options"]["port"]
    # By these names. What is not among them is in no Service of the head.
    everywhere = {"serve": served, "metrics": 8080}
    assert ports(head) == everywhere | {"gcs-server": 6379, "dashboard": 8265}
    assert all(ports(worker) == everywhere for worker in workers)


def ports(group: dict[str, Any]) -> dict[str, int]:
    return {each["name"]: each["containerPort"] for each in container(group)["ports"]}


def test_probes_need_nothing_that_the_image_does_not_have(manifest: dict[str, Any]) -> None:
    head, *workers = groups(manifest)
    asked = [(head, "head", "head"), *((worker, "worker", "serving") for worker in workers)]
    for group, alive, ready in asked:
        for kind, name in (("livenessProbe", alive), ("readinessProbe", ready)):
            given = container(group)[kind]
            assert given["exec"]["command"] == ["python", "-m", "deploy.ray.probe", name]
            # One place after the other is asked before Kubernetes loses patience.
            assert given["timeoutSeconds"] > probe.SECONDS * len(probe.PLACES[name])


def test_nobody_but_the_operator_reaches_the_dashboard(documents: list[dict[str, Any]]) -> None:
    manifest, policy = documents
    assert manifest["spec"]["rayClusterConfig"]["authOptions"] == {"mode": "token"}
    nodes = policy["spec"]["podSelector"]
    for group in groups(manifest):
        assert group["template"]["metadata"]["labels"].items() >= nodes["matchLabels"].items()
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    opened = {
        port["port"]: rule["from"]
        for rule in policy["spec"]["ingress"]
        for port in rule.get("ports", [{"port": "all"}])
    }
    assert opened.keys() == {"all", 8000, 8080, 8265}
    assert opened["all"] == [{"podSelector": nodes}]
    (operator,) = opened[8265]
    labels = operator["podSelector"]["matchLabels"]
    assert labels == {"app.kubernetes.io/component": "kuberay-operator"}


class Healthz(BaseHTTPRequestHandler):
    """Answers with the status and the text that its path names."""

    def do_GET(self) -> None:
        _, status, text = self.path.split("/")
        self.send_response(int(status))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthz) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("paths", "status"),
    [
        (["/200/success"], 0),
        (["/200/success", "/200/success"], 0),
        (["/200/success", "/503/success"], 1),
        (["/200/failed"], 1),
    ],
)
def test_a_probe_says_whether_all_is_well(
    port: int, paths: list[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(probe.PLACES, "asked", [(port, path) for path in paths])
    monkeypatch.setattr(sys, "argv", ["probe", "asked"])
    assert probe.main() == status


def test_where_nobody_listens_nothing_is_well() -> None:
    assert not probe.well((free_port(), "/200/success"))
