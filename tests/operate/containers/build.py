"""Builds the images and has one score a video under the confinement that the docs promise.

    python -m tests.operate.containers.build cpu [gpu] [again]

By hand, as root, with Podman: a build takes minutes. Where the base image has not been pulled, one
in its place is made of Debian's packages and the Python that runs this; ``again`` builds a second
time and compares every file. ``gpu`` sees that all of CUDA's libraries are found; no GPU is used.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests import media
from tests.operate.containers.dockerfile import DOCKERFILE
from tests.operate.tools import REPOSITORY

KEPT = Path("/var/tmp/deepfake-build")
STAND_IN = "localhost/python-stand-in"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_INSIDE = Path(__file__).with_name("inside.py")

# Of Debian 12, what the Python of an official slim image is linked to.
_LIBRARIES = "ca-certificates libbz2-1.0 libffi8 liblzma5 libsqlite3-0 libssl3 libuuid1 zlib1g"

CONFINED = (
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--network=none"),
    *("--security-opt=no-new-privileges", "--memory=4g", "--pids-limit=256", "--ulimit=core=1"),
)


def run(*command: str | Path, text: str | None = None) -> str:
    """What a command prints; ends the program where it fails."""
    done = subprocess.run(command, cwd=REPOSITORY, input=text, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def base() -> str:
    """The Dockerfile's own base image where it has been pulled, or one in its place."""
    (named,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.M)
    if exists(named):
        return str(named)
    if not exists(STAND_IN):
        make_stand_in(KEPT / "root")
    print(f"{named} is not here: {STAND_IN} stands in")
    return STAND_IN


def exists(image: str) -> bool:
    return subprocess.run(["podman", "image", "exists", image]).returncode == 0


def make_stand_in(root: Path) -> None:
    """Debian's smallest system with this Python in /usr/local, as in the official image."""
    sites = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    mirror = next(line for line in sites.splitlines() if line.endswith("/debian/"))
    packages = ",".join(_LIBRARIES.split())
    run("debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", root, mirror)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    before, after = Path(sys.base_prefix), root / "usr" / "local"
    left_out = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-3*")
    shutil.copytree(before / "lib" / python, after / "lib" / python, ignore=left_out)
    (after / "lib" / python / "site-packages").mkdir()
    for library in (before / "lib").glob("libpython*.so*"):
        shutil.copy2(library, after / "lib", follow_symlinks=False)
    shutil.copy2(before / "bin" / python, after / "bin" / "python")
    (after / "bin" / "python3").symlink_to("python")
    run("chroot", root, "ldconfig")
    run("chroot", root, "python", "-m", "ensurepip")
    archive = root.with_suffix(".tar")
    run("tar", "-C", root, "-cf", archive, ".")
    run("podman", "import", "--quiet", archive, STAND_IN)


def build(target: str, base: str, tag: str, *options: str) -> float:
    """Seconds that it took."""
    # pip believes whom it believes here.
    settings = KEPT / "pip.conf"
    settings.write_text(f"[global]\ndisable-pip-version-check = true\ncert = {_CERTIFICATES}\n")
    mounts = [
        f"--volume={settings}:/etc/pip.conf:ro",
        f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro",
    ]
    started = time.monotonic()
    run(
        *("podman", "build", "--quiet", "--format=docker", "--network=host", *mounts),
        *(f"--target={target}", f"--build-arg=BASE={base}", f"--tag={tag}", *options, "."),
    )
    return time.monotonic() - started


def inside(image: str, *command: str, options: Sequence[str] = ()) -> str:
    return run("podman", "run", "--rm", *CONFINED, *options, image, *command)


def sizes(image: str) -> str:
    whole = json.loads(run("podman", "image", "inspect", image))[0]["Size"]
    environment = inside(image, "du", "--summarize", "--bytes", "/opt/venv").split()[0]
    return f"{whole / 1e6:.0f} MB, of which /opt/venv {int(environment) / 1e6:.0f} MB"


def score(image: str) -> dict[str, object]:
    """What a container without network, capabilities and writable folders says of a video."""
    name = f"deepfake-{os.getpid()}"
    run("podman", "run", "--detach", f"--name={name}", *CONFINED, image)
    try:
        video = media.group_video(25)
        command = ["podman", "exec", "--interactive", name, "python", "-c", _INSIDE.read_text()]
        done = subprocess.run(command, input=video, stdout=subprocess.PIPE, check=True)
        found: dict[str, object] = json.loads(done.stdout)
        # Docker's own way to ask: HEALTHCHECK.
        run("podman", "healthcheck", "run", name)
        changed = run("podman", "diff", name).split()
        started = time.monotonic()
        run("podman", "stop", "--time=40", name)
        found |= {"changed": changed, "stopped_in": round(time.monotonic() - started, 1)}
        found["status"] = json.loads(run("podman", "inspect", name))[0]["State"]["ExitCode"]
        return found
    finally:
        subprocess.run(["podman", "rm", "--force", name], stdout=subprocess.DEVNULL)


def contents(image: str) -> dict[str, str]:
    """Every file of the environment with its hash."""
    command = "find /opt/venv -type f -print0 | sort -z | xargs -0 sha256sum"
    lines = inside(image, "sh", "-c", command).splitlines()
    return {file: digest for digest, file in (line.split("  ", 1) for line in lines)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="+", choices=["cpu", "gpu", "again"])
    what = parser.parse_args().what
    KEPT.mkdir(parents=True, exist_ok=True)
    image = base()
    if "cpu" in what:
        print(f"cpu: built in {build('cpu', image, 'clrnet-deepfake'):.0f} s")
        print(f"cpu: {sizes('clrnet-deepfake')}")
        print(json.dumps(score("clrnet-deepfake"), indent=2))
        build("sbom", image, "clrnet-deepfake:sbom", f"--output=type=local,dest={KEPT}")
        listed = json.loads((KEPT / "bom.json").read_text())["components"]
        print(f"cpu: {len(listed)} packages are listed")
    if "again" in what:
        build("cpu", image, "clrnet-deepfake:again", "--no-cache")
        first, second = contents("clrnet-deepfake"), contents("clrnet-deepfake:again")
        differing = sorted(file for file in first | second if first.get(file) != second.get(file))
        print(f"again: {len(differing)} of {len(first)} files differ", *differing[:20], sep="\n")
    if "gpu" in what:
        print(f"gpu: built in {build('gpu', image, 'clrnet-deepfake:gpu'):.0f} s")
        print(f"gpu: {sizes('clrnet-deepfake:gpu')}")
        code = (
            "import ctypes, onnxruntime, pathlib; onnxruntime.preload_dlls(); "
            "found = pathlib.Path(onnxruntime.__file__).parent.glob('capi/*providers_cuda.so'); "
            "print(onnxruntime.__version__, onnxruntime.get_available_providers()); "
            "[ctypes.CDLL(str(each)) for each in found]"
        )
        done = subprocess.run(
            ["podman", "run", "--rm", *CONFINED, "clrnet-deepfake:gpu", "python", "-c", code],
            capture_output=True,
            text=True,
        )
        print(f"gpu: {done.stdout.strip()} {done.stderr.strip()[-300:] or 'all libraries found'}")


if __name__ == "__main__":
    main()
