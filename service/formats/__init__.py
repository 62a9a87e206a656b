"""The formats that events are told in, one entry for each; what one is stands in `shape`."""

from collections.abc import Mapping

from service.formats import (
    cloudevents,
    discord,
    email,
    flat,
    gateway,
    mattermost,
    ntfy,
    rocketchat,
    slack,
    standard,
    teams,
    telegram,
    thin,
    webpush,
)
from service.formats.shape import Format

_DATA = (standard, flat, thin, cloudevents)
_CHATS = (slack, mattermost, rocketchat, discord, teams, telegram, ntfy)
_PEOPLE = (email, webpush)

FORMATS: Mapping[str, Format] = {room.FORMAT.name: room.FORMAT for room in (*_DATA, *_CHATS, *_PEOPLE, gateway)}

OFFERED = tuple(name for name, shape in FORMATS.items() if shape.offered)
"""What a subscription may ask for; `gateway` is for the one-shot callbacks of the compatible API."""
