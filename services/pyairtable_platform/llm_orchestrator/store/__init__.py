"""Sessions, runs and their logs in PostgreSQL. The only place with SQL."""
