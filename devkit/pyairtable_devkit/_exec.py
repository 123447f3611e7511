"""Becomes another program that dies with its parent; run as a script, never imported.

    python -I -S _exec.py PARENT_PID DEATH_SIGNAL USER PROGRAM [ARGUMENT ...]

It is a program of its own, and not a `preexec_fn`, because Python code between fork and exec can deadlock in
a parent that has threads. USER is empty to stay who we are.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    parent, death_signal, user, *argv = sys.argv[1:]
    if user:
        become(user)
    if sys.platform == "linux":  # after become(): a change of user clears it
        die_with(int(parent), int(death_signal))
    os.execv(argv[0], argv)  # noqa: S606


def become(user: str) -> None:
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def die_with(parent: int, death_signal: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # the parent died before we asked
        os._exit(1)


main()
