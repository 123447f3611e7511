"""The service kit: what every service shares and nothing that only one of them needs."""
