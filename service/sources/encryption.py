"""Segments encrypted with AES-128 (RFC 8216, 5.2): each on its own, CBC with PKCS #7 padding."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from service.errors import OriginFailed, OverLimits
from service.sources.origin import Origin
from service.sources.url import Url

_BYTES = AES128.key_size // 8
_KEPT = 16
_FETCHED = 500
"""Times that keys of one video are fetched."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Where the key of a segment lies, and its initialization vector, 16 bytes."""

    key: Url
    vector: bytes


class Keys:
    """Fetches keys; the last ones are kept, since segments near each other share them."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._kept: OrderedDict[Url, bytes] = OrderedDict()
        self._left = _FETCHED

    async def get(self, url: Url) -> bytes:
        """The 16 bytes of a key. Raises ``OverLimits``, ``UrlBlocked``, ``OriginFailed`` and
        ``OriginSlow``."""
        if url not in self._kept:
            self._left -= 1
            if self._left < 0:
                raise OverLimits(f"The keys of a video are fetched at most {_FETCHED} times.")
            self._kept[url] = await self._fetched(url)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(url)
        return self._kept[url]

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
