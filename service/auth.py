"""API keys: how they are made, kept and known again.

Only the SHA-256 of a key is configured. The keys are random and long, so a plain hash is enough:
there is nothing to guess that salt or slowness would protect.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "dfk_"
_BYTES = 32


def new_key() -> str:
    """A fresh key of 256 random bits; the prefix lets scanners for leaked secrets know it."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def entry(name: str, key: str) -> str:
    """The setting that makes a key valid."""
    return f"{name}:{_digest(key)}"


class Keys:
    """The valid keys. Several may have one name: that is how a key is exchanged for another."""

    def __init__(self, entries: Sequence[str]) -> None:
        pairs = [each.split(":", 1) for each in entries]
        self._known = [(name, digest.encode()) for name, digest in pairs]

    def __bool__(self) -> bool:
        """Whether a key is asked for at all."""
        return bool(self._known)

    def name(self, key: str) -> str | None:
        """Whose key this is; None for nobody's. Takes the same time for every key."""
        digest = _digest(key).encode()
        found = None
        for name, known in self._known:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def _digest(key: str) -> str:
    # Headers arrive as Latin-1; whatever else somebody sends must not raise.
    return hashlib.sha256(key.encode("latin-1", "replace")).hexdigest()
