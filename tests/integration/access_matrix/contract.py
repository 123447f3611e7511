"""Every RPC of the contract, from its descriptors."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from google.protobuf.descriptor import MethodDescriptor

import pyairtable_protos


@functools.cache
def every_rpc() -> tuple[MethodDescriptor, ...]:
    """All RPCs of all services, by name."""
    found: list[MethodDescriptor] = []
    for module in pkgutil.walk_packages(pyairtable_protos.__path__, "pyairtable_protos."):
        if module.name.endswith("_pb2") and ".v1." in module.name:
            services = importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()
            found.extend(method for service in services for method in service.methods)
    return tuple(sorted(found, key=lambda method: str(method.full_name)))
