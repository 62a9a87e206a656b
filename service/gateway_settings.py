"""What the settings say of a gateway, checked: SettingsError, with the name of the setting, where it cannot be."""

from urllib.parse import urlsplit

from service.dialects import DIALECTS
from service.dialects.shape import Dialect, Surface
from service.errors import Problem, SettingsError
from service.guard import read_target
from service.settings import GatewaySettings, SignatureSettings
from service.signing import BodySignature, key_of


def dialect_of(name: str, settings: GatewaySettings) -> Dialect:
    wanted = settings.dialect or name
    if wanted not in DIALECTS:
        raise SettingsError(f"gateways.{name}.dialect: must be one of {', '.join(DIALECTS)}, not {wanted!r}")
    return DIALECTS[wanted]


def surface_named(name: str, dialect: Dialect, settings: GatewaySettings) -> Surface:
    known = {surface.name: surface for surface in dialect.surfaces}
    if settings.surface is not None and settings.surface not in known:
        raise SettingsError(f"gateways.{name}.surface: must be one of {', '.join(known)}, not {settings.surface!r}")
    return known[settings.surface] if settings.surface else dialect.surfaces[0]


def signature_of(name: str, settings: SignatureSettings | None) -> BodySignature | None:
    if settings is None:
        return None
    try:
        if settings.scheme == "standard-webhooks":
            key_of(settings.secret)
    except ValueError as error:
        raise SettingsError(f"gateways.{name}.signature.secret: {error}") from error
    return BodySignature(**{field: getattr(settings, field) for field in BodySignature.__dataclass_fields__})


def base_url_of(name: str, dialect: Dialect, settings: GatewaySettings) -> str:
    url = settings.base_url or dialect.base_url
    if url is None:
        raise SettingsError(f"gateways.{name}.base_url: is required; the documentation of {dialect.name} names none")
    try:
        read_target(url, f"gateways.{name}.base_url")
    except Problem as problem:
        raise SettingsError(problem.message) from problem
    return _without_prefix(url.rstrip("/"), dialect)


def _without_prefix(url: str, dialect: Dialect) -> str:
    """Some documentation writes the base URL with the beginning of its paths (gateways.md section 2: …/api/v3), which
    every route has again."""
    path = urlsplit(url).path
    for route in (surface.route("create") for surface in dialect.surfaces):
        parts = route.path.split("/")[1:] if route else []
        for length in range(len(parts) - 1, 0, -1):
            prefix = "/" + "/".join(parts[:length])
            if path.endswith(prefix):
                return url.removesuffix(prefix)
    return url
