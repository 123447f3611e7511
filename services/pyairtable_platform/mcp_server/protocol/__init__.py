"""The tools as MCP: what a client may ask (tools, resources, prompts, completion) and the two transports."""
