"""The dialects that Reelhook speaks, in both directions: one entry for each gateway."""

from service.dialects import ark, cubicspaces, easyrouter, openai, seedance2, videos, worldrouter
from service.dialects.shape import Dialect

DIALECTS: dict[str, Dialect] = {
    module.DIALECT.name: module.DIALECT
    for module in (worldrouter, easyrouter, cubicspaces, videos, seedance2, ark, openai)
}
