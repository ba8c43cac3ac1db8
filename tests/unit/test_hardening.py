"""The process forbids dumps of itself under whatever limits it is started."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

NOBODY = 65534

STARTED = """
import resource, sys
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
from service import hardening
import os
if os.getuid() == 0:
    os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[3]))
hardening.forbid_dumps()
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


@pytest.mark.parametrize(
    ("before", "after"), [((0, 0), (0, 0)), ((0, 1), (1, 1)), ((1, 1), (1, 1))]
)
def test_a_limit_set_from_outside_does_not_keep_the_service_from_starting(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    if 0 <= resource.getrlimit(resource.RLIMIT_CORE)[1] < before[1] and os.getuid() != 0:
        pytest.skip("the limit of this process is lower already")
    done = subprocess.run(
        [sys.executable, "-c", STARTED, *map(str, (*before, NOBODY))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(after)


def test_where_there_is_no_output_no_file_can_be_written() -> None:
    script = "from service import hardening; hardening.forbid_files()"
    script += (
        "; import resource, sys; sys.exit(40 + max(resource.getrlimit(resource.RLIMIT_FSIZE)))"
    )
    command = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-c", script]
    assert subprocess.run(command, timeout=60, check=False).returncode == 40
