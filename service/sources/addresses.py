"""Which addresses may be connected to: those of the public internet alone.

``ipaddress.is_global`` is not asked: it takes addresses that translators turn into private ones
(NAT64, 6to4) for global, changes between versions of Python, and knows nothing of clouds.
Sources: the IANA special-purpose address registries (RFC 6890 and its successors).
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DENIED_4 = tuple(
    ipaddress.IPv4Network(each)
    for each in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT; a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's metadata, among public addresses
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; a cloud's metadata at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

_ALLOWED_6 = ipaddress.IPv6Network("2000::/3")
"""All global unicast that is handed out. Loopback, mapped and compatible IPv4, NAT64 (64:ff9b::),
unique local (a cloud's metadata at fd00:ec2::254), link-local and multicast lie outside."""

_DENIED_6 = tuple(
    ipaddress.IPv6Network(each)
    for each in (
        "2001::/23",  # protocol assignments, Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


def public(address: Address) -> bool:
    """Whether this is an address of the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _DENIED_4)
    if address.scope_id is not None or address not in _ALLOWED_6:
        return False
    # ISATAP's interface identifiers hold an IPv4 address in any prefix.
    if address.packed[8:12] in (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe"):
        return False
    return not any(address in network for network in _DENIED_6)
