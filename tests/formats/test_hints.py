"""What people are told to do about a receiver that did not take an event."""

import pytest

from service.formats.hints import hint_for

URL = "https://example.com/hook"
# as a real n8n 1.123 answers
N8N_INACTIVE = (
    '{"code":404,"message":"The requested webhook \\"POST a1\\" is not registered.","hint":"The workflow must be active'
    ' for a production URL to run successfully."}'
)


@pytest.mark.parametrize(
    ("status", "url", "body", "words"),
    [
        (404, "https://n8n.example.com/webhook/a1", N8N_INACTIVE, "activate the workflow"),
        (404, "https://n8n.example.com/webhook/a1", N8N_INACTIVE.upper(), "activate the workflow"),
        (404, "https://n8n.example.com/webhook-test/a1", N8N_INACTIVE, "production URL"),
        (404, "https://n8n.example.com/webhook-test/a1", "", "production URL"),
        (410, "https://hooks.zapier.com/hooks/standard/1/a/", "", "the Zap"),
        (404, "https://hooks.zapier.com/hooks/catch/1/a/", "", "the Zap"),
        (410, "https://hook.eu2.make.com/abc", "Gone", "the Make scenario"),
        (404, "https://hook.make.com/abc", "", "the Make scenario"),
        (401, "https://prod-1.westeurope.logic.azure.com:443/workflows/1", "", "Anyone"),
        (410, URL, "", "gone for good"),
        (404, URL, "<h1>Not Found</h1>", "nothing takes a POST"),
        (405, URL, "", "nothing takes a POST"),
        (401, URL, "", "header"),
        (403, URL, "", "header"),
        (407, URL, "", "proxy"),
        (408, URL, "", "waited too long"),
        (413, URL, "", "thin"),
        (415, URL, "", "binary"),
        (400, URL, "", "does not understand"),
        (422, URL, "", "does not understand"),
        (429, URL, "", "rate limit"),
        (301, URL, "", "redirects are not followed"),
        (308, URL, "", "redirects are not followed"),
        (500, URL, "", "its own log"),
        (502, URL, "", "what stands before"),
        (503, URL, "", "what stands before"),
        (451, URL, "", "may say why"),
        (101, URL, "", "proxy"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(status, url, body, words):
    assert words in str(hint_for(status, body, f"the endpoint answered HTTP {status}", url))


# as service/egress.py and OpenSSL tell them
@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("certificate verify failed: self-signed certificate (_ssl.c:1006)", "authority's certificate"),
        ("certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)", "authority's certificate"),
        ("certificate verify failed: certificate has expired (_ssl.c:1006)", "renew it"),
        ("certificate verify failed: certificate is not yet valid (_ssl.c:1006)", "clocks"),
        ("certificate verify failed: Hostname mismatch, certificate is not valid for 'a.example'", "another name"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "certificate of its clients"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "http://"),
        ("[SSL] internal error", "TLS"),
        ("the host nosuch.example cannot be resolved", "leads nowhere"),
        ("10.0.0.1 is not a public address; list it in egress.allow if you trust it", "egress.allow"),
        ("[Errno 111] Connect call failed ('192.0.2.1', 443)", "nothing listens"),
        ("[Errno 113] No route to host", "no way"),
        ("the connection could not be opened in time", "firewall"),
        ("no answer in time; it may have been received", "2xx at once"),
        ("no answer within 15 s; it may have been received", "2xx at once"),
        ("Server disconnected; it may have been received", "closed the connection"),
        ("[Errno 104] Connection reset by peer", "closed the connection"),
        ("the answer is no HTTP: Bad status line", "no web server"),
    ],
)
def test_a_failure_without_an_answer_is_told_with_what_to_do(error, words):
    assert words in str(hint_for(None, "", f"cannot connect to example.com:443: {error}", URL))


@pytest.mark.parametrize("host", ["tls.example.com", "refused.example.com", "certificate.example.com"])
def test_the_name_of_a_host_does_not_decide_what_is_told(host):
    url, error = f"https://{host}/", f"cannot connect to {host}:443: the connection could not be opened in time"
    assert hint_for(None, "", error, url) == hint_for(None, "", error.replace(host, "example.com"), URL)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_success_needs_no_hint(status):
    assert hint_for(status, N8N_INACTIVE, "", URL) is None


def test_of_what_is_not_known_nothing_is_said():
    assert (hint_for(None, "", "it went wrong", URL), hint_for(600, "", "", URL)) == (None, None)


def test_nothing_of_a_url_or_an_answer_is_repeated():
    url, body, error = "https://h.example/webhook-test/from-url", "from-body not registered", "from-error timed out"
    told = " ".join(str(hint_for(status, body, error, url)) for status in (None, *range(100, 600)))
    assert [part for part in ("from-url", "from-body", "from-error") if part in told] == []


def test_every_refusal_has_a_hint():
    assert [status for status in range(300, 600) if not hint_for(status, "", "", URL)] == []


@pytest.mark.parametrize("url", ["", "https://[::1", "\x00", "mailto:a@example.com"])
def test_odd_urls_do_no_harm(url):
    assert hint_for(None, "", "no answer in time", url) and hint_for(404, "", "", url)


def test_a_huge_answer_is_searched_no_further_than_its_beginning():
    assert "n8n" not in str(hint_for(404, "x" * 20_000 + "workflow must be active", "", URL))
