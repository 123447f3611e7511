"""Which fields an update sets."""

from __future__ import annotations

import pytest

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.users import fields
from pyairtable_platform.users.masks import named_fields, set_fields
from pyairtable_platform.users.records import Preferences
from pyairtable_protos.users.v1 import user_service_pb2 as rpc


def test_a_mask_names_fields_once_and_in_their_order() -> None:
    assert named_fields(["locale", "about", "locale"], fields.PROFILE) == ["about", "locale"]


def test_a_star_is_all_fields() -> None:
    assert named_fields(["*"], fields.PROFILE) == list(fields.PROFILE)


@pytest.mark.parametrize("path", ["email", "user_id", "user.about", "about.first", "preferences", "", "deleted_at"])
def test_a_path_that_is_no_field_is_told_with_those_that_are(path: str) -> None:
    with pytest.raises(
        InvalidInput, match=r"is no field that can be set; there are: display_name, avatar_url"
    ) as refusal:
        named_fields(["about", path], fields.PROFILE)
    assert refusal.value.violations[0].field == "update_mask"


def test_without_a_mask_the_fields_count_that_are_not_empty() -> None:
    assert set_fields(rpc.UpdateMyProfileRequest(about="x", locale="de"), fields.PROFILE) == ["about", "locale"]


def test_every_field_that_can_be_set_is_one_of_the_contract() -> None:
    assert set(fields.PROFILE) == set(rpc.UpdateMyProfileRequest.DESCRIPTOR.fields_by_name) - {"update_mask"}
    assert set(fields.PREFERENCES) == set(rpc.Preferences.DESCRIPTOR.fields_by_name)
    assert set(fields.PREFERENCES) == set(Preferences.__dataclass_fields__)
