"""People: profiles, preferences, and what the installation keeps about a person."""
