"""Durable work over several services: steps with keys, and compensation that is durable itself."""
