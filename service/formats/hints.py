"""What people can do when a webhook receiver did not take an event, read off what it answered or why it did not."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

READ_MOST = 10_000  # characters of an answer that are searched


@dataclass(frozen=True, slots=True)
class _Answered:
    """A hint for some statuses; url and body are searched for in small letters, "" is found anywhere."""

    statuses: Sequence[int]
    url: str
    body: str
    hint: str


# The first that fits is given, so what is known of one receiver stands before what is true of any.
# n8n: measured with 1.123 (subscribers.md, section a). Make: developers.make.com. Zapier: its visual-builder docs.
_ANSWERS = (
    _Answered(
        (404,),
        r"/webhook-test/",
        "",
        "this is the test URL of n8n, which takes one event after a click on “Execute workflow”: activate the"
        " workflow and use its production URL, with /webhook/ in it",
    ),
    _Answered(
        (404,),
        "",
        r"webhook.{0,200}not registered|workflow must be active",
        "the n8n workflow is not active, or its webhook has another path or method: activate the workflow",
    ),
    _Answered(
        (404, 410),
        r"//hooks\.zapier\.com/",
        "",
        "the Zap is switched off or was deleted: switch it on, and it subscribes anew",
    ),
    _Answered(
        (400, 404, 410),
        r"//hook\.[^/]*make\.com/|//hook\.integromat\.com/",
        "",
        "the Make scenario is switched off, or its webhook is tied to no scenario: switch the scenario on,"
        " or make a new webhook there",
    ),
    _Answered(
        (401, 403),
        r"logic\.azure\.com|powerplatform\.com",
        "",
        "Power Automate takes requests without a sign-in only where the trigger says “Anyone”; the URL must be the"
        " whole one, with its sig=",
    ),
    _Answered((410,), "", "", "the endpoint says that it is gone for good: subscribe again once there is a new one"),
    _Answered(
        (404, 405),
        "",
        "",
        "nothing takes a POST at this URL: compare it with the one that the receiver shows",
    ),
    _Answered(
        (401, 403),
        "",
        "",
        "the endpoint wants to know who is asking, or refuses the signature: give the subscription the header that it"
        " expects, and compare the signing secret. A firewall that blocks robots answers so too",
    ),
    _Answered((407,), "", "", "a proxy before the endpoint wants a password"),
    _Answered((408,), "", "", "the endpoint waited too long for the request: look at its network or its load"),
    _Answered(
        (413,),
        "",
        "",
        "the endpoint takes no body of this size: raise its limit, or choose the format thin",
    ),
    _Answered(
        (415,),
        "",
        "",
        "the endpoint does not take this content type: of CloudEvents choose the mode binary, otherwise let it take"
        " application/json",
    ),
    _Answered(
        (400, 422),
        "",
        "",
        "the endpoint does not understand the event: its answer may say what it misses, and another format may fit",
    ),
    _Answered((429,), "", "", "the endpoint wants fewer events at a time: give the subscription a rate limit"),
    _Answered(
        (502, 503, 504),
        "",
        "",
        "what stands before the endpoint does not reach it: see whether the program behind it runs and answers",
    ),
    _Answered(range(500, 600), "", "", "the endpoint failed at this event: its own log says why"),
    _Answered(
        range(300, 400),
        "",
        "",
        "redirects are not followed: give the subscription the URL that this one leads to; often it is https instead of"
        " http, a slash at the end, or a page to sign in at",
    ),
    _Answered(range(400, 500), "", "", "the endpoint refuses the event: its answer may say why"),
    _Answered(range(100, 200), "", "", "the endpoint ended its answer before it began: look at the proxy before it"),
)

# How failures without an answer are told (service/egress/failures.py, or OpenSSL's own words) -> what to do.
_FAILURES = (
    (
        r"self[- ]signed|unknown authority|unable to get (local )?issuer certificate",
        "the endpoint's certificate is from an authority that is not known here, or the server leaves out those in"
        " between: give the subscription the authority's certificate, or have the server send its whole chain",
    ),
    (r"certificate has expired", "the endpoint's certificate has expired: renew it"),
    (r"not yet valid", "the endpoint's certificate is not valid yet: look at the clocks of both machines"),
    (
        r"another host name|hostname mismatch|ip address mismatch|certificate is not valid for|doesn't match",
        "the endpoint's certificate is for another name: use the name that it was made for",
    ),
    (
        r"client certificate|certificate.{0,10}required|bad certificate|certificate unknown|handshake failure",
        "the endpoint wants a certificate of its clients: give the subscription one",
    ),
    (
        r"does not speak tls|wrong version number|record layer failure|unknown protocol|http request\b.{0,40}https?",
        "there is no TLS at this port: write http:// instead of https://, or use the port for TLS",
    ),
    (r"certificate|\bssl\b|\btls\b", "the TLS connection fails: try the URL with `curl -v` from outside your network"),
    (
        r"cannot be resolved|name or service not known|name resolution|no address associated|getaddrinfo",
        "the host name leads nowhere: look for a slip in it, or for a name that is known in your own network only",
    ),
    (
        r"is not a public address",
        "private addresses are closed: whoever runs this service can list yours in egress.allow",
    ),
    (r"refused|connect call failed", "nothing listens there: see whether the program runs, and at which port"),
    (
        r"unreachable|no route",
        "there is no way to this address: see whether it can be reached from the machine that this service runs on",
    ),
    (
        r"could not be opened in time",
        "nothing answers at this address: a firewall may drop what comes from outside",
    ),
    (
        r"in time|no answer within|time[d ]*out",
        "the endpoint works before it answers: let it answer 2xx at once, and work afterwards",
    ),
    (
        r"disconnected|reset by peer|broken pipe|connection (was )?closed|connection ended|broke off|\beof\b",
        "the endpoint closed the connection without an answer: its own log, or that of its proxy, says why. A port for"
        " TLS does so too when it is asked by http://",
    ),
    (r"is no http", "what answers at this port is no web server: look at the port, and whether it wants https://"),
)


def hint_for(status: int | None, body_text: str, error_text: str, url: str) -> str | None:
    """What to do about an attempt that was not taken; None for a success, and where nothing is known.

    status, body_text: of the answer; None and "" where none came. error_text: why none came. Nothing of the URL or of
    the answer is repeated: both may hold what is nobody else's business.
    """
    if status is None:
        words = _without_host(error_text[:READ_MOST].lower(), url)
        return next((hint for pattern, hint in _FAILURES if re.search(pattern, words)), None)
    if 200 <= status < 300:
        return None
    body, url = body_text[:READ_MOST].lower(), url.lower()
    for row in _ANSWERS:
        if status in row.statuses and re.search(row.url, url) and re.search(row.body, body, re.DOTALL):
            return row.hint
    return None


def _without_host(words: str, url: str) -> str:
    """A host may be called tls.example.com, and that says nothing of what went wrong."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return words
    return words.replace(host, "") if host else words
