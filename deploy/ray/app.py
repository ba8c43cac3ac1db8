"""The application: ``serve run deploy.ray.app:build model=/models/clrnet.onnx decoders=2``."""

# Without postponed annotations: Ray reads that of the builder.

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.schema import LoggingConfig
from starlette.middleware import Middleware

from deploy.ray.arguments import Arguments
from deploy.ray.cluster import require_private
from deploy.ray.fronted import Fronted
from deploy.ray.instruments import RayInstruments
from deploy.ray.networks import Networks
from deploy.ray.remote import RemoteNetworks
from service import hardening, logs, tracing
from service.app import create_app
from service.engine import Engine
from service.errors import NotReady
from service.local_engine import LocalEngine
from service.metrics import Metrics
from service.settings import Settings

_KILL_SECONDS = 15.0
"""For the end of the app, after the time that its last requests may take."""


class Decoder:
    """A deployment: HTTP, fetching, and the sandbox in which videos are read, all in one process,
    so that no media travel. Clips alone leave it, for ``Networks``."""

    def __init__(self, arguments: Arguments, networks: Any) -> None:
        require_private()
        hardening.forbid_dumps()
        settings = arguments.settings(serve.get_replica_context().replica_id.unique_id)
        logs.configure(settings.log_level)
        self._end_tracing = tracing.configure() if settings.tracing else lambda: None
        instruments = RayInstruments()
        self._networks = RemoteNetworks(networks)
        engine = LocalEngine(settings, load=self._networks.load)
        self._built = application(settings, engine, Metrics(instruments))
        self._live(instruments)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return self._built

    async def check_health(self) -> None:
        """Called by Ray at the end of a start, and every few seconds from then on: a replica that
        raises is replaced. Raises ``NotReady``, which names what is missing."""
        state = self._built.state.lifecycle.readiness()
        if not state.ready and not state.draining:
            raise NotReady("; ".join(state.missing))

    def _live(self, instruments: RayInstruments) -> None:
        """Have the app loaded before Ray sends requests, and stopped at once when the last is over:
        Ray sends none any more, so that what is left, jobs, could not be asked for."""
        inner, lifecycle = self._built.router.lifespan_context, self._built.state.lifecycle

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            loop = asyncio.get_running_loop()
            self._networks.changed = partial(loop.call_soon_threadsafe, lifecycle.reload)
            async with inner(app):
                await lifecycle.started()
                pushing = asyncio.create_task(instruments.keep())
                yield
                pushing.cancel()
            self._end_tracing()

        self._built.router.lifespan_context = lifespan


def application(settings: Settings, engine: Engine, metrics: Metrics) -> FastAPI:
    """The service's app, for what comes through a proxy of ours."""
    app = create_app(settings, engine, metrics)
    # Not by `add_middleware`: it would be around what logs and counts.
    app.user_middleware.append(Middleware(Fronted))
    return app


def build(arguments: Arguments) -> serve.Application:
    """Both deployments, bound together."""
    settings = arguments.settings()
    quiet = LoggingConfig(encoding="JSON", enable_access_log=False)
    networks = serve.deployment(Networks).options(
        name="Networks",
        num_replicas=arguments.classifiers,
        # Even a batch whose calls have one clip each must find room, and the next beside it.
        max_ongoing_requests=2 * arguments.batch + 1,
        ray_actor_options={"num_cpus": arguments.classifier_cpus, "num_gpus": arguments.gpus},
        logging_config=quiet,
    )
    decoder = serve.deployment(serve.ingress()(Decoder)).options(
        name="Decoder",
        # The service sheds load itself, by its own limits; Ray is to hold nothing back.
        max_ongoing_requests=settings.limits.connections,
        ray_actor_options={"num_cpus": arguments.decoder_cpus},
        graceful_shutdown_timeout_s=settings.server.drain_seconds + _KILL_SECONDS,
        request_router_config={"request_router_class": "deploy.ray.routing:JobRouter"},
        logging_config=quiet,
        **_replicas(arguments, settings.limits.concurrency),
    )
    return decoder.bind(arguments, networks.bind(arguments))


def _replicas(arguments: Arguments, concurrency: int) -> dict[str, Any]:
    if not arguments.most_decoders:
        return {"num_replicas": arguments.decoders}
    return {
        "autoscaling_config": {
            "min_replicas": arguments.decoders,
            "max_replicas": arguments.most_decoders,
            # As many requests as videos are read at a time.
            "target_ongoing_requests": concurrency,
        }
    }
