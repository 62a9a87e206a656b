"""E-mail through a real mail server on loopback: what it is handed, and what its replies mean."""

import asyncio
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from service.egress import Lost, NotSent, open_egress
from service.errors import Problem, SettingsError
from service.guard import Guard
from service.mail import Mail
from service.mailto import read_recipients
from service.settings import EmailSettings
from service.web.serving import listen
from tests.certificates import certified, server_side
from tests.test_egress import LOOPBACK, hang
from tests.test_egress_timings import endpoint

MESSAGE: dict[str, Any] = {
    "subject": "✅ Video ready: a river",
    "text": "It is ready.\n.\nWatch it: https://example.com/" + "x" * 1200,
    "html": "<p>It is <b>ready</b>.</p>",
    "message_id": "evt_01",
    "timestamp": 1_795_255_200,
}
TEAM = "mailto:team@example.com"

pytestmark = pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS"
)  # it does not see it from outside


class Mailbox:
    """A mail server's side: what it was handed, and what it says to each command (nothing: it accepts)."""

    def __init__(self, **says):
        self.taken, self.says, self.users = [], says, []

    def replies(self, command, envelope):
        reply = self.says.get(command)
        return reply(envelope) if callable(reply) else reply

    async def handle_MAIL(self, server, session, envelope, address, options):
        reply = self.replies("mail", envelope)
        if reply is None:
            envelope.mail_from = address
        return reply or "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        reply = self.says.get("rcpt", {}).get(address)
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.taken.append(envelope)
        reply = self.says.get("data")
        if reply == "nothing":
            await asyncio.Event().wait()
        if reply == "hang up":
            server.transport.abort()
            return "250 never heard"
        return reply or "250 OK queued as 42"

    def let_in(self, server, session, envelope, mechanism, data):
        self.users.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)


@asynccontextmanager
async def mail_server(mailbox, *, tls=None, starttls=None, auth=False):
    """The port of a mail server."""
    made: list[Any] = []

    def accept():
        server = SMTP(
            mailbox,
            hostname="mx.example.com",
            tls_context=starttls,
            authenticator=mailbox.let_in if auth else None,
            auth_required=auth,
            auth_require_tls=starttls is not None,
        )
        made.append(server)
        return server

    listening = listen("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(accept, sock=listening, ssl=tls)
    async with server:
        yield listening.getsockname()[1]
        for each in made:
            if each.transport is not None:
                each.transport.abort()
        await asyncio.sleep(0)  # the transports are closed in the next turn


def settings_of(port, **settings):
    usual = {"security": "none", "sender": "Reelhook <reelhook@example.org>", "recipients": ("*@example.com",)}
    return EmailSettings(**{"host": "127.0.0.1", "port": port, **usual, **settings})


async def sent(settings, url=TEAM, *, allow=LOOPBACK, timeout_ms=5_000, message=MESSAGE):
    """What became of a message: an Exchange, NotSent or Lost."""
    async with open_egress(Guard(allow), "test") as egress:
        try:
            return await Mail(settings, egress).send(url, message, timeout_ms=timeout_ms)
        except (NotSent, Lost) as error:
            return error


async def delivered(url=TEAM, **says):
    """The Mailbox, and what became of a message to it."""
    mailbox = Mailbox(**says)
    async with mail_server(mailbox) as port:
        return mailbox, await sent(settings_of(port), url)


def read(envelope):
    return message_from_bytes(envelope.content, policy=default)


async def test_a_message_is_delivered():
    mailbox, exchange = await delivered()
    assert (exchange.answer.status, exchange.answer.body) == (250, b"OK queued as 42")
    assert (mailbox.taken[0].mail_from, mailbox.taken[0].rcpt_tos) == ("reelhook@example.org", ["team@example.com"])


async def test_a_message_says_what_the_event_does():
    mailbox, _ = await delivered()
    message = read(mailbox.taken[0])
    assert message["subject"] == MESSAGE["subject"]
    assert message.get_body(("plain",)).get_content().splitlines() == str(MESSAGE["text"]).splitlines()
    assert message.get_body(("html",)).get_content().strip() == MESSAGE["html"]


async def test_a_message_says_that_a_program_wrote_it_and_which_event_it_is():
    mailbox, _ = await delivered()
    message = read(mailbox.taken[0])
    assert message["message-id"] == "<evt_01@example.org>"
    assert message["auto-submitted"] == "auto-generated"
    assert message["date"].datetime.isoformat() == "2026-11-21T10:00:00+00:00"
    assert (message["from"], message["to"]) == ("Reelhook <reelhook@example.org>", "team@example.com")


async def test_each_attempt_sends_the_same_bytes():
    first, second = (await delivered())[0], (await delivered())[0]
    assert first.taken[0].content == second.taken[0].content


async def test_a_subject_has_one_line():
    mailbox = Mailbox()
    async with mail_server(mailbox) as port:
        await sent(settings_of(port), message=MESSAGE | {"subject": "one\r\nBcc: you@example.com", "html": None})
    assert read(mailbox.taken[0])["bcc"] is None


async def test_every_line_is_short_enough_for_every_mail_server():
    mailbox, _ = await delivered()
    assert max(map(len, mailbox.taken[0].content.split(b"\r\n"))) <= 998
    assert mailbox.taken[0].content.isascii()


async def test_the_phases_are_told():
    _, exchange = await delivered()
    assert list(exchange.timings) == ["connect", "send", "wait", "read", "total"]


@pytest.mark.parametrize(
    "says",
    [
        {"mail": "452 4.3.1 full"},
        {"rcpt": {"team@example.com": "452 4.3.1 full"}},
        {"data": "452 4.3.1 full"},
        {"mail": "552 5.3.4 too large"},
        {"rcpt": {"team@example.com": "550 5.1.1 no such user"}},
        {"data": "554 5.7.1 we think this is spam"},
    ],
)
async def test_a_refusal_is_an_answer_with_the_servers_code_and_words(says):
    _, exchange = await delivered(**says)
    reply = says.get("mail") or says.get("data") or says["rcpt"]["team@example.com"]
    assert f"{exchange.answer.status} {exchange.answer.body.decode()}" == reply


async def test_a_recipient_who_is_refused_for_good_does_not_stop_the_others():
    refusal = {"one@example.com": "550 5.1.1 no such user"}
    mailbox, exchange = await delivered("mailto:one@example.com,two@example.com", rcpt=refusal)
    assert mailbox.taken[0].rcpt_tos == ["two@example.com"]
    assert exchange.answer.status == 250
    assert b"not sent to one@example.com: 550 5.1.1 no such user" in exchange.answer.body


async def test_nobody_is_sent_anything_while_one_is_refused_for_now():
    refusal = {"two@example.com": "451 4.7.1 greylisted"}
    mailbox, exchange = await delivered("mailto:one@example.com,two@example.com", rcpt=refusal)
    assert mailbox.taken == []
    assert exchange.answer.status == 451


async def test_a_server_that_took_the_text_and_says_nothing_may_have_it():
    mailbox = Mailbox(data="nothing")
    async with mail_server(mailbox) as port:
        lost = await sent(settings_of(port), timeout_ms=200)
    assert isinstance(lost, Lost)
    assert lost.timings["wait"] >= 50


async def test_a_server_that_took_the_text_and_hung_up_may_have_it():
    _, lost = await delivered(data="hang up")
    assert isinstance(lost, Lost)


async def test_a_refused_connection_was_not_sent():
    async with mail_server(Mailbox()) as port:
        pass
    assert isinstance(await sent(settings_of(port)), NotSent)


async def test_a_mail_server_at_a_closed_address_is_not_connected_to():
    async with mail_server(Mailbox()) as port:
        refused = await sent(settings_of(port, host="localhost"), allow=())
    assert isinstance(refused, NotSent)
    assert "not a public address" in str(refused)


async def test_a_mail_server_whose_name_nobody_knows_was_not_sent_to():
    assert "cannot be resolved" in str(await sent(settings_of(25, host="no-such-host.invalid")))


async def test_a_server_that_does_not_greet_was_not_sent_to():
    async with endpoint(hang, asked=False) as url:
        late = await sent(settings_of(urlsplit(url).port), timeout_ms=100)
    assert isinstance(late, NotSent)
    assert "not ready in time" in str(late)


@pytest.mark.parametrize("greeting", [b"554 no\r\n", b"421 later\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_server_that_greets_otherwise_was_not_sent_to(greeting):
    async def greet(reader, writer):
        writer.write(greeting)
        await reader.read()

    async with endpoint(greet, asked=False) as url:
        refused = await sent(settings_of(urlsplit(url).port))
    assert isinstance(refused, NotSent)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_secured_server_is_logged_in_to(tmp_path, security):
    shown, mailbox = certified(), Mailbox()
    (tmp_path / "ca.pem").write_text(shown.pem)
    context = server_side(tmp_path, shown)
    secured = {"starttls": context} if security == "starttls" else {"tls": context}
    settings = {"security": security, "ca_file": str(tmp_path / "ca.pem"), "username": "me", "password": "right"}
    async with mail_server(mailbox, auth=True, **secured) as port:
        exchange = await sent(settings_of(port, **settings))
    assert exchange.answer.status == 250
    assert mailbox.users == [(b"me", b"right")]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_refused_in_words(tmp_path, security):
    context, mailbox = server_side(tmp_path, certified()), Mailbox()
    secured = {"starttls": context} if security == "starttls" else {"tls": context}
    async with mail_server(mailbox, **secured) as port:
        refused = await sent(settings_of(port, security=security))
    assert isinstance(refused, NotSent)
    assert "no TLS connection to 127.0.0.1: the certificate is self-signed" in str(refused)


async def test_a_server_without_starttls_is_not_spoken_to_in_the_open():
    mailbox = Mailbox()
    async with mail_server(mailbox) as port:
        refused = await sent(settings_of(port, security="starttls"))
    assert isinstance(refused, NotSent)
    assert mailbox.taken == []


async def test_a_wrong_password_is_no_matter_of_the_message(tmp_path):
    shown, mailbox = certified(), Mailbox()
    (tmp_path / "ca.pem").write_text(shown.pem)
    settings = {"security": "tls", "ca_file": str(tmp_path / "ca.pem"), "username": "me", "password": "wrong"}
    async with mail_server(mailbox, tls=server_side(tmp_path, shown), auth=True) as port:
        refused = await sent(settings_of(port, **settings))
    assert isinstance(refused, NotSent)
    assert "did not let us in: 535" in str(refused)


async def test_a_server_that_wants_a_login_is_no_matter_of_the_message():
    _, refused = await delivered(mail="530 5.7.0 Authentication required")
    assert isinstance(refused, NotSent)
    assert "wants a user name" in str(refused)


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("mailto:team@example.com", ("team@example.com",)),
        ("MAILTO:a@example.com,b@example.com", ("a@example.com", "b@example.com")),
        ("mailto:a@example.com,a@example.com", ("a@example.com",)),
        ("mailto:first.last%2Breels@mail.example.com", ("first.last+reels@mail.example.com",)),
        ("mailto:root@localhost", ("root@localhost",)),
    ],
)
def test_the_recipients_stand_in_the_url(url, addresses):
    assert read_recipients(url) == addresses


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.com/", "mailto:", "mailto:nobody", "mailto:a@example.com?bcc=b@example.org", "mailto:@a.b"),
        *("mailto:a@example.com,", "mailto:a b@example.com", "mailto:a@b@example.com", "mailto:a%0d%0aRCPT@x.y"),
        *("mailto:<a@example.com>", "mailto:a%40evil.org@example.com", 'mailto:"a@evil.org, b"@example.com'),
        *("mailto:a@example..com", "mailto:a@-example.com", "mailto:ä@example.com", "mailto:a%evil.org@example.com"),
        *("mailto:evil.org!a@example.com", "mailto:|sh@example.com", "mailto:" + "a" * 65 + "@example.com"),
        *("mailto:a@" + "b." * 130 + "com", "mailto:" + ",".join(f"a{n}@example.com" for n in range(11))),
        "mailto:" + "a" * 3000,
    ],
)
def test_what_is_no_recipient_is_refused(url):
    with pytest.raises(Problem) as caught:
        read_recipients(url)
    assert caught.value.field == "url"


async def refusal(url, **settings):
    async with open_egress(Guard(), "test") as egress:
        with pytest.raises(Problem) as caught:
            Mail(settings_of(25, **settings), egress).check(url)
    return caught.value.message


@pytest.mark.parametrize("recipients", [(), ("*@example.org",), ("*@*.example.com",), ("you@example.com",)])
async def test_only_whom_the_operator_lists_may_be_sent_to(recipients):
    assert "email.recipients" in await refusal(TEAM, recipients=recipients)


async def test_one_who_is_not_listed_is_enough_to_refuse():
    assert "me@example.org may not" in await refusal("mailto:team@example.com,me@example.org")


async def test_without_a_mail_server_nobody_may_be_sent_to():
    assert "sends no e-mail" in await refusal(TEAM, host=None)


@pytest.mark.parametrize("pattern", ["team@example.com", "*@EXAMPLE.com", "*", "t??m@example.com"])
async def test_who_is_listed_may_be_sent_to(pattern):
    async with open_egress(Guard(), "test") as egress:
        mail = Mail(settings_of(25, recipients=(pattern,)), egress)
        assert mail.check("mailto:Team@example.com") == ("Team@example.com",)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sender": None}, "email.sender"),
        ({"sender": "Reelhook"}, "email.sender"),
        ({"username": "me", "security": "tls"}, "both or neither"),
        ({"username": "me", "password": "x"}, "in the open"),
        ({"security": "tls", "ca_file": "/no/such/file"}, "email.ca_file"),
    ],
)
async def test_settings_that_cannot_be_are_refused_at_the_start(settings, words):
    async with open_egress(Guard(), "test") as egress:
        with pytest.raises(SettingsError, match=words):
            Mail(settings_of(25, **settings), egress)
