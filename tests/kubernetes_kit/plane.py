"""A control plane for tests, and the custom resources of the chart in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyairtable_devkit.cluster.control_plane import ControlPlane
from pyairtable_devkit.cluster.programs import Programs, ProgramsError, find_programs

REPOSITORY = Path(__file__).resolve().parents[2]
CRDS = REPOSITORY / "charts" / "pyairtable" / "files" / "crds"
ADMISSION = REPOSITORY / "charts" / "pyairtable" / "files" / "admission"


def strict() -> bool:
    """Return whether what is missing is a failure: in CI, and where one asks for it."""
    return bool({os.environ.get("CI"), os.environ.get("PYAIRTABLE_REQUIRE_CLUSTER")} & {"1", "true"})


def require_programs() -> Programs:
    """Return the programs of a control plane; without them the test is skipped, and in CI it fails."""
    try:
        return find_programs(os.environ)
    except ProgramsError as error:
        if strict():
            pytest.fail(f"NO CLUSTER TESTS: {error}", pytrace=False)
        pytest.skip(f"NO CLUSTER TESTS: {error}")


@contextmanager
def running_control_plane(*, audit: bool = True) -> Iterator[ControlPlane]:
    """Start a control plane of one's own (for tests that break it); nothing of it is left afterwards."""
    with ControlPlane.running(require_programs(), environment=os.environ, audit=audit) as plane:
        yield plane


def install_crds(plane: ControlPlane, folder: Path = CRDS) -> None:
    """Apply the chart's custom resource definitions and wait until the API serves them."""
    plane.kubectl("apply", "--server-side", "-f", folder)
    plane.kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", folder)
