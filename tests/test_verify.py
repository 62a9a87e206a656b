"""What `reelhook verify` says of a signature, with the reference library as witness."""

import base64
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from service.cli import main
from service.signing import new_secret, sign
from service.verifying import examine, read_headers
from service.wire import dump_text

NOW = 1_790_000_000_000
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
BODY = '{"id":"evt_1","name":"ü"}'.encode()


def signed(body=BODY, secret=SECRET, message_id="evt_1", at=NOW // 1000):
    return dict(sign([secret], message_id, at, body))


def wrong(headers, body=BODY, secret=SECRET, now=NOW):
    return "\n".join(examine(secret, headers, body, now).wrong)


def test_what_the_reference_library_signs_is_valid():
    signature = Webhook(SECRET).sign("evt_1", datetime.fromtimestamp(NOW // 1000, UTC), BODY.decode())
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(NOW // 1000), "webhook-signature": signature}
    assert examine(SECRET, headers, BODY, NOW).valid


def test_one_good_signature_among_others_is_enough():
    headers = signed()
    headers["webhook-signature"] = (
        "v1a,xxx " + signed(secret=OTHER)["webhook-signature"] + f" {headers['webhook-signature']}"
    )
    finding = examine(SECRET, headers, BODY, NOW)
    assert (finding.valid, finding.noted) == (True, ("a v1a signature (ed25519) is not checked here",))


@pytest.mark.parametrize(
    ("later_s", "said"),
    [
        (301, "301 s before the time of checking, too old by 1 s"),
        (-400, "400 s after the time of checking, too far in the future by 100 s"),
    ],
)
def test_a_time_that_receivers_do_not_take_is_told_in_seconds(later_s, said):
    assert said in wrong(signed(), now=NOW + later_s * 1000)


def test_a_good_signature_that_is_too_old_has_that_one_fault():
    assert len(examine(SECRET, signed(), BODY, NOW + 301_000).wrong) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BODY + b"\n", "a line break at its end that was not signed"),
        (BODY.replace(b",", b", "), "parsed and written anew"),
        (b"\xef\xbb\xbf" + BODY, "a byte order mark"),
        (BODY.replace(b"evt_1", b"evt_2"), "the body is of another message: it is evt_2"),
        (BODY.replace("ü".encode(), b"u"), "another secret, or a value in the body was changed"),
        (b"hello", "another secret, or of another body than these 5 bytes"),
    ],
)
def test_a_body_that_was_changed_is_told_as_far_as_it_can_be_known(body, said):
    assert said in wrong(signed(), body)


@pytest.mark.parametrize(
    ("sent", "received", "said"),
    [
        (b"a\nb", b"a\r\nb", "its line breaks have become CR LF"),
        (b"a\r\nb", b"a\nb", "its line breaks have lost their CR"),
        (b"a\n", b"a", "the line break at its end is missing"),
        (b"", b"a", "an empty body was signed"),
    ],
)
def test_what_was_done_to_the_bytes_is_told(sent, received, said):
    assert said in wrong(signed(sent), received)


def test_the_signature_of_another_secret_is_told():
    assert "is of another secret" in wrong(signed(secret=OTHER))


def test_a_secret_that_was_not_decoded_is_told():
    raw = "whsec_" + base64.b64encode(SECRET.encode()).decode()
    assert "signed with the text of the secret" in wrong(signed(secret=raw))


def test_the_signature_for_another_id_is_told():
    headers = signed() | {"webhook-id": "msg_7"}
    assert "it was signed for webhook-id evt_1, not msg_7" in wrong(headers)


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        ("webhook-id", "", "webhook-id is missing"),
        ("webhook-timestamp", "soon", "must be unix seconds, not 'soon'"),
        ("webhook-timestamp", str(NOW), "looks like milliseconds"),
        ("webhook-signature", "abc", "has no version"),
        ("webhook-signature", "v1," + "ab" * 32, "written in hex"),
        ("webhook-signature", "v1,abc", "is not the base64 of 32 bytes"),
        ("webhook-signature", "v2,abc", "no v1 signature to check"),
        ("webhook-signature", "v1,ü", "is not the base64 of 32 bytes"),
    ],
)
def test_a_malformed_header_is_told(header, value, said):
    assert said in wrong(signed() | {header: value})


@pytest.mark.parametrize("secret", ["whsec_!", "whsec_", "whpk_abc="])
def test_a_secret_that_is_none_is_told(secret):
    assert "the secret cannot be used" in wrong(signed(), secret=secret)


@pytest.mark.parametrize("text", ['{"Webhook-Id": "evt_1", "n": 1}', "POST / HTTP/1.1\r\nWebhook-Id:  evt_1\r\n\r\n"])
def test_headers_are_read_as_people_have_them(text):
    assert read_headers(text) == {"webhook-id": "evt_1"}


def reelhook(*words, body=BODY):
    """Run the command as a process: (status, what it says)."""
    command = [sys.executable, "-m", "service", "verify", *words]
    done = subprocess.run(command, input=body, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode()


def test_the_command_says_valid_and_ends_with_zero(tmp_path):
    secret = new_secret()
    (tmp_path / "headers").write_text(dump_text(signed(secret=secret)))
    words = ["--secret", secret, "--headers", str(tmp_path / "headers"), "--at", "2026-09-21T14:13:20Z"]
    assert reelhook(*words) == (0, "valid\n")


def test_the_command_says_what_is_wrong_and_ends_with_one(tmp_path, capsys):
    (tmp_path / "body").write_bytes(BODY)
    _, timestamp, signature = signed().values()
    words = ["--secret", OTHER, "--id", "evt_1", "--timestamp", timestamp, "--signature", signature, "--at", timestamp]
    status = main(["verify", *words, "--body", str(tmp_path / "body")])
    said = capsys.readouterr().out
    assert (status, said.splitlines()[0], "another secret" in said) == (1, "not valid", True)


def test_a_file_that_is_not_there_is_said(tmp_path, capsys):
    status = main(["verify", "--secret", SECRET, "--body", str(tmp_path / "none")])
    assert (status, "none" in capsys.readouterr().err) == (2, True)
