"""The demo: asks the running platform what its users ask, and checks every answer against Airtable's own data."""
