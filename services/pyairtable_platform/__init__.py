"""The PyAirtable services: one folder a service, what they share in `common`, started by `cli`."""

__version__ = "0.1.0"
