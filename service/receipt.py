"""Receipts: signed records of what was found in which media, by which software, when.

Who keeps a receipt can show later what a video was scored, without keeping the video. It says that
the holder of the key attests it, not that the finding is right.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import BaseModel, ConfigDict, Field

_KEY = r"^[A-Za-z0-9+/]{43}=$"
_HASH = r"^[0-9a-f]{64}$"

LARGEST = 16 * 2**20
"""Bytes of a receipt that are looked at: hundred thousand faces."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ReceiptModel(_Part):
    """A network that scored."""

    name: str
    version: str
    sha256: str
    """Of the ONNX file."""
    precision: str
    provider: str


class ReceiptFace(_Part):
    """One appearance of a face; seconds of the video."""

    start: float
    end: float
    score: float
    verdict: str


class Receipt(_Part):
    """What was found; ``signature`` is Ed25519 (RFC 8032), base64, of everything else here."""

    format: Literal["deepfake-receipt/1"]
    time: str = Field(description="UTC, ISO 8601")
    software: str
    media_sha256: str = Field(pattern=_HASH, description="Of the whole file")
    media_bytes: int
    models: tuple[ReceiptModel, ...]
    ensemble: str | None
    detector: str
    options: dict[str, str | float | int | None]
    threshold: float
    verdict: str
    score: float | None
    faces: tuple[ReceiptFace, ...]
    key: str = Field(pattern=_KEY, description="The public key, base64")
    signature: str = Field("", description="Base64")

    def signed_bytes(self) -> bytes:
        """What is signed: JSON of all other fields, keys sorted, no spaces, ASCII."""
        return _canonical(self.model_dump(mode="json", exclude={"signature"}))

    @property
    def signer(self) -> str:
        """A short name of the key: the first 16 hex digits of its SHA-256."""
        return hashlib.sha256(base64.b64decode(self.key)).hexdigest()[:16]


def verify(text: bytes, public_key: str | None = None) -> Receipt:
    """The receipt in a JSON text, once its signature is found to hold.

    ``public_key`` is the one that is trusted, base64; without it the signature is only held against
    the key that the receipt names itself. Raises ``ValueError`` saying what is wrong.
    """
    if len(text) > LARGEST:
        raise ValueError(f"this is no receipt: it has over {LARGEST} bytes")
    try:
        content = json.loads(text, object_pairs_hook=_once)
        receipt = Receipt.model_validate_json(text, strict=True)
        signature = base64.b64decode(receipt.signature, validate=True)
        del content["signature"]
        as_it_stands = _canonical(content)
    except (ValueError, LookupError, RecursionError):
        raise ValueError("this is no receipt") from None
    if public_key is not None and receipt.key != public_key:
        raise ValueError("it is signed with another key")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(receipt.key))
    try:
        key.verify(signature, as_it_stands)
    except InvalidSignature:
        raise _changed() from None
    # Base64 with other bits after its end is the same bytes, and so is 1 the same as 1.0 here.
    one_form = base64.b64encode(signature).decode() == receipt.signature
    if not one_form or as_it_stands != receipt.signed_bytes():
        raise _changed()
    return receipt


def _changed() -> ValueError:
    return ValueError("its signature does not hold: it was changed, or not signed")


def _canonical(content: dict[str, Any]) -> bytes:
    """JSON with keys sorted, no spaces, ASCII. Raises ``ValueError``."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object none of whose names stands twice: each reader would believe another value."""
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a name stands twice")
    return found


def hash_of(file: Path) -> str:
    """SHA-256 of a file's bytes, lower-case hex."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def new_key() -> tuple[bytes, str]:
    """A private key as PEM, and its public one in base64."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, public_text(key.public_key())


def public_text(key: Ed25519PublicKey) -> str:
    """Base64 of the 32 bytes."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def describe(receipt: Receipt) -> list[tuple[str, Any]]:
    """Its content for people, in order."""
    return [
        ("made", receipt.time),
        ("by", f"{receipt.software}, key {receipt.signer}"),
        ("media", f"{receipt.media_sha256}, {receipt.media_bytes} bytes"),
        ("models", ", ".join(f"{each.name} {each.version}" for each in receipt.models)),
        ("options", ", ".join(f"{name} {value}" for name, value in receipt.options.items())),
        ("verdict", f"{receipt.verdict}, threshold {receipt.threshold}"),
        ("score", receipt.score),
        ("faces", len(receipt.faces)),
    ]
