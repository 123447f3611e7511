"""Answers of the API server as errors that say what to do."""

import orjson
import pytest

from pyairtable_operator.kube_errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubeError,
    NotFoundError,
    TemporaryKubeError,
    error_of,
)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (403, "Forbidden", ForbiddenError),
        (404, "NotFound", NotFoundError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (422, "Invalid", InvalidError),
        (429, "TooManyRequests", TemporaryKubeError),
        (500, "InternalError", TemporaryKubeError),
        (503, "ServiceUnavailable", TemporaryKubeError),
        (401, "Unauthorized", KubeError),
    ],
)
def test_every_status_has_its_error(status: int, reason: str, kind: type[KubeError]) -> None:
    error = error_of(status, orjson.dumps({"reason": reason, "message": "why"}), "7", "get pods")
    assert type(error) is kind and error.status == status and error.retry_after == 7
    assert "get pods" in str(error) and "why" in str(error)


def test_an_answer_that_is_no_status_is_no_crash() -> None:
    for answer in (b"", b"<html>", b"[1]", b'"text"'):
        assert isinstance(error_of(502, answer, "soon", "get"), TemporaryKubeError)


def _conflict(*messages: str) -> ConflictError:
    causes = [{"reason": "FieldManagerConflict", "message": text, "field": ".spec.hard.pods"} for text in messages]
    error = error_of(409, orjson.dumps({"reason": "Conflict", "details": {"causes": causes}}), "", "apply")
    assert isinstance(error, ConflictError)
    return error


def test_an_editor_and_an_applier_are_told_apart() -> None:
    edit = 'conflict with "kubectl-edit" using v1 at 2026-11-22T18:00:00Z'
    assert _conflict(edit).edited
    both = _conflict(edit, 'conflict with "gitops"')
    assert not both.edited and both.managers == {"gitops": [".spec.hard.pods"]}
    assert not _conflict().edited, "a changed resourceVersion is nobody's edit"
