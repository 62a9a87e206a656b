"""Which addresses may be connected to, and which URLs can be sent to at all: judgements without I/O."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from service.errors import invalid

Network = IPv4Network | IPv6Network

LONGEST_GIVEN = 2 * 1024  # characters of a URL that a caller, a subscriber or the settings give
LONGEST_TOLD = 8 * 1024  # of a result link or a redirect: presigned ones carry whole session tokens

# What IANA's special-purpose registries call not globally reachable, and multicast. For IPv6 the one global block is
# named instead, less its special parts: Python's is_global says True to NAT64, 6to4 and others.
_CLOSED_V4 = tuple(
    IPv4Network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
_OPEN_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(IPv6Network(block) for block in ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"])


class _Closed(OSError):
    """An address that the guard does not let through."""


class Guard:
    """Which addresses may be connected to: the public ones, and what the operator lists (`allow`)."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allow = tuple(ip_network(block) for block in allow)

    def refusal(self, address: str) -> str | None:
        """Why an address is closed, in words; None when it is open."""
        ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if any(ip in block for block in self._allow if block.version == ip.version):
            return None
        if isinstance(ip, IPv4Address):
            closed = any(ip in block for block in _CLOSED_V4)
        else:
            closed = ip not in _OPEN_V6 or any(ip in block for block in _CLOSED_V6)
        if closed:
            return f"{ip} is not a public address; list it in egress.allow if you trust it"
        return None

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The socket for an address about to be connected; an OSError when it is closed."""
        family, kind, protocol, _, address = info
        refusal = self.refusal(address[0])
        if refusal is not None:
            raise _Closed(refusal)
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


def read_target(url: str, field: str, *, longest: int = LONGEST_GIVEN) -> tuple[str, int]:
    """(host, port) of a URL that we may be asked to send to; a Problem with the reason when it is none."""
    if len(url) > longest or any(_is_no_letter(ord(letter)) for letter in url):
        raise invalid(field, f"must be a URL of at most {longest} characters without blanks or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise invalid(field, f"is not a valid URL: {error}") from error
    if parts.scheme not in ("http", "https"):
        raise invalid(field, "must start with https:// or http://")
    if not parts.hostname:
        raise invalid(field, "has no host")
    if parts.username is not None or parts.password is not None:
        raise invalid(field, "must not carry a user name or password")
    if port == 0:
        raise invalid(field, "must not use port 0")
    return parts.hostname, port or (443 if parts.scheme == "https" else 80)


def origin_of(url: str) -> str:
    """Scheme, host and port: what a key is meant for. "" of what is no URL; nothing is raised for any text."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    except ValueError:
        return ""


def _is_no_letter(code: int) -> bool:
    """Blanks, control characters, and halves of characters, which a header can bring in and no answer can carry out."""
    return code <= 32 or code == 127 or 0xD800 <= code <= 0xDFFF
