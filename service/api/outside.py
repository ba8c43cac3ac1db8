"""What a detection may do beyond answering: fetch, sign, call back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from service.errors import MalformedRequest
from service.settings import Settings
from service.signing import Signer
from service.sources.remote import Fetcher
from service.webhook import Webhooks

Call = Callable[[bytes], None]
"""Tells a client of something, given as JSON."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Each is None where the settings leave it out."""

    fetcher: Fetcher | None = None
    signer: Signer | None = None
    webhooks: Webhooks | None = None

    @classmethod
    def of(cls, settings: Settings, largest: int, told: Callable[[str], None]) -> Outside:
        """As the settings say; media of up to ``largest`` bytes are fetched whole; ``told`` hears
        how each call ended. Raises ``ModelError`` for a key that cannot be used."""
        fetcher = Fetcher(settings.fetch, largest) if settings.fetch.enabled else None
        signer = Signer.load(settings.receipt.key) if settings.receipt.key else None
        webhooks = None
        if fetcher is not None and settings.webhook.secret:
            webhooks = Webhooks(settings.webhook, fetcher, told)
        return cls(fetcher, signer, webhooks)

    def signing(self, wanted: bool) -> Signer | None:
        """The signer if a receipt is wanted. Raises ``MalformedRequest`` without one."""
        if wanted and self.signer is None:
            raise MalformedRequest("This service has no key to sign receipts with.")
        return self.signer if wanted else None

    def calling(self, url: str | None, caller: str) -> Call | None:
        """How to call a URL for a caller, if one is wanted. Raises ``MalformedRequest`` and
        ``UrlBlocked``."""
        if url is None:
            return None
        if self.webhooks is None or self.fetcher is None:
            raise MalformedRequest("This service has no secret to sign calls with.")
        return partial(self.webhooks.call, self.fetcher.checked(url), caller)

    async def stop(self) -> None:
        """Give up calls that are not delivered."""
        if self.webhooks is not None:
            await self.webhooks.stop()
