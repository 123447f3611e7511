"""The example that people apply names our API group and version."""

from pathlib import Path

import yaml

from pyairtable_operator import constants

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_every_workspace_example_is_of_our_api_version() -> None:
    documents = [
        document
        for file in EXAMPLES.rglob("workspace*.yaml")
        for document in yaml.safe_load_all(file.read_text())
        if document["kind"] == "Workspace"
    ]
    assert documents
    assert {document["apiVersion"] for document in documents} == {constants.API_VERSION}
