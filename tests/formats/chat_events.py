"""Events to be rendered by chat formats: every type, and what an unfriendly caller may have put into them."""

from copy import deepcopy

from service.events import made_event
from service.formats import FORMATS
from service.formats.samples import sample_data
from service.formats.shape import Format, Telling, read_options
from service.links import Links
from service.model import EVENT_TYPES
from service.signing import ContentTokens
from service.wire import Json

NOW = 1_795_280_000_000
HUB = "https://hub.example.com"
CHATS = ("slack", "mattermost", "rocketchat", "discord", "teams", "ntfy", "telegram")
OPTIONS: dict[str, Json] = {
    "slack": {"buttons": True},
    "ntfy": {"topic": "videos", "priority": 5, "token": "tk_secret"},
    "telegram": {"chat_id": "-1001", "token": "123456:ABC-DEF1234ghIkl", "thread_id": 7, "silent": True},
    "teams": {"teams_card": "bare"},
}
URLS = {
    "slack": "https://hooks.slack.com/services/T0/B0/abc",
    "mattermost": "https://chat.example.com/hooks/abc",
    "rocketchat": "https://chat.example.com/hooks/abc/def",
    "discord": "https://discord.com/api/webhooks/1/abc",
    "teams": "https://prod-1.westeurope.logic.azure.com:443/workflows/abc/triggers/manual/paths/invoke?sig=x",
    "ntfy": "https://ntfy.sh/",
    "telegram": "https://api.telegram.org",
}

FULL_LINKS = {
    "self": f"{HUB}/v1/tasks/task_1",
    "self_html": f"{HUB}/ui/tasks/task_1",
    "retry_html": f"{HUB}/tasks/retry/tok.retry-1",
    "cancel_html": f"{HUB}/tasks/cancel/tok.cancel-1",
}
FULL_VIDEO = {"thumbnail_url": f"{HUB}/content/tok.jpg", "preview_url": f"{HUB}/watch/tok"}

HOSTILE = {
    "mentions": "<!channel> <!here|x> <@U1> <@&2> @everyone @here @channel @all @name <#C1>",
    "links": "[click](http://evil.example) <http://evil.example|safe> <http://evil.example> ![x](http://evil.example/a.png)",
    "markup": "*b* _i_ ~s~ `c` ```pre``` # h\n> q\n- l || spoiler || \\ \\\\ & &amp; &lt; <b>x</b> {{DATE(2020)}} ${x}",
    "long": "x" * 10_000,
    "long of escapes": "<&>" * 4_000,
    "long of markup": "*_`\\|~" * 2_000,
    "long of mentions": "@" * 10_000,
    "wide": "船" * 10_000,
    "lines": "\n".join(["line"] * 3_000),
    "emoji": "👩‍👩‍👧‍👦🎬" * 2_000,
    "right to left": "\u202eسفينة ورقية\u2067" * 900,
    "controls": "a\x00b\x07c\x1b[31m\r\nd\u2028e\x7f",
    "quotes": '"\'\\"' * 3_000,
    "empty": "",
    "blank": " \n\t ",
    "invisible": "\u200b\u200d",
}


def telling(event_type: str, *, test: bool = False, full: bool = True, **changed: object) -> Telling:
    """A sample event. changed: members of its task. full: with every link that an event may have."""
    links = Links(HUB, ContentTokens("k"), 86_400_000)
    data = deepcopy(sample_data(event_type, links, NOW))
    if "task" in data:
        task = data["task"]
        if full:
            task["links"] = dict(FULL_LINKS)
            if task["video"]:
                task["video"] |= FULL_VIDEO
        task |= changed
    event, envelope = made_event("owner", event_type, data, NOW, test=test)
    return Telling(event=event, envelope=envelope)


def unfriendly(event_type: str, text: str) -> Telling:
    """With this text wherever somebody from outside can put one."""
    told = telling(event_type)
    data = told.envelope["data"]
    if "task" in data:
        task = data["task"]
        task |= {"prompt": text, "title": text, "model": text, "gateway": text, "external_id": text}
        if task["error"]:
            task["error"] |= {"message": text, "code": text, "gateway_code": text, "retryable": True}
        if task["video"]:
            task["video"] |= {"resolution": text, "aspect_ratio": text}
    else:
        data["subscription"] |= {"description": text, "disabled_reason": text}
        data |= {f"word {number}": text for number in range(30)} | {"error": {"message": text}}
    return told


def overfull(text: str, page_length: int) -> Telling:
    """With all that a card can have at once, each as long as it can be: more than any task says."""
    told = unfriendly("task.failed", text)
    task = told.envelope["data"]["task"]
    page = f"{HUB}/{'x' * page_length}"
    task["links"] = {name: f"{page}/{name}" for name in FULL_LINKS}
    task["video"] = {
        "resolution": text,
        "thumbnail_url": f"{page}.png",
        "preview_url": f"{page}/w",
        "url_expires_at": text,
    }
    task |= {"cost": {"amount": text, "currency": text}, "fallback_from": text, "result_source": text, "id": text}
    return told


def emptied(event_type: str) -> Telling:
    """With null for everything that is said."""
    told = telling(event_type)
    for about in told.envelope["data"].values():
        about.update(dict.fromkeys(about))
    return told


TELLINGS = {
    **{event_type: telling(event_type) for event_type in EVENT_TYPES},
    **{f"{event_type}, a test": telling(event_type, test=True, full=False) for event_type in EVENT_TYPES},
    **{f"{event_type}, nulls": emptied(event_type) for event_type in EVENT_TYPES},
    **{
        f"all of {name}, links of {page_length}": overfull(text, page_length)
        for name, text in HOSTILE.items()
        for page_length in (350, 900, 1_900)
    },
    **{
        f"{event_type}, {name}": unfriendly(event_type, text)
        for event_type in EVENT_TYPES
        for name, text in HOSTILE.items()
    },
}


def rendered(name: str, told: Telling, **options: object) -> str:
    """The frozen body. options: besides those of OPTIONS."""
    shape = FORMATS[name]
    return shape.render(told, open_options(shape, OPTIONS.get(name, {}) | options)).body


def open_options(shape: Format, given: Json) -> Json:
    """Those that a rendering sees: all but the secret ones."""
    secret = {option.name for option in shape.options if option.secret}
    return {name: value for name, value in read_options(shape, given).items() if name not in secret}


def all_bodies(name: str, told: Telling, **options: object) -> list[str]:
    """A body, and what is left of it step by step."""
    body: str | None = rendered(name, told, **options)
    bodies = []
    degrade = FORMATS[name].degrade or (lambda body: None)
    while body is not None:
        bodies.append(body)
        body = degrade(body)
    return bodies
