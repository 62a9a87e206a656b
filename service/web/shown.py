"""How things are shown by the native API."""

from service.clock import SECOND
from service.formats import FORMATS
from service.formats.operational import shown_host
from service.formats.standard import envelope, show_task
from service.gateways import Gateway
from service.model import (
    Event,
    Task,
    iso,
)
from service.mounts import Mount
from service.store.replays import Replay
from service.store.rows import Callback
from service.subscriptions import Delivery, Subscription
from service.wire import Json, loads
from service.wiring import Services

# --- how things are shown


def show(services: Services, task: Task) -> Json:
    expunged = {} if task.expunged_at is None else {"expunged_at": iso(task.expunged_at)}
    return show_task(task, services.links) | expunged


def show_event(event: Event) -> Json:
    """The event as its subscribers get it; once it is expunged, that it was."""
    if not event.body:
        emptied = {"data": None, "expunged_at": iso(event.expunged_at)}
        return envelope(event.id, event.type, event.created_at, {}) | emptied
    body: Json = loads(event.body)
    return body


def show_callback(callback: Callback) -> Json:
    return {
        "id": callback.id,
        "task_id": callback.task_id,
        "received_at": iso(callback.received_at),
        "outcome": callback.outcome,
        "body": callback.body,
    }


def show_subscription(subscription: Subscription) -> Json:
    """Without the secret, which is shown once, and without a URL that is as good as one."""
    secret_url = FORMATS[subscription.format].secret_url
    sending = subscription.sending
    retries = sending.get("retries_ms")
    return {
        "id": subscription.id,
        "url": shown_host(subscription.url) if secret_url else subscription.url,
        "events": list(subscription.events),
        "format": subscription.format,
        "format_options": subscription.options,
        "filters": subscription.filters,
        "rate_per_minute": sending.get("rate_per_minute"),
        "allowed_per_minute": sending.get("allowed_per_minute"),
        "concurrency": sending.get("concurrency"),
        "timeout_seconds": sending["timeout_ms"] / SECOND if "timeout_ms" in sending else None,
        "retry_seconds": None if retries is None else [pause / SECOND for pause in retries],
        "signatures": sending.get("signatures", ["v1"]),
        "handshake": sending.get("handshake"),
        "task_id": subscription.task_id,
        "owner": "*" if subscription.everyone else subscription.owner,
        "made_by": subscription.made_by,
        "description": subscription.description,
        "tags": list(subscription.tags),
        "status": subscription.status,
        "paused_at": iso(subscription.paused_at),
        "held_until": iso(subscription.held_until) if subscription.held_until else None,
        "failing_since": iso(subscription.failing_since),
        "failures": subscription.failures,
        "warned_percent": subscription.warned,
        "disabled_at": iso(subscription.disabled_at),
        "disabled_reason": subscription.disabled_reason,
        "older_secrets_until": [iso(each["until"]) for each in subscription.previous],
        "created_at": iso(subscription.created_at),
    }


def show_delivery(delivery: Delivery) -> Json:
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "subscription_id": delivery.subscription_id,
        "status": delivery.status.value,
        "attempt_count": delivery.attempts,
        "replay_count": delivery.replays,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "created_at": iso(delivery.created_at),
        "finished_at": iso(delivery.finished_at),
        "next_attempt_at": iso(delivery.next_at),
        "expunged_at": iso(delivery.expunged_at),
    }


def show_replay(replay: Replay) -> Json:
    return {
        "id": replay.id,
        "subscription_id": replay.subscription_id,
        "since": iso(replay.since),
        "until": iso(replay.until),
        "statuses": list(replay.statuses),
        "status": replay.ended or "running",
        "note": replay.note,
        "scanned": replay.scanned,
        "replayed": replay.replayed,
        "position": replay.position or None,
        "created_at": iso(replay.created_at),
        "finished_at": iso(replay.finished_at),
    }


def show_gateway(gateway: Gateway) -> Json:
    return {
        "name": gateway.name,
        "dialect": gateway.dialect.name,
        "title": gateway.dialect.title,
        "models": list(gateway.models),
        "default_model": gateway.settings.default_model,
        "callbacks": gateway.calls_back,
        "cancel": gateway.surface.route("cancel") is not None,
        "prepares_images": gateway.prepares_images,
        "parameters": sorted(gateway.surface.accepts),
    }


def show_models(mount: Mount) -> list[Json]:
    """Routes first, as they are asked first; `model` may be a pattern there."""
    routes = [
        {"model": route.model, "gateway": mount.name, "to": gateway.name, "to_model": route.to_model}
        for route, gateway in mount.routes
    ]
    own = mount.gateway.models if mount.gateway else ()
    return routes + [{"model": model, "gateway": mount.name, "to": mount.name, "to_model": None} for model in own]
