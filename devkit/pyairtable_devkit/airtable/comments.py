"""Comments on records (Airtable docs: comments). Only the author may change or delete one."""

import re
from typing import Any

from pyairtable_devkit.airtable import errors
from pyairtable_devkit.airtable.clock import to_iso
from pyairtable_devkit.airtable.emulator import Call, Emulator
from pyairtable_devkit.airtable.model import Comment
from pyairtable_devkit.airtable.records import existing

MAX_PAGE = 100
_MENTION = re.compile(r"@\[(usr[0-9A-Za-z]{14})\]")


def list_comments(emulator: Emulator, call: Call) -> Any:
    """GET .../comments: newest first; the offset is null on the last page."""
    newest_first = existing(emulator, call).comments[::-1]
    query = dict(call.query)
    size = _page_size(query.get("pageSize"))
    start = 0
    if offset := query.get("offset"):
        ids = [comment.id for comment in newest_first]
        if offset not in ids:
            raise errors.typed(422, "INVALID_OFFSET_VALUE", f"The value of offset {offset} is invalid")
        start = ids.index(offset)
    page = newest_first[start : start + size]
    more = newest_first[start + size :] if size else []
    return {
        "comments": [_as_json(emulator, comment) for comment in page],
        "offset": more[0].id if more else None,
    }


def create_comment(emulator: Emulator, call: Call) -> Any:
    """POST .../comments, optionally as a reply to another comment."""
    record = existing(emulator, call)
    body = call.body_object()
    parent = body.get("parentCommentId")
    if parent is not None and parent not in [comment.id for comment in record.comments]:
        raise errors.typed(404, "MODEL_ID_NOT_FOUND", "Comment not found")
    world = emulator.world
    now = world.clock.now()
    comment = Comment(world.ids.new("com"), call.token.user_id, _text(body), now, parent_id=parent)
    record.comments.append(comment)
    return _as_json(emulator, comment)


def update_comment(emulator: Emulator, call: Call) -> Any:
    """PATCH .../comments/{com}: a new text."""
    comment = _own(emulator, call)
    comment.text = _text(call.body_object())
    comment.last_updated_time = emulator.world.clock.now()
    return _as_json(emulator, comment)


def delete_comment(emulator: Emulator, call: Call) -> Any:
    """DELETE .../comments/{com}."""
    comment = _own(emulator, call)
    existing(emulator, call).comments.remove(comment)
    return {"id": comment.id, "deleted": True}


def _own(emulator: Emulator, call: Call) -> Comment:
    for comment in existing(emulator, call).comments:
        if comment.id == call.params["com"]:
            if comment.author_id != call.token.user_id:
                raise errors.role_too_low()
            return comment
    raise errors.typed(404, "MODEL_ID_NOT_FOUND", "Comment not found")


def _text(body: dict[str, Any]) -> str:
    text = body.get("text")
    if not isinstance(text, str) or not text:
        raise errors.bad_request()
    return text


def _page_size(text: str | None) -> int:
    if text is None:
        return MAX_PAGE
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PAGE:
        raise errors.bad_request()
    return int(text)


def _as_json(emulator: Emulator, comment: Comment) -> dict[str, Any]:
    users = emulator.world.users
    mentioned = {
        key: {"id": key, "type": "user", "displayName": users[key].name, "email": users[key].email}
        for key in _MENTION.findall(comment.text)
        if key in users
    }
    answer: dict[str, Any] = {
        "id": comment.id,
        "author": users[comment.author_id].as_collaborator(),
        "text": comment.text,
        "createdTime": to_iso(comment.created_time),
        "lastUpdatedTime": to_iso(comment.last_updated_time) if comment.last_updated_time else None,
    }
    if mentioned:
        answer["mentioned"] = mentioned
    if comment.parent_id is not None:
        answer["parentCommentId"] = comment.parent_id
    return answer
