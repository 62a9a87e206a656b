"""What operational events say: of a subscription that cannot be told, and of a delivery that was given up.

Every key is always there. URLs are shown by their host alone: these events go to other channels, and many a URL is a
capability.
"""

from service.guard import origin_of
from service.model import iso
from service.subscriptions import Subscription
from service.wire import Json


def shown_host(url: str) -> str:
    """Where something goes, without what would let others go there too."""
    return f"{origin_of(url)}/…" if origin_of(url) else f"{url.partition(':')[0]}:…"


def about_subscription(
    subscription: Subscription,
    *,
    percent: int = 0,
    disables_at: int | None = None,
    status: int | None = None,
    error: str | None = None,
    hint: str | None = None,
) -> Json:
    """percent: how far on the way to disabling. disables_at: when that is, if nothing changes. status, error, hint: of
    the last attempt."""
    return {
        "id": subscription.id,
        "owner": subscription.owner,
        "url": shown_host(subscription.url),
        "format": subscription.format,
        "description": subscription.description,
        "tags": list(subscription.tags),
        "status": subscription.status,
        "failing_since": iso(subscription.failing_since),
        "failures": subscription.failures,
        "percent": percent,
        "disables_at": iso(disables_at),
        "disabled_at": iso(subscription.disabled_at),
        "disabled_reason": subscription.disabled_reason,
        "last_status": status,
        "last_error": error,
        "hint": hint,
    }


def about_delivery(delivery_id: str, event_id: str, event_type: str, *, attempts: int) -> Json:
    return {"id": delivery_id, "event_id": event_id, "event_type": event_type, "attempt_count": attempts}
