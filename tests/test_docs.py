"""The documentation is held to the code."""

import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest

import service.web
from service.cli import main
from service.dialects import DIALECTS
from service.errors import CODES
from service.formats import OFFERED
from service.formats_page import page as formats_page
from service.gateways_page import page as gateway_tables
from service.gateways_page import tables
from service.keys import Caller
from service.model import EVENT_TYPES
from service.settings import DeliverySettings
from service.settings_page import page
from service.web.hooks import read_hook
from service.web.native import KNOWN
from service.wire import loads
from service.wishes import KNOWN as WISHES
from service.wishes import read_wish

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GATEWAYS = (ROOT / "docs" / "gateways.md").read_text()
SUBSCRIPTIONS = (ROOT / "docs" / "subscriptions.md").read_text()
PROSE = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]


def test_the_settings_page_is_what_the_settings_are():
    assert (ROOT / "docs" / "settings.md").read_text() == page()


def test_the_page_of_formats_is_what_the_formats_are():
    assert (ROOT / "docs" / "formats.md").read_text() == formats_page()


def test_the_tables_of_gateways_are_what_the_dialects_do():
    assert GATEWAYS.endswith(gateway_tables()), "docs/adding-a-gateway.md, step 6, says how to write them anew"


def test_each_row_of_a_gateway_table_has_a_cell_for_each_column():
    assert [table.title for table in tables() if {len(row) for row in table.rows} != {len(table.columns)}] == []


@pytest.mark.parametrize("gateway", DIALECTS)
def test_every_gateway_has_a_section(gateway):
    assert f"\n## {gateway}\n" in GATEWAYS


def test_every_reading_that_we_chose_is_listed():
    """ASSUME marks one in the code; a row of the page that ends with the file stands for each."""
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "service").rglob("*.py")}
    marked = {name: count for name, text in texts.items() if (count := len(re.findall(r"\bASSUME\b", text)))}
    assert Counter(re.findall(r"^\|.*\| `(service/[^`]+)` \|$", GATEWAYS, re.MULTILINE)) == marked


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_event_type_is_in_the_readme(event_type):
    assert f"`{event_type}`" in README


@pytest.mark.parametrize("gateway", DIALECTS)
def test_every_gateway_is_in_the_readme(gateway):
    assert gateway in README


@pytest.mark.parametrize("name", KNOWN)
def test_every_parameter_of_a_submit_is_in_the_readme(name):
    assert name in README


@pytest.mark.parametrize("name", OFFERED)
def test_every_format_is_in_the_readme(name):
    assert f"`{name}`" in README


def test_every_parameter_of_a_subscription_is_in_the_table_of_its_page():
    section = SUBSCRIPTIONS.partition("\n## Parameters\n")[2].partition("\n## ")[0]
    named = [name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall("`(.*?)`", row)]
    assert sorted(named) == sorted(WISHES)


def subscribing():
    """(page, path, body) of every curl in the documentation that makes a subscription."""
    for path in PROSE:
        for block in re.findall(r"^ *```\w*\n(.*?)^ *```", path.read_text(), re.DOTALL | re.MULTILINE):
            for where, body in re.findall(r"curl \S+(/v1/subscriptions|/v1/hooks) .*?-d '(\{.*?\})'", block, re.DOTALL):
                yield pytest.param(where, body, id=path.name)


@pytest.mark.parametrize(("where", "body"), list(subscribing()))
def test_every_subscription_that_is_shown_can_be_made(where, body):
    wished = loads(body)
    if where == "/v1/hooks":
        _, wished = read_hook(wished)
    assert read_wish(wished, Caller(key_id="key_1", name="anna", admin=False), DeliverySettings()).url == wished["url"]


def routes():
    """The paths of every list of routes in service/web."""
    modules = [
        importlib.import_module(f"service.web.{each.name}") for each in pkgutil.iter_modules(service.web.__path__)
    ]
    return sorted({route.path for module in modules for route in getattr(module, "ROUTES", ())})


@pytest.mark.parametrize("path", routes())
def test_every_route_is_in_the_readme(path):
    assert re.search(re.escape(path) + r"(?![\w/{-])", README), "a longer path that begins with it does not tell of it"


@pytest.mark.parametrize(
    "command",
    [
        *("serve", "worker", "demo", "sandbox", "keys", "migrate", "settings", "gateways", "formats"),
        *("listen", "trigger", "verify"),
    ],
)
def test_every_command_of_the_changelog_is_there(command):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_the_map_is_short():
    assert len((ROOT / "docs" / "architecture.md").read_text().splitlines()) <= 150


def test_every_problem_code_is_an_http_error():
    assert all(400 <= status < 600 for status, _ in CODES.values())
