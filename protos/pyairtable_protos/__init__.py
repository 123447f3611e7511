"""Generated Python of the contract. Never edited: `make protos` writes it from protos/pyairtable."""

from importlib import resources


def comments_text() -> str:
    """The contract's comments by full name, as JSON: the descriptors of the runtime hold none."""
    return resources.files(__name__).joinpath("comments.json").read_text()
