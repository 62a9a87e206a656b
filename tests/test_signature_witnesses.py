"""One real delivery in the middle of a rotation, verified by what subscribers have: the libraries of their languages,
by the secret from before and by the new one, and by the published key."""

import base64
import hmac
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import openai
import pytest
import standardwebhooks
import svix
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.signing import new_secret
from tests.delivered import Delivered, deliver

NODE = Path(__file__).parent.parent / ".witness" / "node"  # made by `make witness`
BY_NODE = """
const { Webhook, WebhookVerificationError } = require("standardwebhooks");
const { secret, headers, body } = JSON.parse(require("fs").readFileSync(0));
try {
  process.stdout.write(JSON.stringify(new Webhook(secret).verify(Buffer.from(body, "base64"), headers)));
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  process.exit(3);
}
"""

Verifier = Callable[[str, Mapping[str, str], bytes], bool]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    return deliver(tmp_path_factory.mktemp("hub"))


def by_standardwebhooks(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        return bool(standardwebhooks.Webhook(secret).verify(body, dict(headers)) == json.loads(body))
    except standardwebhooks.WebhookVerificationError:
        return False


def by_svix(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        svix.Webhook(secret).verify(body, dict(headers))
    except svix.WebhookVerificationError:
        return False
    return True


def by_openai(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    with openai.OpenAI(api_key="none is needed for this", webhook_secret=secret) as client:
        try:
            return bool(client.webhooks.unwrap(body, dict(headers)).id == json.loads(body)["id"])
        except openai.InvalidWebhookSignatureError:
            return False


def by_npm_standardwebhooks(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    if shutil.which("node") is None or not (NODE / ".ready").exists():
        reason = "npm's standardwebhooks is not here: `make witness` fetches it, where node and npm are installed"
        if os.environ.get("REQUIRE_WITNESSES"):
            pytest.fail(f"required here: {reason}")
        pytest.skip(reason)
    asked = {"secret": secret, "headers": dict(headers), "body": base64.b64encode(body).decode()}
    given = json.dumps(asked).encode()
    ran = subprocess.run(["node", "-e", BY_NODE], check=False, cwd=NODE, input=given, capture_output=True)
    assert ran.returncode in (0, 3), ran.stderr.decode()
    return ran.returncode == 0 and json.loads(ran.stdout) == json.loads(body)


VERIFIERS = [by_standardwebhooks, by_svix, by_openai, by_npm_standardwebhooks]
libraries = pytest.mark.parametrize("verify", VERIFIERS, ids=lambda verify: verify.__name__[3:])


def signatures_of(real: Delivered) -> list[tuple[str, str]]:
    parts = real.request.headers["webhook-signature"].split(" ")
    return [(version, value) for version, _, value in (part.partition(",") for part in parts)]


def test_it_carries_a_signature_by_each_secret_and_one_by_the_published_key(delivered: Delivered) -> None:
    assert [version for version, _ in signatures_of(delivered)] == ["v1", "v1", "v1a"]


@libraries
@pytest.mark.parametrize("age", ["old", "new"])
def test_who_has_either_secret_takes_it(verify: Verifier, age: str, delivered: Delivered) -> None:
    assert verify(getattr(delivered, age), delivered.request.headers, delivered.request.body)


@libraries
def test_who_has_another_secret_refuses_it(verify: Verifier, delivered: Delivered) -> None:
    assert not verify(new_secret(), delivered.request.headers, delivered.request.body)


@libraries
def test_a_body_that_was_changed_is_refused(verify: Verifier, delivered: Delivered) -> None:
    changed = delivered.request.body.replace(b"task.succeeded", b"task.failed")
    assert not verify(delivered.new, delivered.request.headers, changed)


def test_the_published_key_verifies_the_v1a_signature(delivered: Delivered) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(delivered.public_key.removeprefix("whpk_")))
    headers, (_, signature) = delivered.request.headers, signatures_of(delivered)[-1]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + delivered.request.body
    key.verify(base64.b64decode(signature), signed)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(signature), signed + b" ")


def test_old_receivers_find_the_hex_of_the_body_by_the_new_secret(delivered: Delivered) -> None:
    expected = hmac.digest(delivered.new.encode(), delivered.request.body, "sha256").hex()
    assert delivered.request.headers["x-hub-signature-256"] == f"sha256={expected}"
