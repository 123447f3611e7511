"""For all tests: properties are judged by what they find, never by how long the machine took for an example."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")
