"""Where tasks come in and where they go out: the APIs we serve, by name, and the routes between them and the gateways.

A mount is the compatible API at /{name}/…, which the native API can name as `gateway` too. It speaks the dialect of the
gateway of that name, or the one that it is named after where no gateway is (`openai`). What comes in by it goes to its
first route that matches the model, and to its own gateway otherwise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from service.dialects import DIALECTS
from service.dialects.shape import Dialect, Offer, Surface
from service.errors import Problem, SettingsError, invalid
from service.gateways import Gateway
from service.model import VideoRequest
from service.settings import RouteSettings, Settings
from service.wire import Json

WILD = "*?["
KNOWN_MEDIA = ("image", "video", "audio")


@dataclass(frozen=True, slots=True)
class Way:
    """Where a request goes: the gateway, the surface it is spoken to on, and the request in its models' names."""

    gateway: Gateway
    surface: Surface
    request: VideoRequest


@dataclass(frozen=True, slots=True)
class Mount:
    """An API that we serve. gateway: the one of the same name, where there is one. routes: its own, in order, each with
    the gateway that it leads to."""

    name: str
    dialect: Dialect
    gateway: Gateway | None
    routes: tuple[tuple[RouteSettings, Gateway], ...]

    @property
    def surface(self) -> Surface:
        """What a native request that names this mount is taken to be written for."""
        return self.gateway.surface if self.gateway else self.dialect.surfaces[0]

    @property
    def default_model(self) -> str | None:
        return self.gateway.settings.default_model if self.gateway else None

    def way(self, request: VideoRequest, surface: Surface, *, native: bool = False) -> Way:
        """Where a request that was read on this surface goes. A Problem `unsupported_model` when it goes nowhere, and
        `invalid_request` that names what only this mount's language knows."""
        if not request.model.isprintable():
            raise invalid("model", "must be made of printable characters")
        for route, gateway in self.routes:
            if fnmatchcase(request.model, route.model):
                same = gateway.dialect is self.dialect and not native
                target = surface if same else gateway.surface
                if target is not surface:
                    refuse_untranslatable(request, gateway.dialect.title, "extra." if native else "")
                return Way(gateway, target, replace(request, model=route.to_model or request.model))
        if self.gateway is None:
            known = ", ".join(dict.fromkeys(route.model for route, _ in self.routes))
            raise Problem(
                "unsupported_model",
                f"model: {request.model} leads to no gateway from {self.name}; use {known}",
                "model",
            )
        return Way(self.gateway, surface, request)

    def offers(self) -> list[Offer]:
        """The models that can be named here, each once; a pattern stands for those of its dialect that it matches."""
        owners: dict[str, str] = {}
        for route, gateway in self.routes:
            wild = any(letter in route.model for letter in WILD)
            names = [name for name in self.dialect.models if fnmatchcase(name, route.model)] if wild else [route.model]
            for name in names:
                owners.setdefault(name, gateway.name)
        for name in self.gateway.models if self.gateway else ():
            if name != "*":
                owners.setdefault(name, self.name)
        return [Offer(model, owner) for model, owner in owners.items()]


def refuse_untranslatable(request: VideoRequest, title: str, where: str) -> None:
    """Refuse by name what has no canonical word: it would mean nothing, or something else, to another gateway."""
    unknown = [where + name for name in leaves(request.extra)]
    for index, item in enumerate(request.media):
        unknown += [f"media[{index}].{name}" for name in leaves(item.extra)]
        unknown += [f"media[{index}].type"] if item.type not in KNOWN_MEDIA else []
    if unknown:
        raise invalid(unknown[0], f"cannot be expressed for {title}, where this model leads to; leave it out")


def leaves(body: Json, at: str = "") -> list[str]:
    """Where the values of an object stand, as people write it: metadata.frames."""
    found = []
    for name, value in body.items():
        inner = leaves(value, f"{at}{name}.") if isinstance(value, dict) else []
        found += inner or [at + name]
    return found


def respelled(problem: Problem, surface: Surface) -> Problem:
    """A refusal that names a field by its canonical name, with the name that this surface has for it."""
    field = problem.field or ""
    name = next((name for name in surface.spelling if field == name or field.startswith(f"{name}[")), None)
    if name is None or not problem.message.startswith(field):
        return problem
    spelling = surface.spelling[name] + ("" if surface.spelling[name] != name else field.removeprefix(name))
    return replace(problem, field=spelling, message=spelling + problem.message.removeprefix(field))


def mounted(settings: Settings) -> dict[str, str]:
    """Which APIs are served: name -> dialect."""
    gateways = {name: gateway.dialect or name for name, gateway in settings.gateways.items()}
    named = {name: name for route in settings.routes if (name := route.from_) not in gateways}
    return {name: dialect for name, dialect in (gateways | named).items() if dialect in DIALECTS}


def open_mounts(settings: Settings, gateways: Mapping[str, Gateway]) -> dict[str, Mount]:
    """The mounts by name; SettingsError when a route leads from or to nowhere."""
    seen: set[tuple[str, str]] = set()
    for index, route in enumerate(settings.routes):
        _check(route, f"routes[{index}]", gateways)
        if (route.from_, route.model) in seen:
            raise SettingsError(f"routes[{index}]: there is a route from {route.from_} for {route.model} already")
        seen.add((route.from_, route.model))
    return {
        name: Mount(
            name,
            DIALECTS[dialect],
            gateways.get(name),
            tuple((route, gateways[route.to]) for route in settings.routes if route.from_ == name),
        )
        for name, dialect in mounted(settings).items()
    }


def _check(route: RouteSettings, at: str, gateways: Mapping[str, Gateway]) -> None:
    if route.from_ not in gateways and route.from_ not in DIALECTS:
        known = dict.fromkeys((*gateways, *DIALECTS))
        raise SettingsError(f"{at}.from: must be one of {', '.join(known)}, not {route.from_!r}")
    if route.to not in gateways:
        known_gateways = ", ".join(gateways) or "none; add [gateways.NAME] to the settings"
        raise SettingsError(f"{at}.to: must be a configured gateway ({known_gateways}), not {route.to!r}")
    models = gateways[route.to].models
    wanted = route.to_model or (None if any(letter in route.model for letter in WILD) else route.model)
    if wanted is not None and "*" not in models and wanted not in models:
        raise SettingsError(f"{at}.to_model: {route.to} does not offer {wanted}; it offers {', '.join(models)}")


def find(mounts: Mapping[str, Mount], name: Any) -> Mount:
    """The mount that a native submit names as `gateway`; a Problem that lists the names otherwise."""
    if isinstance(name, str) and name in mounts:
        return mounts[name]
    raise invalid("gateway", _known(mounts) if name is not None else "is required; " + _known(mounts))


def _known(names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f"must be one of {listed}" if listed else "none is configured; add [gateways.NAME] to the settings"
