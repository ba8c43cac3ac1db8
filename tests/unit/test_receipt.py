"""Receipts hold for what was signed and for nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.api.examples import REPORT
from service.engine import DetectionOptions
from service.errors import ModelError, OverLimits
from service.receipt import Receipt, describe, new_key, public_text, verify
from service.report import Report
from service.signing import Signer, signed
from service.sources.source import Memory

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXAMPLE = Report.model_validate(REPORT)


@pytest.fixture
def signer() -> Signer:
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture
def receipt(signer: Signer) -> Receipt:
    return signer.sign(EXAMPLE, DetectionOptions(start=1.5, faces=2), NOW)


def test_a_receipt_tells_what_was_found(signer: Signer, receipt: Receipt) -> None:
    assert receipt.time == "2026-01-02T03:04:05+00:00"
    assert receipt.media_sha256 == EXAMPLE.media.sha256
    assert receipt.verdict == EXAMPLE.verdict
    assert [face.score for face in receipt.faces] == [face.score for face in EXAMPLE.faces]
    assert receipt.options == {"sampling": "full", "start": 1.5, "end": None, "faces": 2}
    found = verify(receipt.model_dump_json().encode(), signer.public_key)
    assert found == receipt


def test_what_is_signed_is_plain_canonical_json(signer: Signer, receipt: Receipt) -> None:
    content = json.loads(receipt.model_dump_json())
    signature = base64.b64decode(content.pop("signature"))
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    signer._key.public_key().verify(signature, text)


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [p for key, each in value.items() for p in paths(each, (*path, key))]
    if isinstance(value, list):
        return [p for at, each in enumerate(value) for p in paths(each, (*path, at))]
    return [path]


def test_no_field_can_be_changed(signer: Signer, receipt: Receipt) -> None:
    content = json.loads(receipt.model_dump_json())
    changed = 0
    for path in paths(content):
        copy = json.loads(receipt.model_dump_json())
        place = copy
        for step in path[:-1]:
            place = place[step]
        old = place[path[-1]]
        others = [{str: "0", float: 0.125, int: 7}.get(type(old), "x"), None]
        if isinstance(old, int | float):
            # The same number in another form.
            others += [int(old), float(old)]
        for other in others:
            place[path[-1]] = other
            if json.dumps(other) == json.dumps(old):
                continue
            with pytest.raises(ValueError, match=r"receipt|key|signature"):
                verify(json.dumps(copy).encode(), signer.public_key)
            changed += 1
        del place[path[-1]]
        with pytest.raises(ValueError, match=r"receipt|key|signature"):
            verify(json.dumps(copy).encode(), signer.public_key)
    assert changed > 20


def test_a_face_cannot_be_left_out_or_a_field_added(signer: Signer, receipt: Receipt) -> None:
    content = json.loads(receipt.model_dump_json())
    for change in ({"faces": []}, {"more": 1}):
        with pytest.raises(ValueError, match=r"receipt|signature"):
            verify(json.dumps(content | change).encode(), signer.public_key)


def test_a_number_has_one_form(signer: Signer) -> None:
    even = EXAMPLE.model_copy(update={"score": 1.0})
    text = signer.sign(even, DetectionOptions(), NOW).model_dump_json()
    assert '"score":1.0,"faces"' in text
    verify(text.encode())
    with pytest.raises(ValueError, match="signature"):
        verify(text.replace('"score":1.0,"faces"', '"score":1,"faces"').encode())


def test_a_signature_has_one_form(receipt: Receipt) -> None:
    assert receipt.signature.endswith("==")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(receipt.signature[-3]) + 1]
    other = receipt.signature[:-3] + last + "=="
    assert base64.b64decode(other) == base64.b64decode(receipt.signature)
    with pytest.raises(ValueError, match="signature"):
        verify(receipt.model_copy(update={"signature": other}).model_dump_json().encode())


def test_what_was_asked_for_is_told(receipt: Receipt) -> None:
    told = dict(describe(receipt))
    assert told["options"] == "sampling full, start 1.5, end None, faces 2"
    assert str(receipt.threshold) in told["verdict"]


async def test_of_media_that_are_not_kept_no_receipt_is_made(signer: Signer) -> None:
    source = Memory(b"the whole video")
    source.kept = False
    with pytest.raises(OverLimits):
        await signed(EXAMPLE, source, DetectionOptions(), signer)


def test_another_key_is_not_trusted(receipt: Receipt) -> None:
    other = Signer(Ed25519PrivateKey.generate())
    forged = other.sign(EXAMPLE, DetectionOptions(), NOW)
    assert verify(forged.model_dump_json().encode()) == forged
    with pytest.raises(ValueError, match="another key"):
        verify(forged.model_dump_json().encode(), receipt.key)
    with pytest.raises(ValueError, match="signature"):
        verify(receipt.model_copy(update={"key": other.public_key}).model_dump_json().encode())


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b'{"format": "deepfake-receipt/1"}'])
def test_other_files_are_no_receipts(text: bytes) -> None:
    with pytest.raises(ValueError, match="no receipt"):
        verify(text)


def test_keys_are_written_and_read(tmp_path: Path) -> None:
    pem, public = new_key()
    file = tmp_path / "key.pem"
    file.write_bytes(pem)
    assert Signer.load(file).public_key == public


def test_other_keys_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    rsa = generate_private_key(65537, 2048)
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data in (b"", b"nonsense", rsa.private_bytes(*form)):
        file.write_bytes(data)
        with pytest.raises(ModelError):
            Signer.load(file)
    with pytest.raises(ModelError):
        Signer.load(tmp_path / "missing.pem")


async def test_a_receipt_of_parts_is_of_the_whole(signer: Signer) -> None:
    data = b"the whole video"
    parts = EXAMPLE.model_copy(
        update={"media": EXAMPLE.media.model_copy(update={"sha256": None, "bytes": len(data)})}
    )
    with pytest.raises(ValueError, match="whole"):
        signer.sign(parts, DetectionOptions())
    report = await signed(parts, Memory(data), DetectionOptions(), signer)
    assert report.receipt is not None
    assert report.receipt.media_sha256 == hashlib.sha256(data).hexdigest()
    assert report.media.sha256 == report.receipt.media_sha256
    assert report.receipt.key == public_text(signer._key.public_key())
