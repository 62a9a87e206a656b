"""API keys: who may come in, as whom. Keys are stored as hashes; a key is seen once, when it is made."""

import hashlib
import secrets
from dataclasses import dataclass

from service.clock import Clock
from service.errors import Problem
from service.model import new_id
from service.store.statements import Database, Transaction, run

PREFIX = "rh_"
REMEMBERED_MS = 5_000  # how long a revoked key may still be let in by another process
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is asking. owner: None for an admin, who sees everybody's."""

    key_id: str
    name: str
    admin: bool

    @property
    def owner(self) -> str | None:
        return None if self.admin else self.name


def new_key() -> str:
    """32 random bytes: nothing to guess, so a plain hash of it is safe to store."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def insert_key(key: str, owner: str, role: str, now: int) -> Transaction[str]:
    """Store a new key; its id. role: owner or admin."""
    key_id = new_id("key", now)
    hint = key[: len(PREFIX) + 4] + "…"
    yield run("insert_key", id=key_id, owner=owner, role=role, hash=hash_of(key), hint=hint, created_at=now)
    return key_id


def revoke_key(key_id: str, now: int) -> Transaction[bool]:
    return bool((yield run("revoke_key", id=key_id, now=now)))


class Keys:
    """Recognises callers by their key, and remembers those it knows for a few seconds."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[Caller, int]] = {}

    async def caller(self, key: str | None) -> Caller:
        """Who this is; a Problem `unauthorized` when nobody we know."""
        if not key:
            raise Problem("unauthorized", "an API key is required: send it as `Authorization: Bearer rh_…`")
        digest = hash_of(key)
        now = self._clock()
        caller, until = self._known.get(digest, (None, 0))
        if caller is not None and now < until:
            return caller
        rows = await self._database.read("key_by_hash", hash=digest)
        if not rows:
            self._known.pop(digest, None)
            raise Problem("unauthorized", "this API key is not known, or was revoked")
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        caller = Caller(key_id=rows[0]["id"], name=rows[0]["owner"], admin=rows[0]["role"] == "admin")
        self._known[digest] = caller, now + REMEMBERED_MS
        return caller
