"""The papers' forgery methods in their groups, and how a training on them is written."""

from __future__ import annotations

from collections.abc import Collection

EXPRESSION = ("F2F", "NT")
"""Methods that change the expression."""
IDENTITY = ("DF", "DFD", "FS")
"""Methods that change the person."""
TRAINED = ("DF", "FS", "F2F", "NT", "DFD")
"""What both papers train on, and WWW '21 merges, in the order in which it is shown."""
KNOWN = (*TRAINED, "DFDC")
"""Methods a defender can get videos of."""
OPEN = "DFW"
"""Videos found on the internet: the open domain, never trained on."""


def in_words(trained_on: Collection[str], transferred_to: Collection[str] = ()) -> str:
    """As the papers write it: ``FS+NT``, or for a transfer ``FS->DF+NT``."""
    text = "+".join(trained_on)
    return f"{text}->{'+'.join(transferred_to)}" if transferred_to else text
