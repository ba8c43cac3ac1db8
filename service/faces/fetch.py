"""Downloads an InsightFace detection model, on an explicit command and never by itself.

InsightFace releases its models and packs for **non-commercial research only**; whoever fetches one
must be told so first (``LICENCE``).
"""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.errors import ModelError

LICENCE = (
    "InsightFace releases its models for non-commercial research purposes only. "
    "For commercial use ask InsightFace for a licence, or keep the embedded MTCNN."
)
Progress = Callable[[int, int | None], None]
"""Called with the bytes that arrived and, where known, all there are."""

_CHUNK = 1 << 18
_RELEASE = "https://github.com/deepinsight/insightface/releases/download/v0.7"


@dataclass(frozen=True, slots=True)
class Pack:
    """A released archive and the detection model inside it; hashes are SHA-256 in hex."""

    url: str
    sha256: str
    member: str
    member_sha256: str


PACKS = {
    "buffalo_sc": Pack(
        f"{_RELEASE}/buffalo_sc.zip",
        "57d31b56b6ffa911c8a73cfc1707c73cab76efe7f13b675a05223bf42de47c72",
        "det_500m.onnx",
        "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
    ),
    "buffalo_l": Pack(
        f"{_RELEASE}/buffalo_l.zip",
        "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
        "det_10g.onnx",
        "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
    ),
}
"""SCRFD 500M (15 MB to download) and 10G (289 MB)."""


def fetch_file(
    url: str,
    sha256: str,
    target: Path,
    *,
    timeout: float = 30.0,
    most_seconds: float = 1800.0,
    most_bytes: int = 1 << 30,
    progress: Progress = lambda done, total: None,
) -> None:
    """Downloads ``url`` to ``target``, which appears only whole and with this SHA-256.

    ``timeout`` bounds each wait for the server, ``most_seconds`` all of it. Raises ``ModelError``,
    and then leaves nothing behind.
    """
    part = target.with_name(f"{target.name}.part")
    ends = time.monotonic() + most_seconds
    digest, done = hashlib.sha256(), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=timeout) as answer, part.open("wb") as file:
            size = answer.headers.get("Content-Length")
            total = int(size) if size and size.isdigit() else None
            while chunk := answer.read(_CHUNK):
                done += len(chunk)
                if done > most_bytes:
                    raise ModelError(f"the download is larger than {most_bytes} bytes")
                if time.monotonic() > ends:
                    raise ModelError(f"the download took longer than {most_seconds:g} seconds")
                digest.update(chunk)
                file.write(chunk)
                progress(done, total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and done < total:
            raise ModelError(f"the download broke off after {done} of {total} bytes")
        if digest.hexdigest() != sha256.lower():
            raise ModelError(
                f"the download's SHA-256 is {digest.hexdigest()}, not the one expected"
            )
        part.replace(target)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ModelError(f"the download failed: {getattr(error, 'reason', error)}") from error
    finally:
        part.unlink(missing_ok=True)


def fetch_pack(
    pack: Pack,
    folder: Path,
    *,
    timeout: float = 30.0,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Downloads a pack and keeps its detection model alone; gives the model's path."""
    target = folder / pack.member
    archive = folder / f"{pack.member}.zip"
    part = folder / f"{pack.member}.part"
    fetch_file(pack.url, pack.sha256, archive, timeout=timeout, progress=progress)
    try:
        with zipfile.ZipFile(archive) as packed:
            # Some packs hold their files in a folder of the pack's name.
            names = [name for name in packed.namelist() if Path(name).name == pack.member]
            if not names:
                raise ModelError(f"the pack holds no {pack.member}")
            data = packed.read(names[0])
        if hashlib.sha256(data).hexdigest() != pack.member_sha256:
            raise ModelError(f"{pack.member} in the pack is not the one expected (SHA-256 differs)")
        part.write_bytes(data)
        part.replace(target)
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError("the pack cannot be unpacked") from error
    finally:
        archive.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    return target
