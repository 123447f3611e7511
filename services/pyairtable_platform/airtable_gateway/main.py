"""Wires the gateway: store and windows, limiter and scheduler, the wire, the rules, the servicer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from pyairtable_platform.common.channels import open_channel
from pyairtable_platform.common.database import check_database, open_engine
from pyairtable_platform.common.events import Tail
from pyairtable_platform.common.registry import WorkspaceRegistry
from pyairtable_platform.common.secret_sources import open_secrets
from pyairtable_platform.common.server import Service, Servicer
from pyairtable_platform.common.valkey import check_valkey, open_valkey
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2, airtable_gateway_service_pb2_grpc

from .airtable import AirtableClient
from .bindings import AREA, Bindings
from .calls import AirtableCalls
from .credentials import WHAT, Credentials
from .idempotency import KeyedWrites
from .limiter import Limiter
from .reported import Reported
from .scheduler import Scheduler
from .service import GatewayService
from .servicer import AirtableGatewayServicer
from .settings import Settings
from .store import GatewayStore, keep_swept
from .usage import Usage
from .valkey import ValkeyPermits
from .verify import Verifier
from .writes import RecordWrites

__all__ = ["Settings", "build"]

_DRAIN_SECONDS = 10.0


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The gateway between the workspace registry, Valkey, PostgreSQL and Airtable."""
    clock, pace = time.monotonic, settings.pace()
    async with AsyncExitStack() as stack:
        engine = open_engine(settings, "airtable_gateway")
        stack.push_async_callback(engine.dispose)
        valkey = open_valkey(settings)
        stack.push_async_callback(valkey.aclose)
        channel = await stack.enter_async_context(open_channel(settings.workspaces_target, settings))
        registry = WorkspaceRegistry(channel)
        store = GatewayStore(engine)
        usage = Usage(store)
        stack.push_async_callback(usage.flush)
        limiter = Limiter(ValkeyPermits(valkey, pace), pace, clock)
        stack.push_async_callback(limiter.close)
        await limiter.beat()
        scheduler = Scheduler(limiter, clock=clock, longest_queue=settings.longest_queue)
        stack.push_async_callback(scheduler.close)
        client = AirtableClient(
            api_url=settings.airtable_api_url,
            content_url=settings.airtable_content_url,
            timeout_seconds=settings.airtable_timeout_seconds,
            largest_answer=settings.airtable_largest_answer_bytes,
        )
        stack.push_async_callback(client.close)
        secrets = await stack.enter_async_context(open_secrets(settings, WHAT))
        token = settings.airtable_token.get_secret_value() if settings.airtable_token else ""
        credentials = Credentials(secrets=secrets, token=token, is_shared=settings.shared_airtable_token)
        bindings = Bindings(credentials)
        calls = AirtableCalls(
            wire=client,
            scheduler=scheduler,
            limiter=limiter,
            credentials=credentials,
            usage=usage,
            resolve=registry.resolve,
            clock=clock,
        )
        service = GatewayService(registry=registry, calls=calls, usage=usage)
        keyed = KeyedWrites(store)
        stack.push_async_callback(keyed.drain, _DRAIN_SECONDS)
        writes = RecordWrites(service=service, calls=calls, keyed=keyed, reported=Reported(clock))
        yield Service(
            name="airtable-gateway",
            title="Airtable Gateway",
            servicers=[
                Servicer(
                    AirtableGatewayServicer(service, writes, Verifier(calls, registry)),
                    airtable_gateway_service_pb2_grpc.add_AirtableGatewayServiceServicer_to_server,
                    airtable_gateway_service_pb2.DESCRIPTOR.services_by_name["AirtableGatewayService"],
                )
            ],
            checks={"postgres": partial(check_database, engine), "workspaces": registry.check},
            optional_checks={"redis": partial(check_valkey, valkey)},
            background=[
                registry.follow,
                limiter.keep_in_touch,
                partial(usage.keep_flushing, settings.usage_flush_seconds),
                partial(keep_swept, store),
                Tail(valkey, [AREA], heard=bindings.heard, missed=bindings.missed).run,
            ],
        )
