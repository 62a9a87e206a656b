"""Orders: what a submit wants, by whom, of which gateway, and where its caller came in."""

import hashlib
from dataclasses import dataclass
from typing import Any

from service.dialects.shape import Surface
from service.errors import Problem
from service.gateways import Gateway
from service.model import (
    TERMINAL_EVENTS,
    Task,
    VideoRequest,
    new_id,
    request_to_json,
)
from service.mounts import Mount, respelled
from service.subscriptions import Subscription
from service.wire import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A submit: what is wanted, by whom, of which gateway. webhook_…: how the caller of this one task is told, and
    what the field with his URL is called where he comes from. came_in: where that is, None for the native API.
    attempt, retry_of: of a task that is tried again."""

    owner: str
    gateway: Gateway
    surface: Surface
    request: VideoRequest
    when_full: str
    webhook_field: str
    webhook_format: str
    webhook_secret: str
    webhook_events: tuple[str, ...] = TERMINAL_EVENTS
    idempotency_key: str | None = None
    came_in: "CameIn | None" = None
    attempt: int = 1
    retry_of: str | None = None


@dataclass(frozen=True, slots=True)
class CameIn:
    """By which compatible API, on which of its surfaces, and what the caller calls the model."""

    mount: Mount
    surface: Surface
    model: str


def check_order(order: Order) -> VideoRequest:
    """Refuse what the gateway cannot do, in the names that the caller has for it; the request as the gateway will
    read it."""
    try:
        return order.gateway.check(order.request, order.surface)
    except Problem as problem:
        raise (respelled(problem, order.came_in.surface) if order.came_in else problem) from None


def fingerprint(order: Order) -> str:
    content: list[Any] = [order.gateway.name, order.surface.name, order.when_full, request_to_json(order.request)]
    if order.came_in is not None and order.came_in.mount.name != order.gateway.name:
        content.append([order.came_in.mount.name, order.came_in.surface.name, order.came_in.model])
    return hashlib.sha256(canonical(content)).hexdigest()


def one_shot(order: Order, task: Task) -> Subscription | None:
    if order.request.webhook_url is None:
        return None
    return Subscription(
        id=new_id("sub", task.created_at),
        owner=order.owner,
        task_id=task.id,
        url=order.request.webhook_url,
        events=order.webhook_events,
        format=order.webhook_format,
        secret=order.webhook_secret,
        created_at=task.created_at,
    )
