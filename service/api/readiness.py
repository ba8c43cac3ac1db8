"""Whether there is anything to answer with: the one place that turns readiness into errors."""

from __future__ import annotations

from service.engine import Engine, Readiness
from service.errors import NotReady


def require_ready(engine: Engine) -> Readiness:
    """The engine's state. Raises ``NotReady`` naming what is missing where it cannot score."""
    state = engine.readiness()
    if state.draining:
        raise NotReady("draining: what was taken is finished, nothing new is taken")
    if not state.ready:
        raise _not_ready(state)
    return state


def require_models(engine: Engine) -> Readiness:
    """The engine's state once it has models, ready or not. Without any, nobody can say which
    names exist: raises ``NotReady``."""
    state = engine.readiness()
    if not state.models and not state.ready:
        raise _not_ready(state)
    return state


def _not_ready(state: Readiness) -> NotReady:
    return NotReady("; ".join(state.missing) or "starting or stopping")
