"""Signing receipts."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from service import __version__
from service.engine import DetectionOptions
from service.errors import ModelError, OverLimits
from service.receipt import Receipt, ReceiptFace, ReceiptModel, public_text
from service.report import Report
from service.sources.source import Source


class Signer:
    """Signs receipts with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = public_text(key.public_key())

    @classmethod
    def load(cls, path: Path) -> Signer:
        """From a PEM file without a password. Raises ``ModelError`` saying what is wrong."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError:
            raise ModelError("the key for receipts cannot be read") from None
        except (ValueError, TypeError):
            raise ModelError("the key for receipts is no PEM file without a password") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ModelError("the key for receipts is not of the kind Ed25519")
        return cls(key)

    def sign(
        self, report: Report, options: DetectionOptions, now: datetime | None = None
    ) -> Receipt:
        """A receipt for a report. Raises ``ValueError`` where the media were not read whole."""
        if report.media.sha256 is None:
            raise ValueError("only whole media have a hash")
        model = report.model
        receipt = Receipt(
            format="deepfake-receipt/1",
            time=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
            software=f"clrnet-deepfake {__version__}",
            media_sha256=report.media.sha256,
            media_bytes=report.media.bytes,
            models=tuple(
                ReceiptModel(
                    name=each.name,
                    version=each.version,
                    sha256=each.sha256,
                    precision=each.precision,
                    provider=each.provider,
                )
                for each in model.scorers
            ),
            ensemble=model.name if len(model.scorers) > 1 else None,
            detector=model.detector,
            options={
                "sampling": report.coverage.sampling,
                "start": options.start,
                "end": options.end,
                "faces": options.faces,
            },
            threshold=report.operating_point.threshold,
            verdict=report.verdict,
            score=report.score,
            faces=tuple(
                ReceiptFace(start=face.start, end=face.end, score=face.score, verdict=face.verdict)
                for face in report.faces
            ),
            key=self.public_key,
        )
        signature = base64.b64encode(self._key.sign(receipt.signed_bytes())).decode()
        return receipt.model_copy(update={"signature": signature})


def require_kept(source: Source) -> None:
    """Raise ``OverLimits`` for media of which no receipt is made: parts that are not kept would be
    fetched again for the hash, and nobody but their origin knows of what."""
    if not source.kept:
        raise OverLimits("No receipt is made of media that are larger than the limit of bytes.")


async def signed(
    report: Report, source: Source, options: DetectionOptions, signer: Signer
) -> Report:
    """The report with a receipt, for which every byte of the media is read. Raises ``OverLimits``
    as ``require_kept`` does, and ``ServiceError`` where they cannot be had."""
    require_kept(source)
    media = report.media.model_copy(update={"sha256": await source.hashed()})
    coverage = report.coverage.model_copy(update={"bytes_fetched": source.fetched})
    whole = report.model_copy(update={"media": media, "coverage": coverage})
    return whole.model_copy(update={"receipt": signer.sign(whole, options)})
