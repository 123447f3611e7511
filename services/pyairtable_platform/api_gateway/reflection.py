"""gRPC reflection v1. The kit serves v1alpha, which is all that grpcio knows; newer clients ask for v1 first.

Both versions have the same messages byte for byte, so that one servicer answers both.
"""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

V1_SERVICE = "grpc.reflection.v1.ServerReflection"


def reflection_v1(services: Iterable[str]) -> grpc.GenericRpcHandler:
    """A handler of reflection v1 that lists `services` (full names) and those that every server has."""
    # Not itself: there is no v1 descriptor in this process that a client could then ask for.
    servicer = reflection.aio.ReflectionServicer([*services, reflection.SERVICE_NAME, "grpc.health.v1.Health"])
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(V1_SERVICE, {"ServerReflectionInfo": method})
