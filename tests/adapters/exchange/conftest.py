"""A private certificate authority for the tests of the Exchange."""

from __future__ import annotations

import pytest

from tests.fake_exchange import Authority, make_authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))
