"""What is taken for a URL that may be fetched. Stricter than any browser, so that nobody further
down can read it in another way."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from service.errors import UrlBlocked
from service.sources.addresses import Address

LONGEST = 8192
"""Characters of a URL; signed ones of video sites have thousands."""

_PORTS = {"http": 80, "https": 443}
_PARTS = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]+)(?P<target>[^#]*)(#.*)?", re.I | re.A
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[0-9a-zA-Z._-]+)(:(?P<port>[0-9]{1,5}))?")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_LABEL = re.compile(r"(?!-)[0-9a-z_-]{1,63}(?<!-)")
_LONGEST_NAME = 253
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class Url:
    """``host`` is a lower-case name or an address without brackets, ``address`` the latter parsed;
    ``target`` is path and query as they are sent, ASCII."""

    scheme: str
    host: str
    port: int
    target: str
    address: Address | None = None

    @property
    def authority(self) -> str:
        """As in a ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what browsers hold for one party (RFC 6454)."""
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def join(self, reference: str) -> Url:
        """What a redirect or a playlist found here refers to. Raises ``UrlBlocked``."""
        _require_plain(reference)
        if _SCHEME.match(reference):
            return parse(reference)
        try:
            return parse(urljoin(str(self), reference))
        except ValueError:
            raise blocked() from None


def parse(text: str) -> Url:
    """Read an absolute URL.

    http and https alone; no credentials; a host in letters, digits and hyphens (IDN as punycode),
    an IPv4 address as four decimal numbers or an IPv6 one in brackets. Raises ``UrlBlocked``.
    """
    _require_plain(text)
    parts = _PARTS.fullmatch(text)
    authority = _AUTHORITY.fullmatch(parts["authority"]) if parts else None
    if not parts or not authority:
        raise blocked()
    scheme = parts["scheme"].lower()
    host, address = _host(authority["host"].lower())
    port = int(authority["port"] or _PORTS[scheme])
    target = quote(parts["target"], safe=_VISIBLE)
    if not target.startswith("/"):
        target = "/" + target
    return Url(scheme, host, port, target, address)


def blocked() -> UrlBlocked:
    """The one answer to everything that may not be fetched: a finer one would tell strangers what
    lies on the inside."""
    return UrlBlocked(
        "This URL is not fetched: it must lead, by http or https and without credentials, to an "
        "allowed port of a public host that can be found."
    )


def _require_plain(text: str) -> None:
    if not text or len(text) > LONGEST or _UNSAFE.search(text):
        raise blocked()
    try:
        text.encode()
    except UnicodeEncodeError:
        raise blocked() from None


def _host(host: str) -> tuple[str, Address | None]:
    try:
        if host.startswith("["):
            address = ipaddress.IPv6Address(host[1:-1])
            return str(address), address
        name = host.removesuffix(".")
        labels = name.split(".")
        # As browsers do: what ends in a number is an address, or nothing. Other readers take
        # 0x7f.1, 2130706433 and 0177.0.0.1 for addresses as well.
        if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
            return name, ipaddress.IPv4Address(name)
    except ValueError:
        raise blocked() from None
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise blocked()
    return name, None
