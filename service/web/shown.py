"""How things are shown by the native API."""

from service.formats.standard import show_task
from service.gateways import Gateway
from service.model import (
    Event,
    Task,
    iso,
)
from service.mounts import Mount
from service.store.rows import Callback
from service.subscriptions import Attempt, Delivery, Subscription
from service.wire import Json, loads
from service.wiring import Services

# --- how things are shown


def show(services: Services, task: Task) -> Json:
    return show_task(task, services.links)


def show_event(event: Event) -> Json:
    """The event as its subscribers get it."""
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
    """Without the secret, which is shown once."""
    return {
        "id": subscription.id,
        "url": subscription.url,
        "events": list(subscription.events),
        "format": subscription.format,
        "task_id": subscription.task_id,
        "description": subscription.description,
        "status": "disabled" if subscription.disabled_at else "active",
        "disabled_at": iso(subscription.disabled_at),
        "disabled_reason": subscription.disabled_reason,
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
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "created_at": iso(delivery.created_at),
        "finished_at": iso(delivery.finished_at),
        "next_attempt_at": iso(delivery.next_at),
    }


def show_attempt(attempt: Attempt) -> Json:
    return {
        "number": attempt.number,
        "started_at": iso(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "error": attempt.error,
        "ambiguous": attempt.ambiguous,
        "response": attempt.response,
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
