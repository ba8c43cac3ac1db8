"""The chart as Helm renders it: by the schemas, without weakness, with settings that exist."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import yaml

from service.settings import Settings
from service.sources import addresses
from tests.operate.kubernetes.charts import CHART, VALUES, Case, Rendered, Values, render
from tests.operate.kubernetes.mutations import MISTAKEN, WEAKENED, Mutation
from tests.operate.kubernetes.weaknesses import weaknesses
from tests.operate.tools import REPOSITORY, needs_tools

pytestmark = needs_tools

VERSIONS = ("1.32", "1.37")
GRACE = 10
"""Seconds beyond DRAIN_SECONDS after which the process has ended, and some to spare."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str | Mutation, Rendered]:
    """The chart with each of the values, and with one thing wrong at a time: together, since the
    schemas take seconds to load."""
    cases: dict[str | Mutation, Case] = {
        name: Case(values, VERSIONS) for name, values in VALUES.items()
    }
    for number, mutation in enumerate([*WEAKENED, *MISTAKEN]):
        chart = tmp_path_factory.mktemp(str(number)) / CHART.name
        shutil.copytree(CHART, chart)
        mutation.apply(chart)
        versions = VERSIONS[-1:] if mutation in MISTAKEN else ()
        cases[mutation] = Case(VALUES[mutation.case], versions, chart)
    return dict(zip(cases, render(list(cases.values())), strict=True))


@pytest.fixture(scope="module")
def rendered(answers: dict[str | Mutation, Rendered]) -> dict[str, Rendered]:
    return {name: found for name, found in answers.items() if isinstance(name, str)}


@pytest.fixture(params=VALUES)
def one(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    return rendered[request.param]


def test_it_renders_by_the_schemas(one: Rendered) -> None:
    assert one.error is None
    assert one.faults == []
    assert [each for each in one.lint if each["severity"] > 1] == []


def test_it_has_no_weakness(one: Rendered) -> None:
    assert weaknesses(one) == []


def test_everything_is_rendered_somewhere(rendered: dict[str, Rendered]) -> None:
    kinds = {each["kind"] for case in rendered.values() for each in case.documents}
    assert kinds >= {"HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget"}
    assert kinds >= {"ScaledObject", "Service", "ServiceAccount", "ServiceMonitor"}


@pytest.mark.parametrize("mutation", WEAKENED, ids=str)
def test_a_weakness_is_noticed(mutation: Mutation, answers: dict[str | Mutation, Rendered]) -> None:
    chart = answers[mutation]
    assert chart.error is None
    assert mutation.found in "\n".join(weaknesses(chart))


@pytest.mark.parametrize("mutation", MISTAKEN, ids=str)
def test_a_mistake_is_noticed(mutation: Mutation, answers: dict[str | Mutation, Rendered]) -> None:
    chart = answers[mutation]
    assert chart.error is None
    assert [each for each in chart.faults if each.startswith(mutation.found)]


def test_the_service_understands_its_settings(
    one: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are those of settings, values are valid, and the pod is given time to end."""
    secrets = {
        "DEEPFAKE_JOBS__REPLICA": "deepfake-5c9d8-x2x4z",
        "DEEPFAKE_AUTH__KEYS": json.dumps(["alice:" + "0" * 64]),
        "DEEPFAKE_WEBHOOK__SECRET": "s" * 32,
    }
    given = {
        each["name"]: each.get("value") or secrets[each["name"]] for each in one.container["env"]
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    for name in given:
        assert exists(settings, name.removeprefix("DEEPFAKE_").lower().split("__")), name
    pre_stop = one.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    least = settings.server.drain_seconds + GRACE + pre_stop
    assert one.pod["terminationGracePeriodSeconds"] == least
    ports = {each["name"]: each["containerPort"] for each in one.container["ports"]}
    assert ports == {"http": 8000, "metrics": settings.server.metrics_port}


def exists(settings: Any, path: list[str]) -> bool:
    for part in path:
        if part not in type(settings).model_fields:
            return False
        settings = getattr(settings, part)
    return True


def test_probes_ask_for_what_is_served(one: Rendered) -> None:
    from service.api import health

    served = {route.path for route in health.router(lambda: None).routes}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert one.container[probe]["httpGet"]["path"] in served
        assert one.container[probe]["httpGet"]["port"] == "http"
    assert one.container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert one.container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


def test_selectors_find_the_pods(one: Rendered) -> None:
    labels = one.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        one.one("Deployment")["spec"]["selector"]["matchLabels"],
        one.one("Service")["spec"]["selector"],
        *(each["spec"]["selector"]["matchLabels"] for each in one.all("PodDisruptionBudget")),
        *(each["spec"]["podSelector"]["matchLabels"] for each in one.all("NetworkPolicy")),
        *(each["labelSelector"]["matchLabels"] for each in one.pod["topologySpreadConstraints"]),
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    monitored = one.one("Service")["metadata"]["labels"].items()
    for each in one.all("ServiceMonitor"):
        assert each["spec"]["selector"]["matchLabels"].items() <= monitored


def test_it_calls_nobody_unless_it_must(rendered: dict[str, Rendered]) -> None:
    assert rendered["as it is"].one("NetworkPolicy")["spec"]["egress"] == []
    calls = rendered["that calls its callers alone"].one("NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for rule in calls for port in rule["ports"]] == [53, 53, 80, 443]
    every = rendered["all of it"].one("NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for rule in every for port in rule["ports"]] == [53, 53, 443, 4318]


def test_the_policy_knows_the_addresses_that_the_service_refuses(
    rendered: dict[str, Rendered],
) -> None:
    rules = rendered["all of it"].one("NetworkPolicy")["spec"]["egress"]
    four, six = (
        each["ipBlock"] for rule in rules for each in rule.get("to", []) if "ipBlock" in each
    )
    assert four["cidr"] == "0.0.0.0/0"
    assert four["except"] == [str(each) for each in addresses._DENIED_4]
    assert six["cidr"] == str(addresses._ALLOWED_6)
    assert six["except"] == [str(each) for each in addresses._DENIED_6]


def test_only_those_named_may_call(rendered: dict[str, Rendered]) -> None:
    usual, named = (
        rendered[case].one("NetworkPolicy")["spec"] for case in ("as it is", "all of it")
    )
    http, metrics = usual["ingress"]
    assert http == {"ports": [{"port": "http", "protocol": "TCP"}], "from": [{"podSelector": {}}]}
    assert metrics["ports"] == [{"port": "metrics", "protocol": "TCP"}]
    namespace = {"kubernetes.io/metadata.name": "monitoring"}
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": namespace}}]
    assert named["ingress"][0]["from"] == [{"podSelector": {"matchLabels": {"app": "gateway"}}}]


def test_a_scaled_deployment_does_not_say_how_many(rendered: dict[str, Rendered]) -> None:
    assert rendered["all of it"].one("Deployment")["spec"]["replicas"] == 3
    for case in ("scaled by processor time", "scaled by waiting videos"):
        assert "replicas" not in rendered[case].one("Deployment")["spec"]
    (trigger,) = rendered["scaled by waiting videos"].one("ScaledObject")["spec"]["triggers"]
    assert trigger["metadata"]["query"] == (
        'sum(deepfake_requests_waiting{job="deepfake", namespace="media", '
        'service="deepfake-deepfake-detection"})'
    )
    assert "deepfake_requests_waiting" in (REPOSITORY / "docs" / "metrics.md").read_text()
    (endpoint,) = rendered["scaled by waiting videos"].one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "deepfake"}]


def test_a_gpu_is_asked_for_and_insisted_on(rendered: dict[str, Rendered]) -> None:
    gpu = rendered["on a GPU"]
    assert gpu.container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"name": "DEEPFAKE_MODEL__DEVICE", "value": "cuda"} in gpu.container["env"]
    assert gpu.container["image"].endswith("-gpu")
    assert gpu.pod["runtimeClassName"] == "nvidia"
    assert not any(
        "gpu" in str(rendered["as it is"].container[key]) for key in ("image", "resources")
    )


@pytest.mark.parametrize("release", ["a" * 53, "a.b", "deepfake-detection", "x"])
def test_a_replica_has_a_name_whatever_the_release_has(release: str) -> None:
    (chart,) = render([Case({}, release=release)])
    pod = chart.one("Deployment")["metadata"]["name"] + "-5c9d8b7f4d-x2x4z"
    assert Settings(jobs={"replica": pod}).jobs.replica == pod


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": 0}, "replicas"),
        ({"settings": {"AUTH__KEYS": "[]"}}, "AUTH__KEYS"),
        ({"settings": {"WEBHOOK__SECRET": "0" * 32}}, "WEBHOOK__SECRET"),
        ({"settings": {"LIMITS__BYTES": 1e9}}, "LIMITS__BYTES"),
        ({"model": {"path": "a.onnx"}}, "model"),
        ({"model": {"path": "../a.onnx", "volume": {"nfs": {}}}}, "path"),
        ({"model": {"volume": {"nfs": {}}}}, "volume"),
        ({"model": {"path": "a", "volume": {"nfs": {}}, "init": {"image": "b"}}}, "init"),
        ({"secrets": {"apiKeys": {"value": "alice:0"}}}, "apiKeys"),
        ({"image": {"digest": "sha256:1"}}, "digest"),
        ({"autoscaling": {"by": "requests"}}, "by"),
        ({"autoscaling": {"by": "cpu", "minReplicas": 9}}, "minReplicas"),
        ({"autoscaling": {"by": "cpu"}, "resources": {"requests": {"cpu": None}}}, "requests"),
        ({"drainSeconds": 0.5}, "drainSeconds"),
    ],
    ids=str,
)
def test_wrong_values_are_refused_by_name(
    values: Values, said: str, refused: dict[str, Rendered]
) -> None:
    error = refused[str(values)].error
    assert error is not None
    assert said in error


@pytest.fixture(scope="module")
def refused(request: pytest.FixtureRequest) -> dict[str, Rendered]:
    marks = test_wrong_values_are_refused_by_name.pytestmark  # type: ignore[attr-defined]
    wrong: list[Values] = [values for values, _ in marks[0].args[1]]
    return dict(zip(map(str, wrong), render([Case(each) for each in wrong]), strict=True))


def test_the_notes_warn(rendered: dict[str, Rendered]) -> None:
    assert "Everybody who reaches it may ask" in rendered["as it is"].notes
    assert "refused" in rendered["as it is"].notes
    assert "port-forward service/deepfake-deepfake-detection 8000:80" in rendered["as it is"].notes
    assert "Everybody" not in rendered["all of it"].notes
    assert "Jobs are held" in rendered["all of it"].notes
    assert "called freely" in rendered["without the rest"].notes


def test_the_guide_tells_every_value() -> None:
    guide = (REPOSITORY / "docs" / "kubernetes.md").read_text()
    for name in paths(yaml.safe_load((CHART / "values.yaml").read_text())):
        group = name.rpartition(".")[0]
        assert f"`{name}`" in guide or f"`{group}.*`" in guide, name


def paths(values: Values, before: str = "") -> list[str]:
    found: list[str] = []
    for name, value in values.items():
        inside = isinstance(value, dict) and value
        found += paths(value, f"{before}{name}.") if inside else [before + name]
    return found


def test_it_is_of_the_version_of_the_service() -> None:
    from service import __version__

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
