"""What the orchestrator can be told."""

from __future__ import annotations

from pydantic import Field, SecretStr

from pyairtable_platform.common.secret_sources import SecretSettings
from pyairtable_platform.common.self_service import SelfServiceSettings
from pyairtable_platform.common.settings import DatabaseSettings, McpServerPeer, ServiceSettings, WorkspacesPeer


class Settings(SelfServiceSettings, ServiceSettings, SecretSettings, DatabaseSettings, WorkspacesPeer, McpServerPeer):
    """Settings of llm-orchestrator."""

    http_port: int = Field(default=8003, ge=0, le=65535)
    """REST, /health, /ready and /metrics. 0 takes a free port."""

    grpc_port: int = Field(default=9003, ge=0, le=65535)
    """gRPC. 0 takes a free port."""

    request_timeout_seconds: float = Field(default=200, gt=0, le=3600)
    """Deadline of a call whose caller set none; longer than a turn may take."""

    gemini_api_key: SecretStr | None = None
    """Key of the model provider for workspaces that name none of their own; without it those have no chat."""

    gemini_api_url: str = ""
    """Address of the model API; empty is Google's."""

    gemini_model: str = Field(default="gemini-3.8-flash", min_length=1, max_length=100)
    """Model of workspaces that choose none. Known ones with their prices stand in models.yaml."""

    thinking_budget: int | None = Field(default=None, ge=-1, le=1_000_000)
    """Tokens the model may think, mapped to the knob it has; unset or -1 leaves it to the model, 0 is the least."""

    max_output_tokens: int = Field(default=16_384, ge=256, le=65_536)
    """Tokens of one answer of the model, thinking included."""

    model_attempts: int = Field(default=4, ge=1, le=10)
    """How often a call to the model is made when the provider is away, overloaded or limits us."""

    mcp_tools_enabled: bool = True
    """Give the model tools; false is a plain chat."""

    mcp_server_url: str = "http://127.0.0.1:8001/mcp"
    """The tool server over MCP."""

    use_http_mcp: bool = True
    """Call tools over MCP (MCP_SERVER_URL); false is gRPC (MCP_SERVER_TARGET)."""

    max_tool_rounds: int = Field(default=20, ge=1, le=200)
    """How often the model may call tools in one turn."""

    max_calls_per_round: int = Field(default=16, ge=1, le=100)
    """How many calls of one answer are made."""

    max_parallel_calls: int = Field(default=6, ge=1, le=50)
    """How many of them at a time."""

    max_same_calls: int = Field(default=3, ge=1, le=20)
    """How often the same call may be repeated while nothing changes."""

    tool_timeout_seconds: float = Field(default=60, gt=0, le=600)
    """How long one tool call may take."""

    tool_result_characters: int = Field(default=60_000, ge=1_000, le=2_000_000)
    """How much of a tool's result the model is told."""

    turn_seconds: float = Field(default=180, gt=0, le=3600)
    """How long a turn may take, takeovers included."""

    history_tokens: int = Field(default=60_000, ge=0, le=1_000_000)
    """How much of the conversation is sent, in whole turns (a token counted as four characters)."""

    max_runs: int = Field(default=50, ge=1, le=1000)
    """Turns that this process works on at a time; more wait."""

    lease_seconds: float = Field(default=15, ge=0.5, le=600)
    """After this time without a sign of life a worker counts as dead and its runs are taken over."""
