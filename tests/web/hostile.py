"""Texts that want to be markup, code or somewhere else in the line, and how their success shows."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

MARKUP = {
    "script": "<script>hostile()</script><x-hostile>",
    "handler": '"><img src=x onerror="hostile()"><x-hostile onclick=hostile()>',
    "attribute": "' autofocus tabindex=1 onfocus='hostile()' x='<x-hostile>",
    "svg": "<svg onload=hostile()><a href=javascript:hostile()><x-hostile></a></svg>",
    "frame": '<iframe srcdoc="<script>parent.hostile()</script>"><x-hostile></iframe>',
    "template": "${hostile()} {{hostile()}} <x-hostile>",
    "closing": "--></bdi></p></button></title></style></textarea></template><x-hostile>",
    "entity": "&lt;x-hostile&gt; &#60;x-hostile&#62; &#x3c;x-hostile>",
    "wide": "\uff1cx-hostile\uff1e \u2039x-hostile\u203a",
    "escape": "\\u003cx-hostile\\u003e \\x3cx-hostile>",
    "nothing": "\u0000<x-hostile>\u0000",
    "address": "javascript:hostile()//<x-hostile>",
}
"""None of them holds a control of the direction of text."""

BIDI = "\u202egnp.evil\u2066\u2067exe\u2068\u200f\u061c"
"""Turns the text around, and never ends that."""

ALL = " ".join([*MARKUP.values(), BIDI])

_INJECTED = """() => {
  const wrong = ["base", "embed", "frame", "iframe", "object", "x-hostile"];
  const addresses = ["action", "formaction", "href", "src", "xlink:href"];
  const found = [];
  for (const element of document.querySelectorAll("*")) {
    if (wrong.includes(element.localName)) found.push(element.outerHTML);
    if (element.localName === "script" && !element.src) found.push(element.outerHTML);
    for (const { name, value } of element.attributes) {
      const leads = addresses.includes(name) && /^\\s*(javascript|vbscript|data:text)/i.test(value);
      if (name.startsWith("on") || leads) found.push(`${name}=${value}`);
    }
  }
  return found;
}"""

_TURNED = """() => {
  const turns = /[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]/;
  const read = ["alt", "aria-description", "aria-label", "aria-valuetext", "placeholder", "title"];
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    if (turns.test(texts.currentNode.data)) found.push(texts.currentNode.parentElement.outerHTML);
  }
  for (const element of document.querySelectorAll("*")) {
    if (read.some((name) => turns.test(element.getAttribute(name)))) found.push(element.outerHTML);
  }
  return found;
}"""


async def injected(page: Page) -> list[Any]:
    """Elements and attributes that no text may have brought into the page."""
    return list(await page.evaluate(_INJECTED))


async def turned(page: Page) -> list[Any]:
    """Elements that show or tell controls of direction: those would reach beyond their text."""
    return list(await page.evaluate(_TURNED))
