"""Builds the images and has them score a video under the confinement that the docs promise.

    python -m tests.operate.containers.build cpu [pod] [again] [gpu]

By hand, as root, with podman, buildah, runc, catatonit and debootstrap: a build takes minutes.
``pod`` runs the chart's own pod; ``again`` builds a second time and compares every file; ``gpu``
tells which libraries the CUDA provider does not find; without a driver, the driver's alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from tests import media
from tests.operate.containers.podman import CONFINED, KEPT, base, build, inside, prepare, run
from tests.operate.kubernetes.charts import Case, render

IMAGE = "localhost/clrnet-deepfake"
_INSIDE = Path(__file__).with_name("inside.py")
# What ONNX Runtime's provider is linked to and neither Debian nor the wheels bring.
_MISSING = """
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
LD_LIBRARY_PATH=$(find "$site/nvidia" -name '*.so*' -printf '%h\\n' | sort -u | paste -sd :)
export LD_LIBRARY_PATH
ldd "$site/onnxruntime/capi/libonnxruntime_providers_cuda.so" | grep 'not found'
"""


def sizes(image: str) -> str:
    whole = json.loads(run("podman", "image", "inspect", image))[0]["Size"]
    environment = inside(image, "du", "--summarize", "--bytes", "/opt/venv").split()[0]
    return f"{whole / 1e6:.0f} MB, of which /opt/venv {int(environment) / 1e6:.0f} MB"


def scored(container: str) -> dict[str, Any]:
    """What a container says of a video, and of itself."""
    command = ("podman", "exec", "--interactive", container, "python", "-c", _INSIDE.read_text())
    found: dict[str, Any] = json.loads(run(*command, data=media.group_video(25)))
    found["changed"] = run("podman", "diff", container).split()
    return found


def in_a_container() -> dict[str, Any]:
    name = f"deepfake-{os.getpid()}"
    run("podman", "run", "--detach", f"--name={name}", *CONFINED, IMAGE)
    try:
        found = scored(name)
        run("podman", "healthcheck", "run", name)
        started = time.monotonic()
        run("podman", "stop", "--time=40", name)
        found["stopped_after"] = round(time.monotonic() - started, 1)
        found["status"] = json.loads(run("podman", "inspect", name))[0]["State"]["ExitCode"]
        return found
    finally:
        subprocess.run(["podman", "rm", "--force", name], stdout=subprocess.DEVNULL)


def in_a_pod() -> dict[str, Any]:
    """The chart's Deployment; Podman does not know its probes, and publishes no ports here."""
    image = {"repository": IMAGE, "tag": "latest", "pullPolicy": "Never"}
    (chart,) = render([Case({"image": image})])
    deployment = chart.one("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for key in ("ports", "startupProbe", "livenessProbe", "readinessProbe"):
        del container[key]
    file = KEPT / "deployment.yaml"
    file.write_text(yaml.safe_dump(deployment))
    run("podman", "kube", "play", "--network=none", file)
    try:
        return scored(f"{deployment['metadata']['name']}-pod-0-service")
    finally:
        subprocess.run(["podman", "kube", "down", file], stdout=subprocess.DEVNULL)


def listed(hardware: str, image: str) -> int:
    """How many packages an image's list of contents names."""
    options = (f"--build-arg=HARDWARE={hardware}", f"--output=type=local,dest={KEPT}")
    build("sbom", image, f"{IMAGE}:sbom-{hardware}", *options)
    return len(json.loads((KEPT / "bom.json").read_text())["components"])


def contents(image: str) -> dict[str, str]:
    """Every file of the environment with its hash."""
    command = "find /opt/venv -type f -print0 | sort -z | xargs -0 sha256sum"
    lines = inside(image, "sh", "-c", command).splitlines()
    return {file: digest for digest, file in (line.split("  ", 1) for line in lines)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="+", choices=["cpu", "pod", "again", "gpu"])
    what = parser.parse_args().what
    prepare()
    image = base()
    if "cpu" in what:
        print(f"cpu: built in {build('cpu', image, IMAGE):.0f} s, {sizes(IMAGE)}")
        print(json.dumps(in_a_container(), indent=2))
        print(f"cpu: {listed('cpu', image)} packages are listed")
    if "pod" in what:
        print(json.dumps(in_a_pod(), indent=2))
    if "again" in what:
        print(f"again: built in {build('cpu', image, f'{IMAGE}:again', '--no-cache'):.0f} s")
        first, second = contents(IMAGE), contents(f"{IMAGE}:again")
        differing = sorted(file for file in first | second if first.get(file) != second.get(file))
        print(f"again: {len(differing)} of {len(first)} files differ", *differing[:20], sep="\n")
    if "gpu" in what:
        seconds = build("gpu", image, f"{IMAGE}:gpu")
        print(f"gpu: built in {seconds:.0f} s, {sizes(f'{IMAGE}:gpu')}")
        print("gpu: missing", inside(f"{IMAGE}:gpu", "sh", "-c", _MISSING))
        print(f"gpu: {listed('gpu', image)} packages are listed")


if __name__ == "__main__":
    main()
