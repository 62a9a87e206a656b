"""mailto: URLs, which say who gets mail and nothing else (RFC 6068)."""

import re
from urllib.parse import unquote

from service.errors import invalid
from service.guard import LONGEST_GIVEN

RECIPIENTS_MOST = 10

# No quoted local parts and no routes in them: a pattern such as *@example.com must mean that domain and no other.
_ADDRESS = re.compile(
    r"(?=.{3,254}$)[A-Za-z0-9_][A-Za-z0-9_.+'=&#~-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


def is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None


def read_recipients(url: str, field: str = "url") -> tuple[str, ...]:
    """The addresses of a mailto: URL, each once; a Problem with the reason when it is none, or says more than that."""
    scheme, _, rest = url.partition(":")
    if scheme.lower() != "mailto" or len(url) > LONGEST_GIVEN:
        raise invalid(field, "must be mailto: and the address, such as mailto:team@example.com")
    if "?" in rest:
        raise invalid(field, "must only say addresses; subject and text are those of the event")
    found = tuple(dict.fromkeys(unquote(part) for part in rest.split(",")))
    for address in found:
        if not is_address(address):
            raise invalid(field, f"{address[:100]!r} is no address such as team@example.com")
    if len(found) > RECIPIENTS_MOST:
        raise invalid(field, f"must not name more than {RECIPIENTS_MOST} addresses")
    return found
