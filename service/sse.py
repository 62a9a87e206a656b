"""Server-sent events as bytes: messages written for one side, and read on the other (WHATWG HTML, section 9.2)."""

from dataclasses import dataclass

LONGEST = 8 * 2**20  # bytes of one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. data: "" where it only says where the stream is, which browsers take in and tell nobody. id: of
    this message, or of the last one that had any."""

    event: str
    data: str
    id: str


def write_message(*, event: str | None = None, data: str | None = None, id: str, retry_ms: int | None = None) -> bytes:
    """A message whose values are one line each."""
    fields = (("retry", retry_ms), ("id", id), ("event", event), ("data", data))
    return "".join(f"{name}: {value}\n" for name, value in fields if value is not None).encode() + b"\n"


def write_comment(words: str = "") -> bytes:
    """What is sent so that something is."""
    return f": {words}\n\n".encode()


class MessageReader:
    """Makes messages of pieces, however they are cut."""

    def __init__(self, last_id: str = "") -> None:
        self._rest = b""
        self._id = last_id
        self._event = ""
        self._data: list[str] = []
        self._seen = False

    def feed(self, piece: bytes) -> list[Message]:
        """The messages that this piece completes. ValueError when a line is too long to be one."""
        self._rest += piece
        messages = []
        while (end := self._rest.find(b"\n")) >= 0:
            line, self._rest = self._rest[:end], self._rest[end + 1 :]
            if (message := self._take(line.removesuffix(b"\r").decode("utf-8", "replace"))) is not None:
                messages.append(message)
        if len(self._rest) > LONGEST:
            raise ValueError(f"a line of the stream is longer than {LONGEST} bytes")
        return messages

    def _take(self, line: str) -> Message | None:
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id":
                self._id, self._seen = value, True
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
        return None

    def _end(self) -> Message | None:
        """An empty line: whatever stood before it is a message, if it was more than a comment."""
        message = Message(event=self._event, data="\n".join(self._data), id=self._id)
        worth = bool(self._data) or self._seen
        self._event, self._data, self._seen = "", [], False
        return message if worth else None
