"""Sees every send of a process before it happens, whichever thread makes it, and may kill somebody instead.

strace injects by count of one thread, and DBOS sends from threads of its own; so the kernel itself is asked: a filter
of seccomp (Linux 5.6 and later) hands every send to us, and the thread waits in it until we let it go on
(`man 2 seccomp_unotify`). No code of the service is changed, and no privilege is needed.

    in the process, before it has threads:    number = install()
    here:                                     watch = Watch(pid, number, before_send); ... watch.join()
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

MOST_BYTES = 32_768
"""So much of a send is looked at."""

REFUSED = -2
"""In the place of the number, when the system does not let sends be watched."""

_MACHINES = {  # AUDIT_ARCH, then the numbers of seccomp, sendto, sendmsg, sendmmsg
    "x86_64": (0xC000003E, 317, 44, 46, 307),
    "aarch64": (0xC00000B7, 277, 206, 211, 269),
}
_PIDFD_GETFD = 438
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_NOTICE = struct.Struct("=QIIiIQ6Q")
_REPLY = struct.Struct("=QqiI")
_GO_ON = 1


@dataclass(frozen=True)
class Send:
    """A send that is about to happen: who makes it, from which port to which, and what (its begin)."""

    process: int
    thread: int
    own_port: int
    port: int
    data: bytes


def install() -> int:
    """Have this process, and the threads that it will start, ask before each send; number of the file to ask at."""
    arch, seccomp, *sends = _numbers()
    code = [
        _bpf(0x20, 0, 0, 4),  # load the architecture
        _bpf(0x15, 1, 0, arch),
        _bpf(0x06, 0, 0, 0x7FFF0000),  # another one: allow
        _bpf(0x20, 0, 0, 0),  # load the number of the call
        *(_bpf(0x15, len(sends) - at, 0, number) for at, number in enumerate(sends)),
        _bpf(0x06, 0, 0, 0x7FFF0000),
        _bpf(0x06, 0, 0, 0x7FC00000),  # ask
    ]
    program = ctypes.create_string_buffer(b"".join(code))
    header = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    number = libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, header)
    if number < 0:
        raise OSError(ctypes.get_errno(), "seccomp does not let us watch sends: is this Linux 5.6 or later?")
    return int(number)


class Watch(threading.Thread):
    """Asks `before_send` about every send of a process; ends with the process."""

    def __init__(self, pid: int, number: int, before_send: Callable[[Send], None]) -> None:
        super().__init__(name=f"sends of {pid}", daemon=True)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._pid = pid
        self._process = os.pidfd_open(pid)
        self._notices = self._take(number)
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        self._before_send = before_send
        self._sendto = _numbers()[2]
        self.fault: BaseException | None = None
        self.start()

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._notices, select.POLLIN)
        try:
            while poll.poll()[0][1] & select.POLLIN:
                self._one()
        finally:
            for number in (self._notices, self._process, self._memory):
                os.close(number)

    def _one(self) -> None:
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(self._notices, _RECEIVE, notice)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):  # it died, or a signal came in between: it asks anew
                return
            raise
        identity, thread, _, call, _, _, *arguments = _NOTICE.unpack(notice)
        try:
            send = self._read(thread, call, arguments)
            if send is not None:
                self._before_send(send)
        except Exception as error:
            self.fault = error
        with suppress(FileNotFoundError):
            fcntl.ioctl(self._notices, _ANSWER, bytearray(_REPLY.pack(identity, 0, 0, _GO_ON)))

    def _read(self, thread: int, call: int, arguments: list[int]) -> Send | None:
        """What is sent; None for what stays inside of the process, and for a process that is dead by now."""
        try:
            with socket.socket(fileno=self._take(arguments[0])) as copy:
                if copy.family == socket.AF_UNIX:
                    return None
                own_port, port = copy.getsockname()[1], copy.getpeername()[1]
            return Send(self._pid, thread, own_port, port, self._data(call, arguments))
        except OSError:
            return None

    def _data(self, call: int, arguments: list[int]) -> bytes:
        if call == self._sendto:
            return os.pread(self._memory, min(arguments[2], MOST_BYTES), arguments[1])
        parts, count = struct.unpack("QQ", os.pread(self._memory, 16, arguments[1] + 16))
        found = b""
        for at in range(min(count, 64)):
            address, length = struct.unpack("QQ", os.pread(self._memory, 16, parts + 16 * at))
            found += os.pread(self._memory, min(length, MOST_BYTES - len(found)), address)
        return found

    def _take(self, number: int) -> int:
        """A copy of an open file of the process."""
        copy = self._libc.syscall(_PIDFD_GETFD, self._process, number, 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), "the process's files cannot be had")
        return int(copy)


def _numbers() -> tuple[int, ...]:
    if platform.machine() not in _MACHINES:
        raise OSError(f"the kill harness does not know the calls of {platform.machine()}: add them to _MACHINES")
    return _MACHINES[platform.machine()]


def _bpf(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
