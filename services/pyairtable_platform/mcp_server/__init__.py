"""The tool server: one registry of tools, served as MCP (streamable HTTP and stdio), gRPC and REST."""
