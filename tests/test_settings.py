"""Settings from a file, with the environment over it."""

import pytest

from service.dialects import DIALECTS
from service.errors import SettingsError
from service.gateway_settings import base_url_of
from service.limits import Limits
from service.settings import GatewaySettings
from service.settings_file import read_settings


def settings_of(tmp_path, text="", **environment):
    path = tmp_path / "reelhook.toml"
    path.write_text(text)
    return read_settings(path, {"REELHOOK_" + name: value for name, value in environment.items()})


def test_everything_has_a_default(tmp_path):
    assert settings_of(tmp_path).database == "reelhook.db"


def test_spans_are_written_with_a_unit(tmp_path):
    assert settings_of(tmp_path, '[sweep]\nfirst_guess = "1.5m"').sweep.first_guess == 90_000


def test_a_list_of_spans_is_a_schedule(tmp_path):
    text = '[deliveries]\nretries = ["1s", "2m"]'
    assert settings_of(tmp_path, text).deliveries.retries == (1_000, 120_000)


def test_the_environment_wins_over_the_file(tmp_path):
    assert settings_of(tmp_path, "port = 1", PORT="2").port == 2


def test_a_gateway_can_come_from_the_environment_alone(tmp_path):
    settings = settings_of(tmp_path, GATEWAYS__EASYROUTER__KEY="sk-1")
    assert settings.gateways["easyrouter"].key == "sk-1"


def test_a_gateways_dashes_are_underscores_in_the_environment(tmp_path):
    text = '[gateways.my-router]\ndialect = "easyrouter"'
    assert settings_of(tmp_path, text, GATEWAYS__MY_ROUTER__KEY="sk-1").gateways["my-router"].key == "sk-1"


def test_a_list_in_the_environment_is_separated_by_commas(tmp_path):
    assert settings_of(tmp_path, EGRESS__ALLOW="10.0.0.0/8, ::1/128").egress.allow == ("10.0.0.0/8", "::1/128")


def test_a_number_in_the_environment_may_still_be_a_string_where_one_belongs(tmp_path):
    assert settings_of(tmp_path, GATEWAYS__EASYROUTER__KEY="12345").gateways["easyrouter"].key == "12345"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("databse = 'x'", "databse: there is no such setting"),
        ("port = 'x'", "port: must be an integer"),
        ("port = true", "port: must be an integer"),
        ("port = -1", "port: must be at least 0"),
        ("log_level = 'loud'", "log_level: must be one of debug, info"),
        ("[sweep]\nfirst_guess = 90", "sweep.first_guess: must be a span such as"),
        ("[sweep]\nfirst_guess = '90'", "sweep.first_guess: must be a span such as"),
        ("sweep = 3", "sweep: must be a table"),
        ("[egress]\nallow = 3", "egress.allow: must be a list"),
        ("[gateways.v1]\nkey = 'x'", "gateways.v1: a gateway's name"),
        ("[gateways.UP]\nkey = 'x'", "gateways.UP: a gateway's name"),
        ("gateways = 3", "gateways: must be a table"),
        ("[gateways.videos]\nsignature = {scheme = 'hmac-sha256'}", "gateways.videos.signature.secret: is required"),
        ("public_url = 'example.com'", "public_url: must start with"),
        ("[owners.anna]\npending = -1", "owners.anna.pending: must be at least 0"),
        ("[owners.anna]\npendng = 1", "owners.anna.pendng: there is no such setting"),
        ("[gateways.videos.price]\nunit = 'tons'", "gateways.videos.price.unit: must be one of tokens"),
        ("port = = 3", "is not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, words):
    with pytest.raises(SettingsError) as caught:
        settings_of(tmp_path, text)
    assert words in str(caught.value)


def test_an_owner_and_everybody_have_limits(tmp_path):
    settings = settings_of(tmp_path, '[owners.anna]\npending = 3\n[owners."*"]\nbudget = "100.00 USD"')
    assert (settings.owners["anna"].pending, settings.owners["*"].budget) == (3, "100.00 USD")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[owners.anna]\nbudget = "much"', "owners.anna.budget: must be an amount and a currency"),
        ('[owners.anna]\nbudget = "9 USD"', "owners: a budget counts nothing without [gateways.NAME.price]"),
        (
            '[owners.a]\nbudget = "1 EUR"\n[gateways.easyrouter]\n'
            'price = {unit = "quota", amount = "1", currency = "USD"}',
            "gateways.easyrouter.price.currency: is USD, and there is a budget in EUR",
        ),
    ],
)
def test_limits_that_cannot_be_meant_are_named(tmp_path, text, words):
    with pytest.raises(SettingsError) as caught:
        Limits(settings_of(tmp_path, text))
    assert words in str(caught.value)


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="cannot read"):
        read_settings(tmp_path / "nowhere.toml", {})


def test_a_file_named_by_the_environment_is_read(tmp_path):
    path = tmp_path / "other.toml"
    path.write_text("port = 7")
    assert read_settings(None, {"REELHOOK_CONFIG": str(path)}).port == 7


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_settings(None, {}).port == 8080


@pytest.mark.parametrize("secret", ["x", "too short"])
def test_a_secret_key_that_can_be_guessed_is_refused(tmp_path, secret):
    with pytest.raises(SettingsError, match="secret_key: must have at least"):
        settings_of(tmp_path, f'secret_key = "{secret}"')


def test_a_signature_without_a_secret_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="must not be empty"):
        settings_of(tmp_path, "[gateways.videos]\nsignature = {scheme = 'hmac-sha256', secret = ''}")


@pytest.mark.parametrize(
    ("dialect", "given", "used"),
    [
        ("ark", "https://ark.ap-southeast.bytepluses.com/api/v3", "https://ark.ap-southeast.bytepluses.com"),
        ("ark", "https://ark.cn-beijing.volces.com/api/v3/", "https://ark.cn-beijing.volces.com"),
        ("openai", "https://gateway.example.com/v1", "https://gateway.example.com"),
        ("openai", "https://gateway.example.com/team/v1", "https://gateway.example.com/team"),
        ("seedance2", "https://www.seedance2.ink", "https://www.seedance2.ink"),
    ],
)
def test_a_base_url_may_hold_the_beginning_of_the_paths(dialect: str, given: str, used: str) -> None:
    assert base_url_of(dialect, DIALECTS[dialect], GatewaySettings(base_url=given)) == used
