"""The fence, and the Lease's rules for whether it is free."""

import time

import pytest

from pyairtable_operator.fence import Fence, NotLeaderError
from pyairtable_operator.lease import Lease
from pyairtable_operator.metrics import Metrics


def test_the_fence_is_shut_until_it_is_opened_and_after_its_time() -> None:
    fence = Fence()
    with pytest.raises(NotLeaderError):
        fence.check()
    fence.extend(time.monotonic() + 60)
    fence.check()
    fence.extend(time.monotonic() - 0.001)
    with pytest.raises(NotLeaderError):
        fence.check()
    fence.extend(time.monotonic() + 60)
    fence.close()
    with pytest.raises(NotLeaderError):
        fence.check()


def test_a_lease_is_free_when_it_was_given_back_or_has_not_moved_for_its_duration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr("pyairtable_operator.lease.time.monotonic", lambda: clock[0])
    lease = Lease(None, Fence(), Metrics(), "system", "me", 15)  # type: ignore[arg-type]
    held = {"holderIdentity": "other", "leaseDurationSeconds": 15}
    assert lease._free({"holderIdentity": ""}, "1")
    assert not lease._free(held, "1")
    clock[0] += 14
    assert not lease._free(held, "1")
    assert not lease._free(held, "2"), "it moved: counted anew, whatever the clock on the wall says"
    clock[0] += 14
    assert not lease._free(held, "2")
    clock[0] += 2
    assert lease._free(held, "2")
