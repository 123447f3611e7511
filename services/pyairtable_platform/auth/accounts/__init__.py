"""People's accounts: registration, logins, passwords, letters, limits and the audit of it all.

rules (names, addresses) and passwords know no I/O; limits, logins, letters, audit and store are PostgreSQL, each one
concern; service is what a person does; servicer turns messages to plain values.
"""
