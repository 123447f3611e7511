"""The workspace registry: what tenants there are, told to the data plane as it changes."""
