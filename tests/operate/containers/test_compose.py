"""What docker compose makes of docker-compose.yml: two sets of containers, all of them confined."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings
from tests.operate.tools import REPOSITORY, needs_tools, tool

pytestmark = needs_tools

FILE = REPOSITORY / "docker-compose.yml"
Config = dict[str, Any]


def config(text: str, *options: str, folder: Path = REPOSITORY) -> Config:
    """The file as compose understands it in a folder."""
    command = ["docker-compose", "--file", "-", "--project-directory", folder, *options]
    answer = tool(*command, "config", "--format", "json", text=text)
    assert answer.returncode == 0, answer.stderr
    found: Config = json.loads(answer.stdout)
    return found


@pytest.fixture(scope="module")
def usual() -> Config:
    return config(FILE.read_text())


@pytest.fixture(scope="module")
def gpu() -> Config:
    return config(FILE.read_text(), "--profile", "gpu")


def weaknesses(found: Config) -> Iterator[str]:
    """One line for each container that is not confined in some way."""
    for name, container in found["services"].items():
        if container.get("read_only") is not True:
            yield f"{name} can write to its root"
        if container.get("cap_drop") != ["ALL"] or container.get("cap_add"):
            yield f"{name} has capabilities"
        if container.get("security_opt") != ["no-new-privileges:true"]:
            yield f"{name} may gain privileges"
        if container.get("privileged") or container.get("network_mode"):
            yield f"{name} is not apart from the machine"
        if not container.get("mem_limit") or not container.get("pids_limit"):
            yield f"{name} may use the machine up"
        for port in container.get("ports", []):
            if port.get("host_ip") != "127.0.0.1":
                yield f"{name} is reached from outside"
        for volume in container.get("volumes", []):
            if volume["type"] == "bind" and not volume.get("read_only"):
                yield f"{name} can write to {volume['source']}"
        image = container["image"]
        if "build" not in container and (":" not in image or image.endswith(":latest")):
            yield f"{name} is of any version"


def test_the_processor_is_the_default(usual: Config) -> None:
    assert set(usual["services"]) == {"service-cpu", "prometheus", "grafana"}
    assert usual["services"]["service-cpu"]["build"]["target"] == "cpu"


def test_a_gpu_is_a_profile(gpu: Config) -> None:
    assert set(gpu["services"]) == {"service-gpu", "prometheus", "grafana", "dcgm-exporter"}
    service = gpu["services"]["service-gpu"]
    assert service["build"]["target"] == "gpu"
    assert service["environment"] == {"DEEPFAKE_MODEL__DEVICE": "cuda"}
    for name in ("service-gpu", "dcgm-exporter"):
        (device,) = gpu["services"][name]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"capabilities": ["gpu"], "driver": "nvidia", "count": 1}


def test_they_are_confined(usual: Config, gpu: Config) -> None:
    assert [*weaknesses(usual), *weaknesses(gpu)] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file["services"]["service-cpu"].pop("read_only"), "can write to its root"),
        (lambda file: file["services"]["service-cpu"].pop("cap_drop"), "has capabilities"),
        (lambda file: file["services"]["grafana"].pop("security_opt"), "may gain privileges"),
        (lambda file: file["services"]["grafana"].update(privileged=True), "not apart"),
        (lambda file: file["services"]["grafana"].pop("mem_limit"), "may use the machine up"),
        (lambda file: file["services"]["grafana"].update(ports=["3000:3000"]), "from outside"),
        (lambda file: file["services"]["grafana"].update(volumes=["./docs:/d"]), "can write to"),
        (lambda file: file["services"]["grafana"].update(image="grafana/grafana"), "any version"),
    ],
)
def test_what_is_not_is_noticed(change: Callable[[Config], object], said: str) -> None:
    file = copy.deepcopy(yaml.safe_load(FILE.read_text()))
    change(file)
    assert said in "\n".join(weaknesses(config(yaml.safe_dump(file))))


def test_the_service_is_given_what_it_needs(usual: Config, gpu: Config) -> None:
    for service in (usual["services"]["service-cpu"], gpu["services"]["service-gpu"]):
        # Swap would hold media.
        assert service["mem_limit"] == service["memswap_limit"]
        assert service["ulimits"] == {"core": 1}
        assert service["init"] is True
        assert service["stop_grace_period"] == f"{Settings().server.drain_seconds + 10:.0f}s"
        assert service["restart"] == "unless-stopped"


def test_prometheus_finds_both(usual: Config, gpu: Config) -> None:
    text = (REPOSITORY / "deploy" / "prometheus" / "prometheus.yml").read_text()
    jobs = {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}
    (target,) = jobs["deepfake"]["static_configs"][0]["targets"]
    for service in (usual["services"]["service-cpu"], gpu["services"]["service-gpu"]):
        assert target.split(":")[0] in service["networks"]["default"]["aliases"]
        assert target.split(":")[1] == str(service["ports"][0]["target"])
    (exporter,) = jobs["dcgm"]["dns_sd_configs"]
    assert exporter["names"] == ["dcgm-exporter"]
    assert exporter["port"] == gpu["services"]["dcgm-exporter"]["ports"][0]["target"]


def test_what_is_mounted_is_there(gpu: Config) -> None:
    mounts = [each for name in gpu["services"] for each in gpu["services"][name].get("volumes", [])]
    sources = [Path(each["source"]) for each in mounts if each["type"] == "bind"]
    assert {str(each.relative_to(REPOSITORY)) for each in sources} == {
        "deploy/prometheus",
        "deploy/prometheus/dcgm.csv",
        "deploy/grafana/provisioning",
        "deploy/grafana/dashboards",
    }
    assert all(each.exists() for each in sources)


def test_settings_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    entry = '["alice:' + "0" * 64 + '"]'
    (tmp_path / "deploy" / "service.env").write_text(f"DEEPFAKE_AUTH__KEYS={entry}\n")
    found = config(FILE.read_text(), "--profile", "cpu", folder=tmp_path)
    assert found["services"]["service-cpu"]["environment"] == {"DEEPFAKE_AUTH__KEYS": entry}
    (tmp_path / "deploy" / "service.env").unlink()
    found = config(FILE.read_text(), "--profile", "cpu", folder=tmp_path)
    assert not found["services"]["service-cpu"].get("environment")
