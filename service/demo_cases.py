"""What is submitted in the demo: every documented request example and the bad cases, with what must come of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.demo_subscribers import ONE_SHOT
from service.dialects import DIALECTS
from service.dialects.shape import Surface
from service.formats.gateway import task_id
from service.model import VideoRequest
from service.wire import dumps, loads, pick, place

# In an installed wheel the documented examples lie beside the code, in a checkout beside the package.
_HERE = Path(__file__).parent
FIXTURES = _HERE / "fixtures" if (_HERE / "fixtures").is_dir() else _HERE.parent / "fixtures"

FOUND = ("callback", "sweep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One submit, and what must come of it.

    told: the HTTP status that its caller gets. ends, by: how its task must end, and by whose word it may. creates: how
    many tasks the gateway must make of it. unknown: whether its caller must be told that the outcome is unknown.
    callbacks: kind -> how many the gateway sends of it, besides the genuine ones. moral: with {seconds} to its end.
    """

    title: str
    gateway: str
    path: str
    body: bytes
    prompt: str
    told: int = 200
    ends: str = "succeeded"
    by: tuple[str, ...] = FOUND
    creates: int = 1
    unknown: bool = False
    callbacks: Mapping[str, int] = field(default_factory=dict)
    moral: str = "done after {seconds} s"

    def task_id(self, answer: Any) -> str | None:
        """The task's own id, from the answer that the caller got; None when it was given none."""
        if self.path.startswith("/v1/"):
            found = pick(answer, ("id",)) or pick(answer, ("task", "id"))
            return str(found) if found else None
        surface = surface_of(self.gateway, self.path.removeprefix(f"/{self.gateway}"))
        receipt = surface.read_receipt(answer) if isinstance(answer, dict) else None
        public = receipt.gateway_task_id if receipt else None
        return task_id(public, surface) if public else None


def documented_cases(webhook_base: str) -> list[Case]:
    """Every create of the documentation, as it stands there; only a callback URL of the outside world is replaced."""
    return [_read_example(path, webhook_base) for path in sorted(FIXTURES.glob("*/create-*.request.http"))]


def _read_example(path: Path, webhook_base: str) -> Case:
    head, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    lines = head.strip().split("\n")
    source = " ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    target = next(line for line in lines if not line.startswith("# ")).split()[1]
    gateway, body = path.parent.name, loads(text)
    surface = surface_of(gateway, target)
    raw = text.strip().encode()
    if pick(body, surface.callback_path) is not None:
        place(body, surface.callback_path, webhook_base + ONE_SHOT)
        raw = dumps(body)
    return Case(
        title=f"documented example “{source.partition(', ')[2]}”",
        gateway=gateway,
        path=f"/{gateway}{target}",
        body=raw,
        prompt=surface.read_create(body).prompt or "",
    )


def surface_of(gateway: str, path: str) -> Surface:
    """The surface that takes creates at this path of a gateway."""
    return next(
        surface
        for surface in DIALECTS[gateway].surfaces
        for route in surface.routes
        if route.operation == "create" and route.path == path
    )


def native(
    title: str, gateway: str, prompt: str, *, expires_s: int | None = None, told: int = 201, **what: Any
) -> Case:
    """A submit to our own API."""
    body = {"gateway": gateway, "model": DIALECTS[gateway].models[0], "prompt": prompt, "duration": 5}
    if expires_s is not None:
        body["execution_expires_after"] = expires_s
    return Case(title=title, gateway=gateway, path="/v1/tasks", body=dumps(body), prompt=prompt, told=told, **what)


def compatible(title: str, gateway: str, prompt: str, *, webhook: str | None = None, **what: Any) -> Case:
    """A submit to the gateway's own API, as we serve it."""
    surface = DIALECTS[gateway].surfaces[0]
    wanted = VideoRequest(model=DIALECTS[gateway].models[0], prompt=prompt, duration=5)
    route = surface.route("create")
    assert route is not None  # every surface creates
    body = dumps(surface.write_create(wanted, webhook))
    return Case(title=title, gateway=gateway, path=f"/{gateway}{route.path}", body=body, prompt=prompt, **what)


def refused(title: str, gateway: str, status: int, *, told: int) -> Case:
    """The gateway says no, in its own dialect, and the caller hears it so."""
    prompt = f"A sailor without a ship [{status}]"
    moral = f"the caller got the gateway's {status} at once"
    return compatible(title, gateway, prompt, told=told, ends="failed", by=("submit",), creates=0, moral=moral)


def bad_cases(webhook_base: str) -> list[Case]:
    """All that goes wrong in life, by the markers that the sandbox knows (sandbox_script.py)."""
    return [
        *_callback_cases(webhook_base),
        *_create_cases(),
        *_ending_cases(),
        *_question_cases(),
    ]


def _callback_cases(webhook_base: str) -> list[Case]:
    return [
        *(
            native(
                "a callback is lost",
                gateway,
                f"A lighthouse in the fog, {gateway} [take 800ms] [lost]",
                by=("sweep",),
                moral="callback lost, the sweep found it after {seconds} s",
            )
            for gateway in ("easyrouter", "videos", "seedance2")
        ),
        *(
            native(
                "callbacks are forged",
                gateway,
                f"A masked ball in Venice, {gateway} [take 1s] [forge]",
                callbacks={"forged": 3},
                moral="three forged callbacks refused, the true result came after {seconds} s",
            )
            for gateway in ("easyrouter", "videos", "seedance2")
        ),
        native(
            "a callback of the official API is lost",
            "ark",
            "A message without a bottle [take 800ms] [lost]",
            by=("sweep",),
            moral="callback lost, the sweep found it after {seconds} s",
        ),
        compatible(
            "a callback is repeated",
            "videos",
            "Twins on a swing [take 800ms] [duplicate x3]",
            webhook=webhook_base + ONE_SHOT,
            callbacks={"duplicate": 3},
            moral="four callbacks, one event, after {seconds} s",
        ),
        native(
            "a callback is late",
            "seedance2",
            "A snail on a racetrack [take 800ms] [late 3s]",
            callbacks={"late": 1},
            moral="the sweep did not wait for it: done after {seconds} s",
        ),
        native(
            "callbacks come in the wrong order",
            "easyrouter",
            "A clock that runs backwards [take 800ms] [reorder]",
            callbacks={"reordered": 1},
            moral="'running' after the end changed nothing; done after {seconds} s",
        ),
        native(
            "the gateway lags behind its own callback",
            "easyrouter",
            "Thunder after lightning [take 800ms] [lag 1s]",
            moral="asked again until the gateway knew of it: done after {seconds} s",
        ),
    ]


def _create_cases() -> list[Case]:
    return [
        native(
            "the reply to a create is lost",
            "easyrouter",
            "A letter in a bottle [take 800ms] [drop]",
            told=202,
            unknown=True,
            by=("callback",),
            moral="never sent again; its callback claimed it after {seconds} s",
        ),
        compatible(
            "the reply to a create is lost for good",
            "worldrouter",
            "A letter that nobody reads [drop]",
            told=504,
            ends="expired",
            by=("deadline",),
            unknown=True,
            moral="never sent again; given up after {seconds} s, because no callback can claim it",
        ),
        native(
            "the gateway is full",
            "worldrouter",
            "A queue in front of a bakery [take 600ms] [429 x2]",
            told=202,
            moral="turned away twice, sent when there was room, done after {seconds} s",
        ),
        refused("no room, and the caller does not wait", "cubicspaces", 429, told=429),
        refused("a request that the gateway refuses", "easyrouter", 400, told=400),
        refused("the same, by a gateway that says it with HTTP 200", "videos", 400, told=200),
        refused("an account without credit", "worldrouter", 402, told=402),
        refused("no room for a program of OpenAI's SDK", "openai", 429, told=429),
    ]


def _ending_cases() -> list[Case]:
    code = "OutputVideoSensitiveContentDetected"
    return [
        native(
            "a task fails",
            "seedance2",
            f"A cake that does not rise [take 600ms] [fail {code}]",
            ends="failed",
            moral=f"failed after {{seconds}} s: {code}",
        ),
        native(
            "a task never ends",
            "videos",
            "A road without an end [hang]",
            expires_s=4,
            ends="expired",
            by=("deadline",),
            moral="expired by its deadline after {seconds} s",
        ),
        native(
            "the gateway lets a task expire",
            "worldrouter",
            "Milk in the sun [take 600ms] [expire]",
            ends="expired",
            by=("sweep",),
            moral="the gateway said so after {seconds} s",
        ),
        native(
            "a gateway without a word for it lets a task expire",
            "openai",
            "A parcel that nobody fetches [take 600ms] [expire]",
            ends="expired",
            by=("sweep",),
            moral="it said failed, and expired as the code, after {seconds} s",
        ),
        native(
            "the gateway cancels a task",
            "worldrouter",
            "A concert in the rain [take 600ms] [cancel]",
            ends="cancelled",
            by=("sweep",),
            moral="the gateway said so after {seconds} s",
        ),
    ]


def _question_cases() -> list[Case]:
    return [
        native(
            "a status word that nobody knows",
            "cubicspaces",
            "A word in no dictionary [take 1s] [odd status]",
            moral="it ended nothing; done after {seconds} s",
        ),
        native(
            "the gateway answers 500, then HTML",
            "cubicspaces",
            "A storm over the data centre [take 600ms] [get 500 x3] [html]",
            moral="asked again until it answered: done after {seconds} s",
        ),
        native(
            "success before there is a video",
            "seedance2",
            "A trailer before the film [take 600ms] [no url yet 1s]",
            moral="waited for the video: done after {seconds} s",
        ),
    ]


CANCELLED = compatible(
    "the caller cancels",
    "seedance2",
    "A train that is called back [take 60s]",
    ends="cancelled",
    by=("cancel", *FOUND),  # the gateway may call back about the cancellation before it has answered it
    moral="cancelled at the gateway after {seconds} s",
)
REPEATED = native(
    "the caller sends a submit twice",
    "videos",
    "An echo in the mountains [take 600ms]",
    moral="one Idempotency-Key, one task; done after {seconds} s",
)
