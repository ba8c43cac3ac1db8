"""Each layer of confinement refuses what it is there for, by itself and inside a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service.sandbox import confine, seccomp
from tests.unit.sandbox.captive import FILE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="apart from Linux there is little")

ROOT = Path(__file__).resolve().parents[3]
EVERYTHING = {
    "open", "create", "write", "socket", "connect", "fork", "thread", "peek", "signal", "limit",
    "allocate", "priority", "dump", "exec",
}  # fmt: skip

# Under the filter a process cannot even ask whether it would be dumped.
REFUSED_BY = {
    "seccomp": {"open", "create", "socket", "connect", "fork", "thread", "peek", "signal", "limit",
                "priority", "dump", "exec"},
    "landlock": {"open", "create", "connect", "peek", "signal", "exec"},
    "descriptors": {"open", "create", "socket", "exec"},
    "processes": {"fork", "thread"},
    "no_files_and_dumps": {"write"},
    "memory": {"allocate"},
    # Root's parent has powers that who has none may not look at.
    "no_capabilities": {"priority"} if os.getuid() else {"priority", "peek"},
    "unreadable": {"dump"},
}  # fmt: skip


def refused(folder: Path, *layers: str) -> set[str]:
    """What a process under these layers could not do."""
    (folder / FILE).write_bytes(b"planted")
    folder.chmod(0o777)
    (folder / FILE).chmod(0o666)
    with socket.create_server(("127.0.0.1", 0)) as canary:
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.unit.sandbox.captive",
                str(folder),
                str(canary.getsockname()[1]),
                *layers,
            ],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    outcomes = dict(line.split() for line in ran.stdout.splitlines())
    outcomes.setdefault("exec", "lost")  # Started, but it could not load its libraries.
    assert outcomes.keys() == EVERYTHING, ran.stderr
    return {name for name, outcome in outcomes.items() if outcome != "done"}


@pytest.fixture(scope="module")
def refused_anyway(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What a process may not do that takes on no layer; of root there is nothing."""
    return refused(tmp_path_factory.mktemp("free"))


def test_a_process_without_layers_could_do_it_all(refused_anyway: set[str]) -> None:
    assert refused_anyway <= ({"priority"} if os.getuid() else set())


@pytest.mark.parametrize("layer", REFUSED_BY)
def test_a_layer_refuses_what_it_is_there_for_and_nothing_else(
    layer: str, tmp_path: Path, refused_anyway: set[str]
) -> None:
    expected = set(REFUSED_BY[layer])
    if layer == "landlock":
        # Asked in a process of its own: what is asked is done as well.
        code = "from service.sandbox import confine; confine.no_new_privileges()\n"
        code += "import os; os.write(1, str(confine.landlock()).encode())"
        asked = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True
        )
        version = int(asked.stdout)
        if not version:
            pytest.skip("this kernel has no Landlock")
        expected -= {"connect"} if version < 4 else set()
        expected -= {"signal"} if version < 6 else set()
    if layer == "processes":
        # Other users' processes and files of root are out of reach for this user.
        assert {"fork", "thread"} <= refused(tmp_path, "user", layer)
        assert not {"fork", "thread"} & refused(tmp_path, "user")
        return
    assert refused(tmp_path, layer) == expected | refused_anyway


def test_all_layers_together_refuse_everything(tmp_path: Path) -> None:
    assert refused(tmp_path, "all") == EVERYTHING


def test_a_machine_without_a_filter_goes_on_with_the_other_layers() -> None:
    assert seccomp.program("vax") is None
    assert seccomp.program("x86_64") != seccomp.program("aarch64")


def test_a_limit_is_never_raised() -> None:
    code = (
        "import resource; from service.sandbox import confine\n"
        "confine.bound(resource.RLIMIT_NOFILE, 50)\n"
        "assert confine.bound(resource.RLIMIT_NOFILE, 60, 70)\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (50, 50)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert not confine.bound(999, 1)


def test_a_user_without_powers_can_be_expendable_too() -> None:
    code = (
        "import os; from service.sandbox import confine\n"
        "os.getuid() or os.setresuid(65534, 65534, 65534)\n"
        "confine.unreadable()\n"
        "assert confine.expendable()\n"
        "print(open('/proc/self/oom_score_adj').read())\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert int(ran.stdout) == 1000


def test_what_cannot_be_had_is_not_claimed() -> None:
    """A kernel that refuses everything, as a filter before the first layer makes it."""
    code = (
        "from service.sandbox import confine, seccomp\n"
        "import os\n"
        "confine.no_new_privileges()\n"
        "assert seccomp.install()\n"
        "os.write(1, repr(confine.confine(address_space=2**30, cpu_seconds=9)).encode())\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert ran.stdout == b"()"
