"""Holds dashboards against Grafana's own description of them: the classes of the library that it
publishes for building some, in the environment of ``scripts/setup deploy``.

A key that Grafana does not know, it ignores without a word, and a value of the wrong type may leave
a panel empty: so both are faults here. What may be left out is not looked at: Grafana fills it in.

Reads a list of dashboards as JSON, and writes a list of the faults of each.
"""

from __future__ import annotations

import enum
import inspect
import json
import sys
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

from grafana_foundation_sdk.cog import plugins, runtime
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard

plugins.register_default_plugins()

_FREE = (object, typing.Any, Dataquery)
"""Whatever kind a query or the options of a panel are, is looked at where the panel is known."""


def faults(document: dict[str, Any]) -> list[str]:
    """What a dashboard has that Grafana does not know, each with where it stands."""
    return list(_of_class(document, dashboard.Dashboard, "dashboard"))


def _check(value: Any, hint: Any, where: str) -> Iterator[str]:
    origin = typing.get_origin(hint)
    if hint in _FREE:
        return
    if origin in (typing.Union, types.UnionType):
        yield from _of_union(value, typing.get_args(hint), where)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{where}: not a list"
            return
        for number, each in enumerate(value):
            yield from _check(each, typing.get_args(hint)[0], f"{where}[{number}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{where}: not an object"
            return
        for key, each in value.items():
            yield from _check(each, typing.get_args(hint)[1], f"{where}.{key}")
    elif origin is typing.Literal:
        if value not in typing.get_args(hint):
            yield f"{where}: {value!r} is none of {typing.get_args(hint)}"
    elif hint is types.NoneType:
        if value is not None:
            yield f"{where}: not null"
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value not in [each.value for each in hint]:
            yield f"{where}: {value!r} is no {hint.__name__}"
    elif hint in (str, bool, int, float):
        # JSON has one kind of number, and Python counts its truth values among them.
        kinds = (int, float) if hint is float else (hint,)
        if not isinstance(value, kinds) or (hint is not bool and isinstance(value, bool)):
            yield f"{where}: {value!r} is no {hint.__name__}"
    else:
        yield from _of_class(value, hint, where)


def _of_union(value: Any, hints: tuple[Any, ...], where: str) -> Iterator[str]:
    """The faults by the form that fits best."""
    if len(hints) > 1 and value is None and types.NoneType in hints:
        return
    forms = [hint for hint in hints if hint is not types.NoneType]
    if dashboard.RowPanel in forms:
        row = isinstance(value, dict) and value.get("type") == "row"
        forms = [dashboard.RowPanel if row else dashboard.Panel]
    yield from min((list(_check(value, hint, where)) for hint in forms), key=len)


def _of_class(value: Any, hint: type, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: not an object"
        return
    fields = dict(_fields(hint))
    if hint is dashboard.Panel:
        where = f"{where} {value.get('title')!r}"
        yield from _of_panel(value, fields, where)
    for key, each in value.items():
        if key in fields:
            yield from _check(each, fields[key], f"{where}.{key}")
        else:
            yield f"{where}.{key}: unknown"


def _of_panel(value: dict[str, Any], fields: dict[str, Any], where: str) -> Iterator[str]:
    """What each kind of panel and of query adds; ``fields`` then know it."""
    config = runtime.panelcfg_config(value["type"])
    query = runtime.Runtime().dataquery_variants.get(value["datasource"]["type"])
    if config is None or query is None:
        yield f"{where}: unknown kind of panel or query"
        return
    fields["targets"] = list[_made_by(query.from_json_hook)]  # type: ignore[misc]
    if config.options_from_json_hook is not None:
        fields["options"] = _made_by(config.options_from_json_hook)
    if config.field_config_from_json_hook is not None:
        custom = value["fieldConfig"]["defaults"].get("custom", {})
        yield from _check(custom, _made_by(config.field_config_from_json_hook), f"{where}.custom")


def _made_by(hook: Any) -> type:
    """The class of which this is the ``from_json``."""
    made: type = hook.__self__
    return made


@cache
def _fields(hint: type) -> dict[str, Any]:
    """What each key of a class's JSON may hold. A class tells its keys when it is written as JSON:
    so one is, with a mark in each attribute."""
    hints = typing.get_type_hints(hint, vars(inspect.getmodule(hint)))
    names = [name for name in inspect.signature(hint).parameters if name in hints]
    marks = {name: f"mark of {name}" for name in names}
    written = hint(**marks).to_json()  # type: ignore[attr-defined]
    known = {mark: name for name, mark in marks.items()}
    found = {key: hints[known[mark]] for key, mark in written.items() if mark in known}
    # The kind of a panel or query in a list of several is fixed by its class.
    found |= {key: object for key, mark in written.items() if mark not in known}
    return found


if __name__ == "__main__":
    json.dump([faults(each) for each in json.load(sys.stdin)], sys.stdout)
