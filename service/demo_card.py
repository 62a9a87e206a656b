"""A Slack message as a panel in the terminal."""

import html
import re

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from service.wire import Json

WIDTH = 76  # columns
_MARKS = re.compile(r"<(?P<url>[^|>]+)\|(?P<label>[^>]+)>|\*(?P<bold>[^*\n]+)\*|^&gt;|^>", re.MULTILINE)


def panel_of(message: Json, channel: str) -> Panel:
    """channel: where it was posted, for the title."""
    parts = [_part(block) for block in message["blocks"]]
    return Panel(Group(*parts), title=f"Slack, {channel}", title_align="left", width=WIDTH, border_style="magenta")


def _part(block: Json) -> RenderableType:
    match block["type"]:
        case "header":
            return Text(block["text"]["text"], style="bold")
        case "section" if "fields" in block:
            table = Table.grid(padding=(0, 3), expand=True)
            fields = [mrkdwn(field["text"]) for field in block["fields"]]
            for left, right in zip(fields[::2], [*fields[1::2], Text()], strict=False):
                table.add_row(left, right)
            return table
        case "section":
            return mrkdwn(block["text"]["text"])
        case "context":
            return Text(" ").join(mrkdwn(each["text"]) for each in block["elements"])
        case kind:
            return Text(f"[{kind}]", style="dim")


def mrkdwn(text: str) -> Text:
    """Slack's bold, quotes and links; what stands between them, as it is."""
    shown, end = Text(), 0
    for mark in _MARKS.finditer(text):
        shown.append(html.unescape(text[end : mark.start()]))
        end = mark.end()
        if mark["url"]:
            shown.append(html.unescape(mark["label"]), style=f"underline cyan link {html.unescape(mark['url'])}")
        elif mark["bold"]:
            shown.append(html.unescape(mark["bold"]), style="bold")
        else:
            shown.append("│ ", style="dim")
    return shown.append(html.unescape(text[end:]))
