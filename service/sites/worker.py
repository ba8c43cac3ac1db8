"""The process that reads one page.

    python -m service.sites.worker    with a socket to the parent as its standard input

It loads yt-dlp, gives up all rights but that socket, and only then looks at the page's URL.
"""

from __future__ import annotations

import os
import socket

from service.sandbox import confine
from service.sandbox.wire import PlainChannel
from service.sites.messages import Given, Order, Page, Ready, Wanted, from_parent

MEMORY = 2**29
"""Bytes of address space, of which what is loaded takes a third."""

CPU_SECONDS = 20.0
"""Of processor time; what is loaded takes one of them."""

_DESCRIPTORS = 256


def main() -> None:
    """Get ready, read the page that the parent names then and say where its video is."""
    channel = PlainChannel(socket.socket(fileno=0))
    order = Order.model_validate_json(channel.receive()[0])
    confine.end_with(order.parent)
    confine.no_files_and_dumps()
    confine.memory(MEMORY)
    # Only now that it can write no file may it come in.
    from service.sites.library import Library

    def ask(wanted: Wanted, body: bytes) -> tuple[Given, bytes] | None:
        channel.send(wanted.model_dump_json(), memoryview(body))
        head, answer = channel.receive()
        given = from_parent(head)
        return (given, answer) if isinstance(given, Given) else None

    library = Library(order.sites, ask)
    os.closerange(3, _DESCRIPTORS)
    confine.expendable()
    layers = confine.confine(address_space=MEMORY, cpu_seconds=CPU_SECONDS)
    ready = Ready(layers=list(layers), unknown=library.unknown)
    channel.send(ready.model_dump_json())
    page = Page.model_validate_json(channel.receive()[0])
    channel.send(library.find(page.urls).model_dump_json())


if __name__ == "__main__":
    main()
