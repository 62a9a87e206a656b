"""No dialect is without a class that says what its documentation says."""

from importlib import import_module
from pathlib import Path

import pytest

from service.dialects import DIALECTS
from tests.dialects.contract import GatewayContract


@pytest.mark.parametrize("name", DIALECTS)
def test_every_gateway_inherits_the_contract(name: str) -> None:
    path = Path(__file__).parent / f"test_{name}.py"
    assert path.exists(), f"write tests/dialects/{path.name}: tests/dialects/contract.py says what stands in it"
    held = vars(import_module(f"tests.dialects.{path.stem}")).values()
    classes = [each for each in held if isinstance(each, type) and issubclass(each, GatewayContract)]
    stated = [each.__dict__.get("gateway") for each in classes if each.__name__.startswith("Test")]
    assert stated == [name], f"{path.name} needs one class TestX(GatewayContract) that says gateway = {name!r}"
