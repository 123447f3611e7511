"""Credentials: access keys of workspaces, and the signed identity tokens that every service verifies by itself."""
