"""REST from the contract: routes, JSON and OpenAPI are made from the `google.api.http` options of the protos.

`routes` lists the bindings of a service, `transcoding` turns a request into a message and back, `handler` serves one
binding over a channel, `sse` renders streams, `openapi` describes it all. Nothing here knows a particular service.
"""
