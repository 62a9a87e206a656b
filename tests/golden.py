"""Reader of the golden messages in fixtures/: each is one documented example, as the documentation has it.

# source, where there is one
POST /path            of a request;  HTTP 200  of a response
Header: value

body
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.wire import loads

FIXTURES = Path(__file__).parent.parent / "fixtures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """One message. name: the file's, without `.http`. method and path of a request, status of a response."""

    gateway: str
    name: str
    source: str
    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return loads(self.body)

    def __str__(self) -> str:
        return f"{self.gateway}/{self.name}"


def golden(gateway: str, name: str) -> Golden:
    """The message `fixtures/<gateway>/<name>.http`."""
    text = (FIXTURES / gateway / f"{name}.http").read_text(encoding="utf-8")
    head, _, body = text.partition("\n\n")
    lines = head.strip().split("\n")
    source = " ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    first, *headers = [line for line in lines if not line.startswith("# ")]
    method, _, target = first.partition(" ")
    answer = method == "HTTP"
    return Golden(
        gateway=gateway,
        name=name,
        source=source,
        method="" if answer else method,
        path="" if answer else target,
        status=int(target) if answer else 0,
        headers={key.lower(): value.strip() for key, _, value in (line.partition(":") for line in headers)},
        body=body.strip().encode(),
    )


def goldens(pattern: str) -> list[Golden]:
    """Every message whose name matches, of all gateways: `create-*.request` are all create requests."""
    return [
        golden(path.parent.name, path.name.removesuffix(".http")) for path in sorted(FIXTURES.glob(f"*/{pattern}.http"))
    ]
