"""What the parent tells a nursery, and what a child's exit code tells the parent."""

from __future__ import annotations

import struct

COMMAND = struct.Struct(">cIB")
"""``FORK`` (its socket comes along), ``SIGNAL`` or ``RANK``, the child's number, the signal or its
niceness."""
FORK, SIGNAL, RANK = b"F", b"S", b"R"

OUT_OF_MEMORY = 3
"""Exit code of a child that had not even the memory to say so."""

NOT_FORKED = 4
"""Exit code of a child that never was: the system had no process to give."""
