"""Fixtures for all tests."""

from collections.abc import AsyncIterator

import pytest

from tests.hub import Hub, hub

pytest_plugins = ["tests.postgres"]


@pytest.fixture
async def hub_without_worker(tmp_path) -> AsyncIterator[Hub]:
    """A hub that takes requests and follows nothing up."""
    async with hub(tmp_path, worker=False) as it:
        yield it
