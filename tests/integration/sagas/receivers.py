"""The services that sagas call, in a process of their own: a double that keeps a ledger, as the real ones do.

What it was asked for and what it did stands in a file, one JSON line each, flushed to the disk before it answers:

    {"event": "done", "rpc": "CreateProfile", "key": "...", ...}      an effect, once for each key
    {"event": "undone", "rpc": "UndoCreateProfile", "key": "..."}     taken back
    {"event": "tombstone", ...}   {"event": "repeated", ...}   {"event": "refused", ...}

`faults.json` beside it says what to answer instead, by RPC or step: {"CreateProfile": {"code": "UNAVAILABLE", "times":
2}}; with "after": true it comes after the effect, as when an answer is lost; with "seconds" the answer is late.
{"death": {"call": 3, "after": true, "name": "..."}} kills the double itself at its third call, once for each name.
{"rows": "apply:2"} refuses each row of the writes whose keys end so.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc

from pyairtable_platform.common.errors import FailedPrecondition, Reason
from pyairtable_platform.common.status import to_status
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable_rpc
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2_grpc, record_pb2, schema_pb2
from pyairtable_protos.auth.v1 import account_service_pb2 as auth_rpc
from pyairtable_protos.auth.v1 import account_service_pb2_grpc
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc
from pyairtable_protos.users.v1 import user_service_pb2 as users_rpc
from pyairtable_protos.users.v1 import user_service_pb2_grpc
from pyairtable_protos.workspaces.v1 import provisioning_service_pb2 as provisioning_rpc
from pyairtable_protos.workspaces.v1 import provisioning_service_pb2_grpc, workspace_pb2, workspace_service_pb2_grpc
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as workspace_rpc

BASE = "appKillHarness001"
WORKSPACE = "acme"
SOURCE, TARGET = "tblKillHarness002", "tblKillHarness003"
SOURCE_ROWS = {"recSource1": {"Name": "a", "Notes": "new"}, "recSource2": {"Name": "b"}, "recSource3": {"Name": "c"}}
TARGET_ROWS = {"recTarget1": {"Name": "a", "Notes": "old"}, "recTarget2": {"Name": "b"}, "recTarget9": {"Name": "z"}}


class Ledger:
    """Effects by key, kept over a kill -9."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "ledger.jsonl").open("a")
        self._faults = folder / "faults.json"
        self._used: dict[str, int] = {}
        self._done: dict[str, dict[str, Any]] = {}
        self._undone: set[str] = set()
        self._calls: dict[str, int] = {}
        self._one_at_a_time = threading.RLock()
        for line in (folder / "ledger.jsonl").read_text().splitlines():
            entry = json.loads(line)
            if entry["event"] == "done":
                self._done[entry["key"]] = entry
            elif entry["event"] in ("undone", "tombstone"):
                self._undone.add(entry["key"])
            elif entry["event"] == "fault":
                self._used[entry["rpc"]] = self._used.get(entry["rpc"], 0) + 1

    def write(self, event: str, rpc: str, key: str, **more: Any) -> dict[str, Any]:
        with self._one_at_a_time:
            entry = {"event": event, "rpc": rpc, "key": key, "at": time.time(), **more}
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            return entry

    def once(self, rpc: str, key: str, answer: dict[str, Any]) -> dict[str, Any]:
        """An effect with a key."""
        self.fail(rpc, key, after=False)
        with self._one_at_a_time:
            if key in self._undone:
                self.write("refused", rpc, key)
                raise FailedPrecondition("what this idempotency key stood for was taken back")
            if key in self._done:
                self.write("repeated", rpc, key)
            else:
                self._done[key] = self.write("done", rpc, key, answer=answer)
        self.fail(rpc, key, after=True)
        return dict(self._done[key]["answer"])

    def undo(self, rpc: str, key: str) -> bool:
        """Take an effect back; one that never came is refused from now on."""
        self.fail(rpc, after=False)
        self.close(rpc, key)
        self.fail(rpc, after=True)
        return key in self._done

    def close(self, rpc: str, key: str) -> None:
        """Undo without a fault."""
        with self._one_at_a_time:
            if key not in self._undone:
                self.write("undone" if key in self._done else "tombstone", rpc, key)
                self._undone.add(key)

    def answers(self, kind: str, base: str) -> list[dict[str, Any]]:
        """What was answered to writes of a base, in their order."""
        with self._one_at_a_time:
            return [entry["answer"] for entry in self._done.values() if entry["answer"].get(kind) == base]

    def faults(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._faults.read_text()) if self._faults.exists() else {}
        return found

    def fail(self, rpc: str, key: str = "", *, after: bool) -> None:
        faults = self.faults()
        self._die(faults.get("death"), after=after)
        name = rpc if rpc in faults else key.partition(":")[2]
        fault = faults.get(name)
        if fault is None or fault.get("after", False) is not after or self._used.get(name, 0) >= fault["times"]:
            return
        self._used[name] = self._used.get(name, 0) + 1
        self.write("fault", name, "")
        if fault["code"] == "CONFLICT":
            raise FailedPrecondition("the double was told to refuse this", reason=Reason.CONFLICT)
        if seconds := fault.get("seconds"):
            time.sleep(seconds)
            return
        raise Told(grpc.StatusCode[fault["code"]])

    def _die(self, death: dict[str, Any] | None, *, after: bool) -> None:
        """Kill this process at a call, counted from when it was told to."""
        if death is None or death["after"] is not after:
            return
        name = death["name"]
        self._calls[name] = self._calls.get(name, 0) + 1
        if self._calls[name] == death["call"] and name not in self._used:
            self.write("fault", name, "")
            os.kill(os.getpid(), signal.SIGKILL)


class Told(Exception):
    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code)
        self.code = code


def answered(serve: Any) -> Any:
    """Our errors as statuses."""

    def method(self: Any, request: Any, call: Any) -> Any:
        try:
            return serve(self, request)
        except FailedPrecondition as error:
            status = to_status(error)
            call.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            call.abort(grpc.StatusCode.FAILED_PRECONDITION, error.message)
        except Told as told:
            call.abort(told.code, "the double was told to")

    return method


class Receivers:
    """All of them; only what sagas call."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @answered
    def LookupAccounts(self, request: Any) -> Any:
        self._ledger.fail("LookupAccounts", after=False)
        account: dict[str, Any] = {
            "email": "ada@example.com",
            "user_name": "ada",
            "state": auth_rpc.ACCOUNT_STATE_ACTIVE,
        }
        found = [auth_rpc.Account(user_id=user_id, **account) for user_id in request.user_ids]
        return auth_rpc.LookupAccountsResponse(accounts=found)

    @answered
    def SendLetter(self, request: Any) -> Any:
        self._ledger.once("SendLetter", request.idempotency_key, {})
        return auth_rpc.SendLetterResponse()

    @answered
    def SetAccountState(self, request: Any) -> Any:
        self._ledger.once("SetAccountState", request.idempotency_key, {})
        return auth_rpc.SetAccountStateResponse()

    @answered
    def ErasePerson(self, request: Any) -> Any:
        self._ledger.fail("ErasePerson", after=False)
        if not request.dry_run:
            self._ledger.once("ErasePerson", request.idempotency_key, {})
        return person_data_pb2.ErasePersonResponse(erased={"things": 1})

    @answered
    def CreateProfile(self, request: Any) -> Any:
        self._ledger.once("CreateProfile", request.idempotency_key, {})
        return users_rpc.CreateProfileResponse(user=request.user, created=True)

    @answered
    def UndoCreateProfile(self, request: Any) -> Any:
        return users_rpc.UndoCreateProfileResponse(undone=self._ledger.undo("UndoCreateProfile", request.undoes))

    @answered
    def ReserveWorkspace(self, request: Any) -> Any:
        answer = self._ledger.once("ReserveWorkspace", request.idempotency_key, {"name": request.name})
        return provisioning_rpc.ReserveWorkspaceResponse(name=answer["name"])

    @answered
    def ReleaseWorkspace(self, request: Any) -> Any:
        undone = self._ledger.undo("ReleaseWorkspace", request.undoes)
        # As the contract says, what was declared and activated under the name goes with it.
        saga = request.undoes.partition(":")[0]
        for step in ("declare_workspace", "activate_workspace"):
            self._ledger.close("ReleaseWorkspace", f"{saga}:{step}")
        return provisioning_rpc.ReleaseWorkspaceResponse(undone=undone)

    @answered
    def DeclareWorkspace(self, request: Any) -> Any:
        self._ledger.once("DeclareWorkspace", request.idempotency_key, {})
        return provisioning_rpc.DeclareWorkspaceResponse()

    @answered
    def ActivateWorkspace(self, request: Any) -> Any:
        self._ledger.once("ActivateWorkspace", request.idempotency_key, {})
        return provisioning_rpc.ActivateWorkspaceResponse()

    @answered
    def BindBase(self, request: Any) -> Any:
        self._ledger.once("BindBase", request.idempotency_key, {})
        return provisioning_rpc.BindBaseResponse(base=request.base)

    @answered
    def UnbindBase(self, request: Any) -> Any:
        return provisioning_rpc.UnbindBaseResponse(undone=self._ledger.undo("UnbindBase", request.undoes))

    @answered
    def ApplyTemplate(self, request: Any) -> Any:
        self._ledger.fail("ApplyTemplate", after=False)
        self._ledger.write("looked", "ApplyTemplate", "")
        return workspace_rpc.ApplyTemplateResponse(created=["Tasks"])

    @answered
    def VerifyBindings(self, request: Any) -> Any:
        self._ledger.fail("VerifyBindings", after=False)
        tables = [airtable_rpc.VerifiedTable(id="tblKillHarness001", name="Projects")]
        base = {"base_id": request.base_ids[0], "name": "CRM", "permission_level": "create", "tables": tables}
        return airtable_rpc.VerifyBindingsResponse(bases=[airtable_rpc.VerifiedBase(**base)])

    @answered
    def GetBaseSchema(self, request: Any) -> Any:
        self._ledger.fail("GetBaseSchema", after=False)
        fields = [schema_pb2.Field(id=f"fld{name}", name=name, type="singleLineText") for name in ("Name", "Notes")]
        named = (("tblKillHarness001", "Projects"), (SOURCE, "Source"), (TARGET, "Target"))
        tables = [schema_pb2.Table(id=table_id, name=name, fields=fields) for table_id, name in named]
        return airtable_rpc.GetBaseSchemaResponse(base_id=request.base_id, tables=tables)

    def StreamRecords(self, request: Any, call: Any) -> Iterator[Any]:
        self._ledger.fail("StreamRecords", after=False)
        rows = SOURCE_ROWS if request.table_id == SOURCE else rows_of(self._ledger, request.base_id)
        records = [record_pb2.Record(id=row_id, fields=dict_to_struct(cells)) for row_id, cells in rows.items()]
        yield airtable_rpc.StreamRecordsResponse(records=records)

    @answered
    def CreateRecords(self, request: Any) -> Any:
        ids = [f"rec{re.sub('[^0-9a-z]', '', request.idempotency_key)}{at}" for at in range(len(request.records))]
        rows = [(row_id, struct_to_dict(row.fields)) for row_id, row in zip(ids, request.records, strict=True)]
        return airtable_rpc.CreateRecordsResponse(outcomes=self._write(request, "CREATED", rows))

    @answered
    def UpdateRecords(self, request: Any) -> Any:
        rows = [(row.id, struct_to_dict(row.fields)) for row in request.records]
        return airtable_rpc.UpdateRecordsResponse(outcomes=self._write(request, "UPDATED", rows))

    @answered
    def DeleteRecords(self, request: Any) -> Any:
        rows = [(row_id, None) for row_id in request.record_ids]
        return airtable_rpc.DeleteRecordsResponse(outcomes=self._write(request, "DELETED", rows))

    def _write(self, request: Any, done: str, rows: Sequence[tuple[str, dict[str, Any] | None]]) -> list[Any]:
        """Write rows of the target (None deletes), unless told to refuse them."""
        told = self._ledger.faults().get("rows")
        refuses = told is not None and request.idempotency_key.endswith(f":{told}")
        answer = {"base": request.base_id, "state": "FAILED" if refuses else done, "rows": [] if refuses else rows}
        said = self._ledger.once(done.lower(), request.idempotency_key, answer)
        state = record_pb2.RowState.Value(f"ROW_STATE_{said['state']}")
        return [
            record_pb2.RowOutcome(index=at, record_id="" if refuses else row_id, state=state)
            for at, (row_id, _) in enumerate(rows)
        ]

    def WatchWorkspaces(self, request: Any, call: Any) -> Any:
        secret = workspace_pb2.SecretRef(name="acme-airtable", key="token")
        source = workspace_pb2.Source(kind="Api", uid="uid-1")
        known = workspace_pb2.Workspace(name=WORKSPACE, airtable_token=secret, source=source)
        snapshot = workspace_rpc.WorkspaceSnapshot(workspaces=[known])
        yield workspace_rpc.WatchWorkspacesResponse(snapshot=snapshot, registry="double", revision=1)
        while call.is_active():
            time.sleep(0.2)


def rows_of(ledger: Ledger, base: str) -> dict[str, dict[str, Any]]:
    """The target table of a base: as it was, and everything that was written to it."""
    return written(ledger.answers("base", base))


def written(answers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The target table after these writes."""
    table = {row_id: dict(cells) for row_id, cells in TARGET_ROWS.items()}
    for answer in answers:
        for row_id, cells in answer["rows"]:
            if cells is None:
                table.pop(row_id, None)
                continue
            row = {**table.get(row_id, {}), **cells}
            table[row_id] = {name: value for name, value in row.items() if value is not None}
    return table


_REGISTER = (
    account_service_pb2_grpc.add_AccountServiceServicer_to_server,
    user_service_pb2_grpc.add_UserServiceServicer_to_server,
    provisioning_service_pb2_grpc.add_ProvisioningServiceServicer_to_server,
    workspace_service_pb2_grpc.add_WorkspaceServiceServicer_to_server,
    airtable_gateway_service_pb2_grpc.add_AirtableGatewayServiceServicer_to_server,
    person_data_pb2_grpc.add_PersonDataServiceServicer_to_server,
)


class _Lenient:
    """Answers UNIMPLEMENTED for what sagas never call."""

    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._receivers, name, _unimplemented)


def _unimplemented(request: Any, call: Any) -> Any:
    call.abort(grpc.StatusCode.UNIMPLEMENTED, "sagas never call this")


def main(folder: Path, port: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
    receivers: Any = _Lenient(Receivers(Ledger(folder)))
    for register in _REGISTER:
        register(receivers, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
