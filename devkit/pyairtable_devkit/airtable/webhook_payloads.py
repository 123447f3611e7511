"""Which part of a transaction a webhook is told, and in which form (Airtable docs: webhooks payload)."""

from typing import Any

from pyairtable_devkit.airtable.clock import to_iso
from pyairtable_devkit.airtable.model import User
from pyairtable_devkit.airtable.webhook_changes import RecordChange, SchemaChange, Transaction
from pyairtable_devkit.airtable.webhook_model import CHANGE_TYPES, Webhook

Json = dict[str, Any]


def payload(hook: Webhook, transaction: Transaction, timestamp: str, user: User) -> Json | None:
    """The payload for this webhook, None when its filters leave nothing."""
    sources = hook.filters.get("fromSources")
    if sources and transaction.source not in sources:
        return None
    changed: dict[str, Json] = {}
    created: dict[str, Json] = {}
    destroyed: list[str] = []
    _add_records(hook, transaction, changed)
    for table_id, change in transaction.tables.items():
        _add_schema(hook, table_id, change, changed, created, destroyed)
    if not (changed or created or destroyed):
        return None
    told: Json = {
        "timestamp": timestamp,
        "baseTransactionNumber": transaction.base.transactions,
        "payloadFormat": "v0",
        "actionMetadata": _action(transaction, user),
    }
    parts = {"changedTablesById": changed, "createdTablesById": created, "destroyedTableIds": destroyed}
    return told | {name: part for name, part in parts.items() if part}


def broken(code: str, timestamp: str, transaction_number: int) -> Json:
    """The entry that tells a webhook is of no use any more, such as INVALID_HOOK."""
    return {
        "timestamp": timestamp,
        "baseTransactionNumber": transaction_number,
        "payloadFormat": "v0",
        "error": True,
        "code": code,
    }


def _action(transaction: Transaction, user: User) -> Json:
    person = user.as_collaborator() | {"permissionLevel": "create"}
    return {"source": transaction.source, "sourceMetadata": {"user": person}}


def _add_records(hook: Webhook, transaction: Transaction, changed: dict[str, Json]) -> None:
    if "tableData" not in hook.filters["dataTypes"]:
        return
    scope = hook.filters.get("recordChangeScope", "")
    for change in transaction.records:
        table_id = change.table.id
        if scope.startswith("tbl") and scope != table_id:
            continue
        if scope.startswith("viw"):
            if scope not in change.views_before | change.views_after:
                continue
            there, here = scope in change.views_before, scope in change.views_after
            part: Json = {}
            _add_record(hook, change, part, was_there=there, is_here=here)
            if part:
                views = changed.setdefault(table_id, {}).setdefault("changedViewsById", {})
                _merge(views.setdefault(scope, {}), part)
            continue
        part = {}
        _add_record(hook, change, part, was_there=change.before is not None, is_here=change.after is not None)
        if part:
            _merge(changed.setdefault(table_id, {}), part)


def _merge(into: Json, part: Json) -> None:
    for name, value in part.items():
        if isinstance(value, list):
            into.setdefault(name, []).extend(value)
        else:
            into.setdefault(name, {}).update(value)


def _add_record(hook: Webhook, change: RecordChange, part: Json, *, was_there: bool, is_here: bool) -> None:
    """One record as created, changed or destroyed, from the point of view of a table or of a view."""
    kinds = hook.filters.get("changeTypes") or CHANGE_TYPES
    watched = set(hook.filters.get("watchDataInFieldIds") or change.table.fields)
    record_id = change.record.id
    if was_there and not is_here:
        if "remove" in kinds:
            part["destroyedRecordIds"] = [record_id]
    elif is_here and not was_there:
        if "add" in kinds:
            part["createdRecordsById"] = {record_id: _created(change)}
    elif "update" in kinds:
        fields = [key for key in change.changed_fields() if key in watched]
        if fields:
            part["changedRecordsById"] = {record_id: _changed(hook, change, fields)}


def _created(change: RecordChange) -> Json:
    return {"createdTime": to_iso(change.record.created_time), "cellValuesByFieldId": change.after or {}}


def _changed(hook: Webhook, change: RecordChange, fields: list[str]) -> Json:
    before, after = change.before or {}, change.after or {}
    told: Json = {"current": {"cellValuesByFieldId": {key: after.get(key) for key in fields}}}
    if hook.includes.get("includePreviousCellValues"):
        told["previous"] = {"cellValuesByFieldId": {key: before.get(key) for key in fields}}
    wanted = hook.includes.get("includeCellValuesInFieldIds")
    if wanted:
        same = change.table.fields if wanted == "all" else wanted
        unchanged = {key: after.get(key) for key in same if key not in fields and key in change.table.fields}
        told["unchanged"] = {"cellValuesByFieldId": unchanged}
    return told


def _add_schema(
    hook: Webhook,
    table_id: str,
    change: SchemaChange,
    changed: dict[str, Json],
    created: dict[str, Json],
    destroyed: list[str],
) -> None:
    filters = hook.filters
    scope = filters.get("recordChangeScope", "")
    if scope.startswith("tbl") and scope != table_id:
        return
    kinds = filters.get("changeTypes") or CHANGE_TYPES
    about_tables = "tableMetadata" in filters["dataTypes"]
    if change.before is None and change.after is not None:
        if about_tables and "add" in kinds:
            created[table_id] = {
                "metadata": change.after["metadata"],
                "fieldsById": change.after["fields"],
                "recordsById": {},
            }
    elif change.after is None:
        if about_tables and "remove" in kinds:
            destroyed.append(table_id)
    elif change.before is not None:
        part = _changed_table(hook, change.before, change.after, kinds, about_tables)
        if part:
            changed.setdefault(table_id, {}).update(part)


def _changed_table(hook: Webhook, before: Json, after: Json, kinds: Any, about_tables: bool) -> Json:
    part: Json = {}
    if about_tables and "update" in kinds and before["metadata"] != after["metadata"]:
        part["changedMetadata"] = {"current": after["metadata"], "previous": before["metadata"]}
    if "tableFields" in hook.filters["dataTypes"]:
        old, new = before["fields"], after["fields"]
        watched = set(hook.filters.get("watchSchemasOfFieldIds") or {**old, **new})
        came = {key: new[key] for key in new if key not in old and key in watched}
        differ = [key for key in new if key in old and old[key] != new[key] and key in watched]
        gone = [key for key in old if key not in new and key in watched]
        if came and "add" in kinds:
            part["createdFieldsById"] = came
        if differ and "update" in kinds:
            part["changedFieldsById"] = {key: _changed_field(hook, old[key], new[key]) for key in differ}
        if gone and "remove" in kinds:
            part["destroyedFieldIds"] = gone
    return part


def _changed_field(hook: Webhook, before: Json, after: Json) -> Json:
    told: Json = {"current": after}
    if hook.includes.get("includePreviousFieldDefinitions"):
        told["previous"] = before
    return told
