"""The formats that events are told in, one entry for each; what one is stands in `shape`."""

from collections.abc import Mapping

from service.formats import discord, gateway, mattermost, ntfy, rocketchat, slack, standard, teams, telegram
from service.formats.shape import Format

FORMATS: Mapping[str, Format] = {
    room.FORMAT.name: room.FORMAT
    for room in (standard, gateway, slack, mattermost, rocketchat, discord, teams, ntfy, telegram)
}

OFFERED = tuple(name for name, shape in FORMATS.items() if shape.offered)
"""What a subscription may ask for; `gateway` is for the one-shot callbacks of the compatible API."""
