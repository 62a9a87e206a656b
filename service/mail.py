"""E-mail: a frozen message to the recipients of a mailto: URL, by the operator's mail server.

Whom owners may write to is the operator's word alone: otherwise anybody with a key could send mail in his name.
Sources: RFC 5321 (SMTP), RFC 6068 (mailto:), RFC 3834 (Auto-Submitted).
"""

import asyncio
import hashlib
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import parseaddr
from fnmatch import fnmatchcase
from pathlib import Path

import aiosmtplib

from service.egress import Egress, Exchange, Lost, NotSent
from service.egress.failures import tls_in_words
from service.egress.phases import Stopwatch
from service.errors import Problem, SettingsError, invalid
from service.mailto import is_address, read_recipients
from service.settings import EmailSettings
from service.tls import tls_context
from service.wire import HttpAnswer, Json

QUIT_S = 1  # a mail server that has taken the message gets so long to say goodbye
_POLICY = SMTP_POLICY.clone(cte_type="7bit")  # every mail server takes that


class Mail:
    """The operator's mail server. SettingsError when the settings of it cannot be used."""

    def __init__(self, settings: EmailSettings, egress: Egress) -> None:
        self._settings, self._egress = settings, egress
        self._sender, self._tls = "", None
        if settings.host is None:
            return
        self._sender = parseaddr(settings.sender or "")[1]
        if not is_address(self._sender):
            raise SettingsError("email.sender: must be an address such as Reelhook <reelhook@example.com>")
        if (settings.username is None) != (settings.password is None):
            raise SettingsError("email.username, email.password: give both or neither")
        if settings.username is not None and settings.security == "none":
            raise SettingsError("email.security: must be starttls or tls, or the password would be sent in the open")
        if settings.security != "none":
            self._tls = _trusted(settings.ca_file)

    def check(self, url: str, field: str = "url") -> tuple[str, ...]:
        """The recipients of a mailto: URL; a Problem with the reason where nothing may be sent to one of them."""
        recipients = read_recipients(url, field)
        if self._settings.host is None:
            raise invalid(field, "this service sends no e-mail; its operator has to name a mail server in [email]")
        for address in recipients:
            if not any(fnmatchcase(address.lower(), each.lower()) for each in self._settings.recipients):
                raise invalid(field, f"{address} may not be sent to; the operator lists who may in email.recipients")
        return recipients

    async def send(self, url: str, message: Json, *, timeout_ms: int) -> Exchange:
        """One message: subject, text, html (or null), message_id and timestamp (unix seconds).

        The answer's status is the server's reply code, its body what it said: 250 delivered, 4xx to be tried again, 5xx
        refused for good. Where one of several recipients is refused for now nobody is sent anything yet; where one is
        refused for good the others are, and the body says who was not.

        NotSent also where the server did not let us in; Lost where it has the text and its word is missing; a Problem
        where that may not be sent to (any more). timings: connect (with TLS and login), send (who, to whom), wait.
        """
        recipients = self.check(url)
        composed = compose(message, self._settings.sender or "", recipients)
        watch = Stopwatch(sending=True)
        try:
            answer = await self._sent(recipients, composed, timeout_ms, watch)
        except (NotSent, Lost) as error:
            error.timings = watch.phases()
            raise
        return Exchange(answer=answer, timings=watch.phases())

    async def _sent(
        self, recipients: tuple[str, ...], composed: bytes, timeout_ms: int, watch: Stopwatch
    ) -> HttpAnswer:
        client = self._client()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._enter(client, timeout_ms, watch)
                answer = await _handed_over(client, self._sender, recipients, composed, watch)
        except (OSError, aiosmtplib.SMTPException) as error:  # TimeoutError is an OSError
            client.close()
            raise self._judged(error, watch) from error
        except BaseException:
            client.close()
            raise
        await _leave(client)
        return answer

    def _client(self) -> aiosmtplib.SMTP:
        security = self._settings.security
        return aiosmtplib.SMTP(
            hostname=self._settings.host,
            username=self._settings.username,
            password=self._settings.password,
            local_hostname=self._sender.partition("@")[2],
            timeout=None,  # there is one deadline over all of it
            use_tls=security == "tls",
            start_tls=security == "starttls",
            tls_context=self._tls,
        )

    async def _enter(self, client: aiosmtplib.SMTP, timeout_ms: int, watch: Stopwatch) -> None:
        watch.opening = time.perf_counter()
        host, port = self._settings.host or "", self._settings.port
        sock = await self._egress.connect(host, port, timeout_ms=timeout_ms)
        try:
            await client.connect(sock=sock)
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"the mail server did not let us in: {error.code} {_line(error.message)}") from error
        except BaseException:
            sock.close()
            raise
        watch.ready = time.perf_counter()

    def _judged(self, error: Exception, watch: Stopwatch) -> NotSent | Lost:
        host = self._settings.host or ""
        cause = error if isinstance(error, ssl.SSLError) else error.__cause__
        if watch.sent is not None:
            return Lost("the mail server has the message, and did not say in time what becomes of it")
        if isinstance(cause, ssl.SSLError):
            return NotSent(tls_in_words(cause, host))
        if isinstance(error, TimeoutError):
            return NotSent("the mail server was not ready in time")
        return NotSent(f"the mail server: {error}")


def compose(message: Json, sender: str, recipients: tuple[str, ...]) -> bytes:
    """The message as it is sent: the same bytes whenever the same is composed."""
    composed = EmailMessage(policy=_POLICY)
    composed["From"] = sender
    composed["To"] = ", ".join(recipients)
    composed["Subject"] = _line(message["subject"])
    composed["Date"] = datetime.fromtimestamp(message["timestamp"], UTC)
    composed["Message-ID"] = f"<{message['message_id']}@{parseaddr(sender)[1].partition('@')[2]}>"
    composed["Auto-Submitted"] = "auto-generated"
    composed.set_content(message["text"])
    if message.get("html"):
        composed.add_alternative(message["html"], subtype="html")
        composed.set_boundary("=_" + hashlib.sha256(message["message_id"].encode()).hexdigest()[:32])
    return composed.as_bytes()


async def _handed_over(
    client: aiosmtplib.SMTP, sender: str, recipients: tuple[str, ...], composed: bytes, watch: Stopwatch
) -> HttpAnswer:
    refused: list[aiosmtplib.SMTPRecipientRefused] = []
    try:
        await client.mail(sender)
        for address in recipients:
            try:
                await client.rcpt(address)
            except aiosmtplib.SMTPRecipientRefused as error:
                refused.append(error)
        for_now = next((error for error in refused if error.code < 500), None)
        if for_now is not None or len(refused) == len(recipients):
            raise for_now or refused[0]
        watch.sent = time.perf_counter()
        code, said = await client.data(composed)
    except aiosmtplib.SMTPResponseException as error:
        if error.code == 530:  # RFC 4954, 6: who we are is asked for, which is no matter of this message
            raise NotSent(f"the mail server wants a user name and password: {_line(error.message)}") from error
        if not 400 <= error.code < 600:
            raise aiosmtplib.SMTPServerDisconnected(f"{error.code} {_line(error.message)} is no answer") from error
        code, said = error.code, error.message
    else:
        said += "".join(f"\nnot sent to {error.recipient}: {error.code} {error.message}" for error in refused)
    watch.heard = time.perf_counter()
    return HttpAnswer(status=code, body=said.encode("utf-8", "replace"))


async def _leave(client: aiosmtplib.SMTP) -> None:
    """With a word, as is the custom, but what was said before stands whatever becomes of it."""
    with suppress(aiosmtplib.SMTPException, OSError):
        async with asyncio.timeout(QUIT_S):
            await client.quit()
    client.close()


def _trusted(ca_file: str | None) -> ssl.SSLContext:
    if ca_file is None:
        return ssl.create_default_context()
    try:
        return tls_context(Path(ca_file).read_text(), None, None)
    except (OSError, UnicodeDecodeError, Problem) as error:
        raise SettingsError(f"email.ca_file: {error}") from error


def _line(text: str) -> str:
    """A header, and a log, has one line."""
    return " ".join(text.split())
