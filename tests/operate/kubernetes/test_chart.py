"""The chart as Helm renders it: by the schemas, without weakness, with settings that exist."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from opentelemetry.sdk import environment_variables as opentelemetry

from service.api import health
from service.app import create_metrics_app
from service.auth import entry
from service.metrics import Metrics
from service.settings import AuthSettings, Settings
from service.sources import addresses
from tests.docs.pages import blocks
from tests.operate.kubernetes.charts import CHART, VALUES, Case, Rendered, Values, render
from tests.operate.kubernetes.mutations import MISTAKEN, WEAKENED, Mutation
from tests.operate.kubernetes.weaknesses import weaknesses
from tests.operate.tools import REPOSITORY, needs_tools, tool

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
    assert kinds >= {"ConfigMap", "PrometheusRule"}


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
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret",
    }
    variables = one.container["env"]
    given = {each["name"]: each.get("value") or secrets[each["name"]] for each in variables}
    assert len(given) == len(variables), "one is there twice"
    for name in [name for name in given if name.startswith("OTEL_")]:
        assert hasattr(opentelemetry, name), name
        del given[name]
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
    # By name, as a collector has one.
    traces = rendered["that sends its traces alone"].one("NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for rule in traces for port in rule["ports"]] == [53, 53, 4318]


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


async def test_prometheus_is_let_in_by_what_it_sends(rendered: dict[str, Rendered]) -> None:
    (endpoint,) = rendered["all of it"].one("ServiceMonitor")["spec"]["endpoints"]
    sent = endpoint["authorization"]
    assert sent["credentials"] == {"name": "scraper", "key": "key"}
    asks = {"name": "DEEPFAKE_AUTH__METRICS_KEY", "value": "true"}
    assert asks in rendered["all of it"].container["env"]
    auth = AuthSettings(keys=[entry("prometheus", "dfk_x")], metrics_key=True)
    transport = httpx.ASGITransport(create_metrics_app(Settings(auth=auth), Metrics()))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as session:
        statuses = [
            (await session.get(endpoint["path"], headers=headers)).status_code
            for headers in ({}, {"Authorization": f"{sent['type']} dfk_x"})
        ]
    assert statuses == [401, 200]
    usual = rendered["scaled by waiting videos"]
    assert "authorization" not in usual.one("ServiceMonitor")["spec"]["endpoints"][0]
    assert asks not in usual.container["env"]


def test_traces_go_where_they_are_told(rendered: dict[str, Rendered]) -> None:
    variables = {each["name"]: each for each in rendered["all of it"].container["env"]}
    assert variables["DEEPFAKE_TRACING"]["value"] == "true"
    endpoint = variables["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert endpoint["value"] == "http://collector.traces.svc:4318"
    headers = variables["OTEL_EXPORTER_OTLP_HEADERS"]["valueFrom"]["secretKeyRef"]
    assert headers == {"name": "collector", "key": "headers"}
    # Kubernetes puts in the value of a variable that comes before.
    names = list(variables)
    assert names.index("DEEPFAKE_JOBS__REPLICA") < names.index("OTEL_RESOURCE_ATTRIBUTES")
    usual = {each["name"] for each in rendered["as it is"].container["env"]}
    assert not any("OTEL" in name or "TRACING" in name for name in usual)


def test_rules_are_those_of_compose(rendered: dict[str, Rendered]) -> None:
    """Of the very files: there is no second copy that could differ."""
    folder = REPOSITORY / "deploy" / "prometheus"
    files = [folder / "recording.yml", folder / "alerts.yml"]
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert rendered["all of it"].one("PrometheusRule")["spec"]["groups"] == groups


def test_dashboards_are_those_of_compose(rendered: dict[str, Rendered]) -> None:
    maps = rendered["all of it"].all("ConfigMap")
    texts = {name: text for each in maps for name, text in each["data"].items()}
    files = (REPOSITORY / "deploy" / "grafana" / "dashboards").iterdir()
    assert texts == {file.name: file.read_text() for file in files}
    for each in maps:
        labels = each["metadata"]["labels"]
        assert (labels["grafana_dashboard"], labels["team"]) == ("1", "media")


def test_a_package_holds_what_the_folder_leads_to(
    rendered: dict[str, Rendered], tmp_path: Path
) -> None:
    make = "import helm_python, sys; print(helm_python.package(sys.argv[1]))"
    made = tool("python", "-c", make, CHART, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    # Where links lead nowhere.
    (chart,) = render([Case(VALUES["all of it"], chart=tmp_path / made.stdout.strip())])
    assert chart.documents == rendered["all of it"].documents


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
        ({"settings": {"AUTH__METRICS_KEY": "true"}}, "AUTH__METRICS_KEY"),
        ({"settings": {"TRACING": "true"}}, "TRACING"),
        ({"settings": {"MODEL__DEVICE": "cpu"}, "gpu": {"enabled": True}}, "MODEL__DEVICE"),
        ({"secrets": {"metrics": {"name": "scraper"}}}, "apiKeys"),
        ({"tracing": {"variables": {"OTEL_EXPORTER_OTLP_HEADERS": "a=b"}}}, "OTLP_HEADERS"),
        ({"tracing": {"variables": {"PATH": "/"}}}, "PATH"),
        ({"podLabels": {"app.kubernetes.io/name": "a"}}, "app.kubernetes.io/name"),
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
    assert "Spans find no way out" in rendered["that traces in vain"].notes
    assert "Spans" not in rendered["that sends its traces alone"].notes


def test_examples_of_the_guide_are_values() -> None:
    page = REPOSITORY / "docs" / "kubernetes.md"
    examples = [yaml.safe_load(each.text) for each in blocks(page) if each.language == "yaml"]
    assert len(examples) > 3
    for example, chart in zip(examples, render([Case(each) for each in examples]), strict=True):
        assert chart.error is None, example


def test_the_guide_names_what_can_be_written(rendered: dict[str, Rendered]) -> None:
    guide = (REPOSITORY / "docs" / "kubernetes.md").read_text()
    mounts = [chart.container.get("volumeMounts", []) for chart in rendered.values()]
    every = [mount for each in mounts for mount in each]
    written = {mount["mountPath"] for mount in every if not mount.get("readOnly")}
    # Mounted by every runtime: all that could be written when a pod was looked at (inside.py).
    for folder in {*written, "/dev/shm"}:
        assert f"`{folder}`" in guide, folder


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
