"""The types of sagas there are."""

from pyairtable_platform.sagas.definition import Catalog

from .base_connection import BASE_CONNECTION
from .person_erasure import PERSON_ERASURE
from .table_sync import TABLE_SYNC
from .user_onboarding import USER_ONBOARDING
from .workspace_creation import WORKSPACE_CREATION

CATALOG = Catalog((BASE_CONNECTION, PERSON_ERASURE, TABLE_SYNC, USER_ONBOARDING, WORKSPACE_CREATION))
