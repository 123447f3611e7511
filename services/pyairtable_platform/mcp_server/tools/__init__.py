"""The tools, a module per subject. They see Airtable through `model.Gateway` only: no gRPC, HTTP or MCP here."""
