"""Segments encrypted with AES-128 (RFC 8216, 5.2): each on its own, CBC with PKCS #7 padding."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from service.errors import OriginFailed
from service.sources.origin import Origin
from service.sources.url import Url

_BYTES = AES128.key_size // 8


@dataclass(frozen=True, slots=True)
class Lock:
    """Where the key of a segment lies, and its initialization vector, 16 bytes."""

    key: Url
    vector: bytes


class Keys:
    """Fetches keys; the last one is kept, since segments that follow each other share it."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._last: tuple[Url, bytes] | None = None

    async def get(self, url: Url) -> bytes:
        """The 16 bytes of a key. Raises ``UrlBlocked``, ``OriginFailed`` and ``OriginSlow``."""
        if self._last is None or self._last[0] != url:
            self._last = url, await self._fetched(url)
        return self._last[1]

    async def _fetched(self, url: Url) -> bytes:
        async with self._origin.get(url) as answer:
            if answer.status != 200:
                raise OriginFailed(f"For the key of a stream the origin answers {answer.status}.")
            key = await answer.body(_BYTES)
        if len(key) != _BYTES:
            raise OriginFailed(f"The key of a stream has {_BYTES} bytes; this one has not.")
        return key


async def decrypted(
    chunks: AsyncGenerator[bytes, None], key: bytes, vector: bytes
) -> AsyncGenerator[bytes, None]:
    """A segment as it comes. Raises ``OriginFailed`` also where it is none of this key's."""
    cipher = Cipher(AES128(key), CBC(vector)).decryptor()
    padding = PKCS7(AES128.block_size).unpadder()
    async with aclosing(chunks):
        async for chunk in chunks:
            yield padding.update(cipher.update(chunk))
    try:
        yield padding.update(cipher.finalize()) + padding.finalize()
    except ValueError:
        raise OriginFailed("A piece of the video cannot be decrypted.") from None
