"""Every setting of Reelhook: its name, type, default and meaning."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, NewType

from service.clock import DAY, HOUR, MINUTE, SECOND

Span = NewType("Span", int)
"""Milliseconds, written with a unit."""

UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
SECRET_LEAST = 16

# Together three days, as the field does it (gateways.md F8.7).
_RETRIES = tuple(
    Span(pause)
    for pause in (
        *(5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE),
        *(2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, DAY + 3 * HOUR),
    )
)


def setting(
    default: Any, meaning: str, *, low: int | None = None, high: int | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A field of a settings class with its documentation."""
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitSettings:
    """How creates are sent."""

    wait: Span = setting(Span(10 * SECOND), "How long a native submit waits for the gateway before it answers 202.")
    timeout: Span = setting(
        Span(10 * MINUTE),
        "How long a gateway may take to answer a create; after that the outcome counts as unknown.",
        low=SECOND,
    )
    lease: Span = setting(
        Span(30 * SECOND),
        "How soon a create that a stopped process left behind is doubted; renewed while the create goes on.",
        low=100,
    )
    unclaimed: Span = setting(
        Span(2 * HOUR),
        "How long a task of unknown outcome stays open where no callback can ever claim it.",
        low=SECOND,
    )
    repeat_window: Span = setting(
        Span(5 * MINUTE),
        "For how long the same create by a gateway's own API is the same task again, when its caller went away before "
        "it was answered; 0ms: never.",
        low=0,
    )
    prepare_timeout: Span = setting(
        Span(MINUTE), "How long a gateway may take to take in or moderate an image before it is asked again.", low=10
    )
    body_limit: int = setting(32 * 2**20, "The largest request body that is accepted, in bytes.", low=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSettings:
    """How gateways are asked about tasks."""

    first_guess: Span = setting(
        Span(90 * SECOND), "How long a task usually takes, until five of its kind have been measured.", low=10
    )
    timeout: Span = setting(Span(30 * SECOND), "How long a gateway may take to answer a question.", low=10)
    deadline: Span = setting(
        Span(2 * DAY), "When a task expires that names no execution_expires_after of its own.", low=SECOND
    )
    grace: Span = setting(
        Span(10 * MINUTE), "How long after its deadline a task may still be settled by the gateway's word.", low=0
    )
    result_grace: Span = setting(
        Span(60 * SECOND), "How long a gateway may say `succeeded` before it shows the result.", low=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """How subscribers are told."""

    timeout: Span = setting(
        Span(15 * SECOND), "The total deadline of one attempt; a clean stop waits as long for those under way.", low=10
    )
    concurrency: int = setting(256, "Attempts under way at once, in this process.", low=1)
    per_subscription: int = setting(16, "Attempts under way at once for one subscription.", low=1)
    subscriptions: int = setting(
        1_000, "Subscriptions that one owner may have; each event is made for all of them.", low=1
    )
    answer_cap: int = setting(64 * 1024, "How much of an answer is read, in bytes.", low=0)
    retries: tuple[Span, ...] = setting(
        _RETRIES,
        "The pauses between attempts, each drawn between nothing and its double; when they are used up the delivery is "
        "exhausted.",
    )
    disable_after: Span = setting(
        Span(5 * DAY),
        "How long a subscription may fail without a single success before it is disabled; it is announced at 50, 70 "
        "and 90 per cent of that.",
        low=10,
    )
    disable_failures: int = setting(10, "How many failures in a row there must be besides.", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailSettings:
    """The mail server for subscriptions of the format `email`; without one there are none. Its address is subject to
    `egress.allow` like any other."""

    host: str | None = setting(None, "The mail server.")
    port: int = setting(587, "Its port; 465 is the usual one for `tls`.", low=1, high=65_535)
    security: str = setting(
        "starttls",
        "How the connection is secured: by STARTTLS, which is insisted on, by TLS from the start, or not at all.",
        choices=("starttls", "tls", "none"),
    )
    ca_file: str | None = setting(
        None, "A PEM file with the authorities that vouch for it; by default those of the system."
    )
    username: str | None = setting(None, "The user name, where it wants one.")
    password: str | None = setting(None, "The password that belongs to it.")
    sender: str | None = setting(None, "Who the messages are from, such as Reelhook <reelhook@example.com>.")
    recipients: tuple[str, ...] = setting(
        (), "Whom owners may have messages sent to: addresses, or patterns such as *@example.com; by default nobody."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPushSettings:
    """Push messages to browsers, for subscriptions of the format `webpush`; they need `reelhook[webpush]`."""

    contact: str | None = setting(
        None, "Whom a push service can turn to, as mailto: or https://; without it nothing is pushed."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How events are streamed (`GET /v1/stream`)."""

    heartbeat: Span = setting(
        Span(15 * SECOND),
        "How long a stream may be silent before it says that it is still there; whether its key is still good is seen "
        "as often.",
        low=10,
        high=30 * SECOND,
    )
    idle: Span = setting(
        Span(30 * SECOND), "How long a reader may take nothing of what is sent before the stream is broken off.", low=10
    )
    concurrency: int = setting(256, "Streams open at once, in this process; more are answered 429.", low=1)
    per_owner: int = setting(32, "Streams of one owner open at once, in this process.", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSettings:
    """How results are passed on."""

    link_lifetime: Span = setting(
        Span(7 * DAY),
        "How long after its end a task's signed content link is good; gateways forget a task after about a week.",
        low=SECOND,
    )
    idle: Span = setting(
        Span(30 * SECOND), "The longest pause between two pieces of a result, on either side, before it is broken off."
    )
    concurrency: int = setting(256, "Results passed on at once, in this process; more are answered 429.", low=1)
    per_owner: int = setting(128, "Results of one owner passed on at once, by whomever they are read.", low=1)
    per_task: int = setting(64, "Results of one task passed on at once: readers of one public link.", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSettings:
    """An S3-compatible bucket for the archive. Its host is subject to `egress.allow` like any other."""

    name: str = setting(MISSING, "The bucket.")
    endpoint: str | None = setting(None, "Its URL; by default that of AWS in the region.")
    region: str = setting("us-east-1", "Its region.")
    access_key: str = setting(MISSING, "The id of the key.")
    secret_key: str = setting(MISSING, "The key.")
    prefix: str = setting("", "What stands before every object's name, such as reelhook/.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """Where results are kept, so that their links outlive the gateways'. Without it they stay at the gateways."""

    directory: str | None = setting(None, "A directory for the files.")
    bucket: BucketSettings | None = setting(None, "")
    keep: Span = setting(Span(30 * DAY), "How long a result is kept.", low=SECOND)
    max_bytes: int = setting(
        100 * 2**30,
        "How much is kept in all, what is being stored counted; what comes on top stays at its gateway.",
        low=0,
    )
    max_file: int = setting(2 * 2**30, "The largest result that is kept, in bytes.", low=1)
    patience: Span = setting(
        Span(30 * MINUTE), "How long archiving is tried before the event goes out with the gateway's link.", low=0
    )
    concurrency: int = setting(4, "Results archived at once, in this process.", low=1)

    @property
    def enabled(self) -> bool:
        return bool(self.directory or self.bucket)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """For how long what is over is kept; what is not over is kept in any case. What is kept for ever has a long span,
    such as "36500d"."""

    tasks: Span = setting(
        Span(90 * DAY),
        "Tasks, from their end, with their callbacks and their caller's own subscription; longer where the archive "
        "keeps their result. What they used and cost stays in the sums.",
        low=HOUR,
    )
    events: Span = setting(
        Span(30 * DAY),
        "Events, and with them the feed; longer while a delivery of them is kept, or their task is under way.",
        low=HOUR,
    )
    deliveries: Span = setting(
        Span(30 * DAY),
        "Deliveries with their attempts, replays, and disabled subscriptions to one task, from their end. What was "
        "missed longer ago is not found by a replay any more.",
        low=HOUR,
    )
    payloads: Span | None = setting(
        None,
        "What was asked for in tasks, called back about them, told in events, sent in deliveries and answered to them; "
        "by default as long as these themselves.",
        low=MINUTE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressSettings:
    """Where outgoing connections may go."""

    allow: tuple[str, ...] = setting(
        (), "Private networks that gateways and subscribers may be in, such as 127.0.0.0/8 or 192.168.1.20/32."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSettings:
    """How callbacks are received."""

    token_lifetime: Span = setting(Span(7 * DAY), "How long the token in a callback URL is good for.", low=SECOND)
    body_limit: int = setting(256 * 1024, "The largest callback that is accepted, in bytes.", low=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """The Slack app whose buttons retry and cancel tasks; its Interactivity Request URL is
    `{public_url}/slack/interactions`. Without this table there is no such path."""

    signing_secret: str = setting(MISSING, "The app's Signing Secret, by which its clicks are known.")
    response_origins: tuple[str, ...] = setting(
        ("https://hooks.slack.com",), "Where Slack may ask for the answer to a click to be posted."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSettings:
    """A signature that this gateway's callbacks must carry, besides the token in their URL."""

    scheme: str = setting(MISSING, "How it is made.", choices=("standard-webhooks", "hmac-sha256"))
    secret: str = setting(MISSING, "The shared secret.")
    header: str = setting("x-signature", "hmac-sha256: the header that carries it.")
    encoding: str = setting("hex", "hmac-sha256: how it is spelled.", choices=("hex", "base64"))
    prefix: str = setting("", "hmac-sha256: what stands before it in the header, such as sha256=.")
    timestamp_header: str | None = setting(
        None, "hmac-sha256: the header with the unix seconds that are signed, with a dot, before the body."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSettings:
    """What this gateway charges: so tasks have a `cost`, and owners can have a budget."""

    unit: str = setting(
        MISSING,
        "What is counted: usage tokens, new-api quota, seedance2 credits, seconds of the result, or tasks.",
        choices=("tokens", "quota", "credits", "seconds", "tasks"),
    )
    amount: str = setting(MISSING, 'What that costs, a decimal in quotes, such as "1.00".')
    currency: str = setting(MISSING, "In which currency, such as USD.")
    per: int = setting(1, "For how many units the amount is.", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerSettings:
    """The limits of one owner; `[owners."*"]` holds for whatever an owner's own table does not say."""

    pending: int | None = setting(None, "How many tasks may be under way at once; more are answered 429.", low=0)
    budget: str | None = setting(
        None, 'What the tasks of a calendar month (UTC) may cost, such as "100.00 USD"; then creates are answered 402.'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """One gateway; the table's name is its name here and in the paths of the compatible API."""

    dialect: str | None = setting(None, "Its language; by default the gateway's name.")
    base_url: str | None = setting(None, "Its base URL; by default the documented one.")
    key: str = setting("", "The API key that it knows us by.")
    surface: str | None = setting(None, "Which of its APIs is spoken to; by default the dialect's first.")
    models: tuple[str, ...] = setting((), "The models it offers; by default the documented ones, * for any.")
    default_model: str | None = setting(None, "The model of a native submit that names none.")
    callbacks: bool | None = setting(
        None, "Whether it is given a callback URL; by default where its documentation describes callbacks."
    )
    trust: str = setting(
        "verify",
        "verify: a callback makes Reelhook ask the gateway. trust: a callback's own body settles the task.",
        choices=("verify", "trust"),
    )
    signature: SignatureSettings | None = setting(None, "")
    price: PriceSettings | None = setting(None, "")
    min_interval: Span | None = setting(
        None, "Never ask about one task more often than this; by default what its documentation asks for.", low=1
    )
    moderate: bool = setting(
        False,
        "cubicspaces: have the images of tasks moderated before they are used, as it asks for images of real people.",
    )
    foreign_assets: bool = setting(
        True,
        "Whether callers may use assets of the gateway's account that were not made through Reelhook; those that were "
        "are for their owner alone.",
    )
    creates: int = setting(100, "Creates under way at once, in this process; more have to wait.", low=1)
    rate: int = setting(10, "Questions per second, in this process.", low=1)
    concurrency: int = setting(8, "Questions under way at once, in this process.", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """A way from one API to another gateway. The first that matches wins; without one, it is the API's own gateway.
    Routes stand in the file: the environment cannot say them."""

    from_: str = setting(
        MISSING,
        "The API that a task comes in by: a gateway's name, or a dialect's that is only served, such as openai.",
    )
    model: str = setting("*", "Which models take this way, as the caller names them; `*` and `?` stand for anything.")
    to: str = setting(MISSING, "The gateway that the task goes out to.")
    to_model: str | None = setting(None, "The model that it asks for there; by default the caller's.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything."""

    database: str = setting("reelhook.db", "A SQLite file, or a postgresql:// URL.")
    host: str = setting("127.0.0.1", "The address to listen on.")
    port: int = setting(8080, "The port to listen on.", low=0, high=65_535)
    public_url: str | None = setting(
        None, "Where gateways reach this service from outside; without it no callback is asked for and all is swept."
    )
    secret_key: str | None = setting(
        None, "Signs callback URLs. By default one is made at the first start and kept in the database."
    )
    log_level: str = setting("info", "How much is logged.", choices=("debug", "info", "warning", "error"))
    submit: SubmitSettings = field(default_factory=SubmitSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)
    deliveries: DeliverySettings = field(default_factory=DeliverySettings)
    email: EmailSettings = field(default_factory=EmailSettings)
    webpush: WebPushSettings = field(default_factory=WebPushSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    callbacks: CallbackSettings = field(default_factory=CallbackSettings)
    content: ContentSettings = field(default_factory=ContentSettings)
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    egress: EgressSettings = field(default_factory=EgressSettings)
    slack: SlackSettings | None = setting(None, "")
    owners: Mapping[str, OwnerSettings] = field(default_factory=dict)
    gateways: Mapping[str, GatewaySettings] = field(default_factory=dict)
    routes: tuple[RouteSettings, ...] = setting((), "")


def spelled(name: str) -> str:
    """A setting's name as people write it: `from` is a word of Python's own."""
    return name.rstrip("_")
