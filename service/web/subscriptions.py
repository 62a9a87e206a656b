"""Subscriptions under /v1: make, change, pause, rotate, try out and delete them."""

import re

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.clock import DAY
from service.errors import invalid
from service.formats import FORMATS
from service.guard import origin_of
from service.keys import Caller
from service.model import EVENT_TYPES
from service.settings import UNITS
from service.signing import key_of, new_secret, public_key, signing_key
from service.store.releasing import release
from service.store.telling import pause_subscription, resume_subscription
from service.subscriptions import DeliveryStatus, Subscription, type_matches
from service.web.answers import json_answer
from service.web.deliveries import show_whole
from service.web.entry import entered, page, read_optional, there
from service.web.requests import read_json, read_query, read_window
from service.web.shown import show_subscription
from service.wire import Json
from service.wiring import Services
from service.wishes import read_wish

LARGE_BODY = 256 * 1024  # with certificates in it
GRACE_MOST_MS = 7 * DAY


async def create(request: Request) -> Response:
    """201 with the secret, which is shown this once."""
    services, caller = await entered(request)
    wish = read_wish(await read_json(request, LARGE_BODY), caller, services.settings.deliveries)
    subscription = await services.subscribing.make(caller.name, wish)
    shown = shown_whole(services, subscription) | {"secret": subscription.secret}
    return json_answer(shown, 201, {"location": f"/v1/subscriptions/{subscription.id}"})


async def show_all(request: Request) -> Response:
    services, caller = await entered(request)
    window = read_window(read_query(request, ("limit", "cursor")))
    return page(await services.reads.subscriptions(caller.owner, window), window, show_subscription)


async def show_one(request: Request) -> Response:
    services, caller = await entered(request)
    return json_answer(shown_whole(services, await subscription_of(request, services, caller)))


async def change(request: Request) -> Response:
    """What is given takes the place of what was; null makes it as if it had never been said."""
    services, caller = await entered(request)
    given = await read_json(request, LARGE_BODY)
    subscription = await subscription_of(request, services, caller)
    whole = _laid_over(services.subscribing.as_wished(subscription), given)
    wish = read_wish(whole, caller, services.settings.deliveries)
    if wish.everyone and not subscription.everyone and subscription.owner != caller.name:
        raise invalid("owner", f"{subscription.owner} could read all of it; make one of your own")
    changed = await services.subscribing.change(subscription, wish, caller.owner)
    answer = json_answer(shown_whole(services, changed))
    if subscription.held_until > services.clock() and not changed.held_until:
        answer.background = _released(services, subscription)
    return answer


async def remove(request: Request) -> Response:
    """204 also when it was deleted before: Zapier and its kin delete again, and show a 404 to people as an error."""
    services, caller = await entered(request)
    found = await services.reads.subscription(request.path_params["id"], caller.owner)
    if found is not None:
        await services.subscribing.end(found, caller.owner)
    return Response(status_code=204)


async def pause(request: Request) -> Response:
    services, caller = await entered(request)
    name = request.path_params["id"]
    found = await services.database.write(pause_subscription, name, caller.owner, services.clock())
    return json_answer(shown_whole(services, there(found, f"subscription {name}")))


async def resume(request: Request) -> Response:
    services, caller = await entered(request)
    paused = await subscription_of(request, services, caller)
    found = await services.database.write(resume_subscription, paused.id, caller.owner, services.clock())
    resumed: Subscription = there(found, f"subscription {paused.id}")
    answer = json_answer(shown_whole(services, resumed))
    if paused.paused_at is not None:  # else what waits for its time goes on waiting
        answer.background = _released(services, resumed)
    return answer


def _released(services: Services, subscription: Subscription) -> BackgroundTask:
    """What has gathered for it; nobody has to wait for that."""
    return BackgroundTask(release, services.database, subscription.id, services.clock)


async def rotate(request: Request) -> Response:
    """A new secret, shown this once; until ?grace= is over what was signed with before is signed with too."""
    services, caller = await entered(request)
    grace_ms = _read_grace(read_query(request, ("grace",)).get("grace", "24h"))
    secret = (await read_optional(request, ("secret",))).get("secret") or new_secret()
    if not isinstance(secret, str) or not _is_secret(secret):
        raise invalid("secret", "must be whsec_ and the base64 of 24 to 64 bytes; leave it out, and one is made")
    subscription = await subscription_of(request, services, caller)
    rotated = await services.subscribing.rotate(subscription, secret, grace_ms, caller.owner)
    return json_answer(shown_whole(services, rotated) | {"secret": rotated.secret})


async def try_out(request: Request) -> Response:
    """Send a test event there now; its delivery with the one attempt that was made. A success brings a disabled
    subscription back."""
    services, caller = await entered(request)
    event_type = (await read_optional(request, ("event_type",))).get("event_type")
    if event_type is not None and event_type not in EVENT_TYPES:
        raise invalid("event_type", f"must be one of {', '.join(EVENT_TYPES)}")
    subscription = await subscription_of(request, services, caller)
    tried = await services.trying.try_out(subscription, event_type or _first_wanted(subscription))
    delivery = there(await services.reads.delivery(tried.delivery_id, None), "delivery")
    shown = await show_whole(services, delivery)
    answer = json_answer(shown | {"subscription_enabled": tried.enabled})
    if subscription.held_until > services.clock() and delivery.status is DeliveryStatus.DELIVERED:
        answer.background = _released(services, subscription)
    return answer


async def subscription_of(request: Request, services: Services, caller: Caller) -> Subscription:
    subscription_id = request.path_params["id"]
    return there(await services.reads.subscription(subscription_id, caller.owner), f"subscription {subscription_id}")


def shown_whole(services: Services, subscription: Subscription) -> Json:
    """With the names of what is confided, and the public key of its `v1a` signatures."""
    confided = services.subscribing.names_confided(subscription)
    signed_too = "v1a" in subscription.sending.get("signatures", ())
    key = public_key(signing_key(services.secret_key, subscription.owner)) if signed_too else None
    return show_subscription(subscription) | confided | {"public_key": key}


def _laid_over(before: Json, given: Json) -> Json:
    """A subscription with a change laid over it: without options under another format, and under another host without
    what was confided to the old one. Secret options, which nobody is shown, stay until they are named."""
    url, options = given.get("url"), before["format_options"]
    secret = {each.name for each in FORMATS[before["format"]].options if each.secret}
    if "format" in given and (given["format"] or "standard") != before["format"]:
        options = {}
    if isinstance(url, str) and origin_of(url) != origin_of(before["url"]):
        before = before | {"headers": None, "tls": None}
        options = {name: value for name, value in options.items() if name not in secret}
    if isinstance(given.get("format_options"), dict):
        hidden = {name: value for name, value in options.items() if name in secret}
        given = given | {"format_options": hidden | given["format_options"]}
    return before | {"format_options": options} | given


def _first_wanted(subscription: Subscription) -> str:
    wanted = [name for name in EVENT_TYPES if any(type_matches(each, name) for each in subscription.events)]
    return "task.succeeded" if "task.succeeded" in wanted else wanted[0]


def _read_grace(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,6})(s|m|h|d)", text)
    if match is None or int(match[1]) * UNITS[match[2]] > GRACE_MOST_MS:
        raise invalid("grace", "must be a span of at most 7d, such as 24h, or 0s for none")
    return int(match[1]) * UNITS[match[2]]


def _is_secret(secret: str) -> bool:
    try:
        return secret.startswith("whsec_") and 24 <= len(key_of(secret)) <= 64
    except ValueError:
        return False


async def show_signing_key(request: Request) -> Response:
    """The public half of the key behind an owner's `v1a` signatures."""
    services, caller = await entered(request)
    return json_answer({"owner": caller.name, "public_key": public_key(signing_key(services.secret_key, caller.name))})


async def show_push_key(request: Request) -> Response:
    """What a page gives its browser as `applicationServerKey`."""
    services, _ = await entered(request)
    return json_answer({"public_key": services.push.public_key()})


ROUTES = [
    Route("/v1/subscriptions", create, methods=["POST"]),
    Route("/v1/subscriptions", show_all, methods=["GET"]),
    Route("/v1/subscriptions/{id}", show_one, methods=["GET"]),
    Route("/v1/subscriptions/{id}", change, methods=["PATCH"]),
    Route("/v1/subscriptions/{id}", remove, methods=["DELETE"]),
    Route("/v1/subscriptions/{id}/pause", pause, methods=["POST"]),
    Route("/v1/subscriptions/{id}/resume", resume, methods=["POST"]),
    Route("/v1/subscriptions/{id}/rotate-secret", rotate, methods=["POST"]),
    Route("/v1/subscriptions/{id}/test", try_out, methods=["POST"]),
    Route("/v1/signing-key", show_signing_key, methods=["GET"]),
    Route("/v1/webpush-key", show_push_key, methods=["GET"]),
]
