"""Podman with runc, as Docker and containerd have it, and a base image where none can be pulled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.operate.containers.dockerfile import DOCKERFILE
from tests.operate.tools import REPOSITORY

KEPT = Path("/var/tmp/deepfake-build")
STAND_IN = "localhost/python-stand-in"
# Limits are named again: one on the command line puts all of _SETTINGS aside.
CONFINED = (
    *("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"),
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--network=none"),
    *("--security-opt=no-new-privileges", "--memory=4g", "--pids-limit=256", "--ulimit=core=1"),
)

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

# Of Debian 12, what the Python of an official slim image is linked to.
_LIBRARIES = "ca-certificates libbz2-1.0 libffi8 liblzma5 libsqlite3-0 libssl3 libuuid1 zlib1g"

# Limits that need no further right to be set.
_SETTINGS = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
"""


def run(*command: str | Path, data: bytes = b"") -> str:
    """What a command prints; ends the program where it fails."""
    done = subprocess.run(command, cwd=REPOSITORY, input=data, stdout=subprocess.PIPE)
    printed = done.stdout.decode()
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{printed[-4000:]}")
    return printed


def prepare() -> None:
    """Call first."""
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "containers.conf").write_text(_SETTINGS)
    os.environ["CONTAINERS_CONF"] = str(KEPT / "containers.conf")
    # systemd need not run: health is asked for by hand.
    os.environ["DISABLE_HC_SYSTEMD"] = "true"
    # pip believes whom it believes here.
    settings = f"[global]\ndisable-pip-version-check = true\ncert = {_CERTIFICATES}\n"
    (KEPT / "pip.conf").write_text(settings)


def exists(image: str) -> bool:
    return subprocess.run(["podman", "image", "exists", image]).returncode == 0


def base() -> str:
    """The Dockerfile's own base image where it has been pulled, or one in its place."""
    (named,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.M)
    if exists(named):
        return str(named)
    if not exists(STAND_IN):
        _make_stand_in(KEPT / "root")
    print(f"{named} is not here: {STAND_IN} stands in")
    return STAND_IN


def _make_stand_in(root: Path) -> None:
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
    started = time.monotonic()
    run(
        *("podman", "build", "--quiet", "--format=docker", "--network=host"),
        f"--volume={KEPT / 'pip.conf'}:/etc/pip.conf:ro",
        f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro",
        *(f"--target={target}", f"--build-arg=BASE={base}", f"--tag={tag}", *options, "."),
    )
    return time.monotonic() - started


def inside(image: str, *command: str) -> str:
    """What a command prints in a confined container of its own."""
    return run("podman", "run", "--rm", *CONFINED, image, *command)
