"""What a sandbox saw, counted as things happened: the witness at the far side of every promise."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from service.wire import Json


@dataclass(slots=True, kw_only=True)
class CreateNote:
    """A task that was made. fingerprint: the same for the same request, whatever callback URL it carries. answered:
    whether the caller was given its id."""

    id: str
    prompt: str
    fingerprint: str
    callback_url: str | None
    at: int
    answered: bool = False


@dataclass(slots=True, kw_only=True)
class CallbackNote:
    """One attempt of a callback. kind: genuine, duplicate, forged, reordered or late. status: what was answered; None
    before that, and where no answer came."""

    task: str
    kind: str
    url: str
    at: int
    status: int | None = None


@dataclass(slots=True, kw_only=True)
class UploadNote:
    """An image that was given to the gateway. group: empty where there are none."""

    source: str
    group: str
    approved: bool


@dataclass(slots=True, kw_only=True)
class SandboxLog:
    """Everything noted. creates: by id. refusals: of creates and uploads. gets: of tasks that there are, alone or in a
    list that asks for them by id. lists: requests of one. groups: how many asset groups were made."""

    creates: dict[str, CreateNote] = field(default_factory=dict)
    uploads: list[UploadNote] = field(default_factory=list)
    groups: int = 0
    callbacks: list[CallbackNote] = field(default_factory=list)
    refusals: int = 0
    lists: int = 0
    gets_by_task: Counter[str] = field(default_factory=Counter)
    closest_gets_ms: int | None = None
    _last_get_at: dict[str, int] = field(default_factory=dict)

    def note_get(self, task_id: str, now: int) -> None:
        last = self._last_get_at.get(task_id)
        if last is not None:
            pause = now - last
            self.closest_gets_ms = pause if self.closest_gets_ms is None else min(self.closest_gets_ms, pause)
        self._last_get_at[task_id] = now
        self.gets_by_task[task_id] += 1

    def to_json(self, dialect: str, tasks: Iterable[tuple[str, str]]) -> Json:
        """tasks: (id, status) of each."""
        return {
            "dialect": dialect,
            "creates": [asdict(note) for note in self.creates.values()],
            "tasks_by_fingerprint": Counter(note.fingerprint for note in self.creates.values()),
            "tasks": [{"id": task_id, "status": status} for task_id, status in tasks],
            "uploads": [asdict(note) for note in self.uploads],
            "groups": self.groups,
            "refusals": self.refusals,
            "callbacks": [asdict(note) for note in self.callbacks],
            "gets": self.gets_by_task.total(),
            "lists": self.lists,
            "gets_by_task": self.gets_by_task,
            "closest_gets_ms": self.closest_gets_ms,
        }
