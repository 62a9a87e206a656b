"""POST /callbacks/{gateway}/{token}: what gateways call back. Committed before the 2xx; refused without detail."""

import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.errors import Problem
from service.signing import Forged
from service.web.answers import json_answer
from service.web.requests import read_body
from service.wiring import Services

log = logging.getLogger("reelhook.callbacks")

TOKEN_MOST = 512


async def receive(request: Request) -> Response:
    """200 once it is on disk, for duplicates and late ones too; 404 with nothing to learn from it for all that is
    forged, expired, another's or too long; 5xx when the fault is ours, so that it is sent again."""
    services: Services = request.app.state.services
    gateway = services.gateways.get(request.path_params["gateway"])
    token = request.path_params["token"]
    try:
        if gateway is None or len(token) > TOKEN_MOST:
            raise Forged("no such gateway, or no token of ours")
        services.tokens.read(gateway.name, token)  # before a byte of the body is read
        body = await read_body(request, services.settings.callbacks.body_limit)
        headers = {name.lower(): value for name, value in request.headers.items()}
        await services.tasks.receive_callback(gateway, token, headers, body)
    except (Forged, Problem) as error:
        log.warning("callback.refused gateway=%s reason=%s", request.path_params["gateway"][:64], error)
        raise Problem("not_found", "not found") from None
    return json_answer({"received": True})


ROUTES = [Route("/callbacks/{gateway}/{token}", receive, methods=["POST"])]
