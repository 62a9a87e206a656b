"""CloudEvents 1.0 over HTTP: the attributes as headers with the data as the body, or all of it as one JSON object."""

import re
from urllib.parse import quote, urlsplit

from service.errors import invalid
from service.formats.shape import Format, Option, Rendered, Target, Telling, post_json
from service.wire import HttpRequest, Json, dump_text, pick

TYPE_PREFIX = "dev.reelhook"
VERSION = ".v1"  # of the data: raised when they stop being compatible, and never because something was added
ABOUT_TELLING = "/subscriptions"  # the source of what is about no task; a URI reference will do
STRUCTURED = "application/cloudevents+json"

# HTTP binding, 3.1.3.2: in header values blanks, quotation marks, per cent signs and all that is not ASCII are encoded.
_AS_IT_IS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_URI = re.compile(r"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")  # RFC 3986


def render(telling: Telling, options: Json) -> Rendered:
    attributes = attributes_of(telling.envelope, options)
    data = telling.envelope["data"]
    if options.get("mode") == "structured":
        return Rendered(body=dump_text(attributes | {"datacontenttype": "application/json", "data": data}))
    headers = {f"ce-{name}": quote(_text(value), safe=_AS_IT_IS) for name, value in attributes.items()}
    return Rendered(body=dump_text(data), headers=headers)


def request(target: Target, body: str) -> HttpRequest:
    """The content type is read off the frozen body: the option may have been changed since."""
    sent = post_json(target, body)
    if not body.startswith('{"specversion":'):
        return sent
    return HttpRequest(
        method=sent.method, url=sent.url, headers={**sent.headers, "content-type": STRUCTURED}, body=sent.body
    )


def check(target: Target) -> None:
    source, prefix = target.options.get("source"), target.options.get("type_prefix")
    if source is not None and not _is_uri(source):
        raise invalid("format_options.source", "must be a URI, such as https://example.com/video or urn:example:video")
    if prefix is not None and not _PREFIX.fullmatch(prefix):
        raise invalid("format_options.type_prefix", "must be a reversed domain name in small letters: com.example")


FORMAT = Format(
    name="cloudevents",
    title="CloudEvents 1.0",
    source="CloudEvents 1.0.2; its HTTP protocol binding and JSON format; subscribers.md, sections d and g",
    render=render,
    options=(
        Option(
            name="mode",
            kind=str,
            meaning="binary: attributes as ce-* headers, the data as the body; structured: all in the body",
            default="binary",
            allowed=("binary", "structured"),
        ),
        Option(
            name="source",
            kind=str,
            meaning="the attribute source of every event; by default the gateway under this service's URL",
        ),
        Option(
            name="type_prefix",
            kind=str,
            meaning="what stands before the event type, as a reversed domain name",
            default=TYPE_PREFIX,
            longest=100,
        ),
    ),
    check=check,
    request=request,
)


def attributes_of(envelope: Json, options: Json) -> Json:
    """The context attributes; `test` is an extension, and stands in test events alone."""
    about = subject_of(envelope)
    prefix = options.get("type_prefix") or TYPE_PREFIX
    return (
        {
            "specversion": "1.0",
            "id": envelope["id"],
            "source": options.get("source") or source_of(envelope),
            "type": f"{prefix}.{envelope['type']}{VERSION}",
            "time": envelope["timestamp"],
        }
        | ({"subject": about} if about else {})
        | ({"test": True} if envelope.get("test") is True else {})
    )


def source_of(envelope: Json) -> str:
    """{this service}/gateways/{gateway}, as the event itself says it: a later replay must say the same."""
    task = pick(envelope, ("data", "task"))
    if not isinstance(task, dict):
        return ABOUT_TELLING
    base_url, _, _ = str(pick(task, ("links", "self"))).rpartition("/v1/tasks/")
    return f"{base_url}/gateways/{quote(str(task.get('gateway')), safe='')}"


def subject_of(envelope: Json) -> str | None:
    """The id of what it is about: `task` of task.succeeded, `subscription` of subscription.failing."""
    found = pick(envelope, ("data", envelope["type"].partition(".")[0], "id"))
    return found if isinstance(found, str) else None


def _text(value: object) -> str:
    return "true" if value is True else str(value)


def _is_uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path) and _URI.fullmatch(text))
