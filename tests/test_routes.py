"""Any way in, any way out: a task comes in by one API and goes out to another gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.dialects import DIALECTS
from service.errors import Problem, SettingsError, invalid
from service.model import Snapshot, Status
from service.mounts import respelled
from service.settings import GatewaySettings, RouteSettings, Settings
from service.settings_file import read_settings
from service.wire import HttpRequest, Json, dump_text, loads
from service.wiring import open_services
from tests.calling_back import SLOW
from tests.dialects.given import SPOKEN, Spoken, minimal, view
from tests.hub import SANDBOX, SETTINGS, Hub, hub
from tests.servers import Sink

# every surface but the gateway's own, to which its callers are led
FOREIGN = pytest.mark.parametrize("each", [each for each in SPOKEN if each.dialect.name != "easyrouter"], ids=str)
SEEDANCE = "dreamina-seedance-2-0"


def route(from_: str, to: str = "easyrouter", model: str = "*", to_model: str | None = SEEDANCE) -> RouteSettings:
    return RouteSettings(from_=from_, model=model, to=to, to_model=to_model)


@asynccontextmanager
async def routed(folder: Path, *routes: RouteSettings, dialect: str = "easyrouter", **more: Any) -> AsyncIterator[Hub]:
    async with hub(folder, dialect, settings=replace(SETTINGS, routes=routes), **more) as it:
        yield it


def path_of(each: Spoken, operation: Any = "create", task_id: str = "") -> str:
    found = each.surface.route(operation)
    assert found is not None
    return f"/{each.dialect.name}" + found.path.replace("{id}", task_id)


# --- from every API


@FOREIGN
async def test_a_task_goes_out_to_another_gateway_and_is_told_in_the_callers_words(
    tmp_path: Path, each: Spoken
) -> None:
    async with routed(tmp_path, route(each.dialect.name)) as it:
        receipt = each.surface.read_receipt((await it.post(path_of(each), minimal(each))).json())
        task_id = receipt.gateway_task_id
        assert task_id is not None

        async def look() -> Any:
            return each.surface.read_task((await it.http.get(path_of(each, "get", task_id))).json())

        seen = await it.until(look, lambda snapshot: snapshot.status and snapshot.status.terminal)
        (sent,) = it.sandbox._tasks.values()
    assert task_id.startswith(each.surface.id_prefix)
    assert (seen.status, sent.request.model) == ("succeeded", SEEDANCE)


@FOREIGN
async def test_the_caller_sees_the_model_by_his_own_name(tmp_path: Path, each: Spoken) -> None:
    async with routed(tmp_path, route(each.dialect.name)) as it:
        receipt = each.surface.read_receipt((await it.post(path_of(each), minimal(each))).json())
        shown = await it.http.get(path_of(each, "get", str(receipt.gateway_task_id)))
    name = str(minimal(each)["model"])
    shows = name in dump_text(each.surface.write_task(view(each, Status.QUEUED)))  # not every API shows the model
    assert (name in shown.text, SEEDANCE in shown.text) == (shows, False)


@FOREIGN
@pytest.mark.parametrize(("status", "code"), [(402, "insufficient_credit"), (429, "too_many_pending rate_limited")])
async def test_a_refusal_of_the_gateway_is_told_in_the_callers_words(
    tmp_path: Path, each: Spoken, status: int, code: str
) -> None:
    async with routed(tmp_path, route(each.dialect.name), worker=False) as it:
        wanted = replace(each.surface.read_create(minimal(each)), prompt=f"a cat [{status}]")
        answer = await it.post(path_of(each), each.surface.write_create(wanted, None))
        problem = each.dialect.read_error(answer.status_code, answer.json())
    assert problem is not None
    assert problem.code in code


@FOREIGN
async def test_what_only_the_callers_language_knows_is_refused_by_name(tmp_path: Path, each: Spoken) -> None:
    async with routed(tmp_path, route(each.dialect.name), worker=False) as it:
        answer = await it.post(path_of(each), minimal(each) | {"brand_new": {"inner": 1}})
        problem = each.dialect.read_error(answer.status_code, answer.json())
        assert problem is not None
        assert ("brand_new.inner" in problem.message, it.made(), await it.listed("/v1/tasks")) == (True, 0, [])


@FOREIGN
async def test_the_callers_own_webhook_is_called_in_his_words(tmp_path: Path, each: Spoken) -> None:
    async with Sink().open() as sink, routed(tmp_path, route(each.dialect.name)) as it:
        wanted = each.surface.read_create(minimal(each))
        answer = await it.post(path_of(each), each.surface.write_create(wanted, sink.url))
        receipt = each.surface.read_receipt(answer.json())

        def ends(requests: list[HttpRequest]) -> list[Snapshot]:  # Ark tells each change, in any order
            told = (each.dialect.read_callback(loads(request.body)) for request in requests)
            return [snapshot for snapshot in told if snapshot.status and snapshot.status.terminal]

        (told,) = ends(await sink.wait_for(ends))
    # a callback that Ark itself sends bears Ark's id, so it is no id to know the task by (gateways.md F3)
    assert (told.status, told.gateway_task_id in (None, receipt.gateway_task_id)) == ("succeeded", True)


# --- what can be expressed, and what cannot


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"metadata": {"frames": 29}}, "metadata.frames"),
        ({"metadata": {"content": [{"type": "draft_task", "draft_task": {"id": "cgt-1"}}]}}, "media[0].draft_task.id"),
        ({"metadata": {"content": [{"type": "draft_task"}]}}, "media[0].type"),
        ({"size": "1792x1024"}, "size"),
        ({"size": "1920x1080", "metadata": {"seed": 5}}, "metadata.seed"),
        ({"size": "1120x480"}, "size or metadata.ratio"),
        ({"seconds": "60"}, "seconds"),
        ({"input_reference": "data:image/png;base64,AA"}, "input_reference"),
        ({"metadata": {"watermark": True}}, "metadata.watermark"),
    ],
    ids=str,
)
async def test_what_the_gateway_cannot_do_is_refused_by_the_callers_name_for_it(
    tmp_path: Path, body: Json, field: str
) -> None:
    way = route("openai", "seedance2", to_model="seedance-2.0")
    async with routed(tmp_path, way, dialect="seedance2", worker=False) as it:
        answer = await it.post("/openai/v1/videos", {"model": "sora-2", "prompt": "a cat"} | body)
        assert (answer.status_code, answer.json()["error"]["param"], it.made()) == (400, field, 0)


async def test_the_same_language_on_the_other_side_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    async with routed(tmp_path, route("easyrouter", model="old-*"), worker=False) as it:
        body = {"model": "old-model", "prompt": "a cat", "metadata": {"frames": 29}}
        assert (await it.post("/easyrouter/v1/video/generations", body)).status_code == 200
        (sent,) = it.sandbox._tasks.values()
    assert (sent.request.model, sent.request.extra) == (SEEDANCE, {"metadata": {"frames": 29}})


# --- which way


async def test_the_first_route_that_matches_wins(tmp_path: Path) -> None:
    ways = route("openai", model="sora-2-pro", to_model=SEEDANCE), route("openai", to_model=f"{SEEDANCE}-fast")
    async with routed(tmp_path, *ways, worker=False) as it:
        for model in ("sora-2-pro", "sora-2"):
            await it.post("/openai/v1/videos", {"model": model, "prompt": "a cat"})
        sent = [task.request.model for task in it.sandbox._tasks.values()]
    assert sent == [SEEDANCE, f"{SEEDANCE}-fast"]


async def test_a_model_without_a_route_goes_to_the_gateway_of_that_name(tmp_path: Path) -> None:
    async with routed(tmp_path, route("easyrouter", model="old-*"), worker=False) as it:
        await it.post("/easyrouter/v1/video/generations", {"model": f"{SEEDANCE}-fast", "prompt": "a cat"})
        (sent,) = it.sandbox._tasks.values()
    assert sent.request.model == f"{SEEDANCE}-fast"


async def test_a_model_that_leads_nowhere_is_refused_with_those_that_do(tmp_path: Path) -> None:
    async with routed(tmp_path, route("openai", model="sora-*"), worker=False) as it:
        answer = await it.post("/openai/v1/videos", {"model": "veo-3", "prompt": "a cat"})
        error = answer.json()["error"]
    assert (answer.status_code, error["code"], "sora-*" in error["message"]) == (400, "model_not_found", True)


@pytest.mark.parametrize("model", ["a\x00b", "a\nb"])
async def test_a_model_with_odd_characters_is_refused(tmp_path: Path, model: str) -> None:
    async with routed(tmp_path, route("openai"), worker=False) as it:
        answer = await it.post("/openai/v1/videos", {"model": model, "prompt": "a cat"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


async def test_a_route_without_a_model_of_its_own_keeps_the_callers(tmp_path: Path) -> None:
    async with routed(tmp_path, route("openai", model=SEEDANCE, to_model=None), worker=False) as it:
        await it.post("/openai/v1/videos", {"model": SEEDANCE, "prompt": "a cat"})
        (sent,) = it.sandbox._tasks.values()
    assert sent.request.model == SEEDANCE


async def test_an_api_that_no_route_names_is_not_there(tmp_path: Path) -> None:
    async with hub(tmp_path, worker=False) as it:
        assert (await it.post("/openai/v1/videos", {"model": "sora-2", "prompt": "a cat"})).status_code == 404


async def test_a_routed_task_is_not_seen_by_the_api_of_its_gateway(tmp_path: Path) -> None:
    async with routed(tmp_path, route("openai"), worker=False) as it:
        made = (await it.post("/openai/v1/videos", {"model": "sora-2", "prompt": "a cat"})).json()["id"]
        answer = await it.http.get(f"/easyrouter/v1/video/generations/task_{made.removeprefix('video_')}")
    assert answer.json()["code"] == "task_not_exist"


async def test_a_cancel_that_the_gateway_cannot_do_is_refused_in_the_callers_words(tmp_path: Path) -> None:
    sandbox = replace(SANDBOX, run_ms=(60_000, 60_000))
    async with routed(tmp_path, route("seedance2"), sandbox=sandbox) as it:
        path = "/seedance2/api/open/v1/video/generations"
        made = (await it.post(path, {"model": "seedance-2.0", "prompt": "a cat"})).json()["requestId"]
        answer = await it.post(f"{path}/{made}/cancel")
    assert (answer.status_code, answer.json()["success"]) == (409, False)


# --- the native API


async def test_a_native_submit_may_name_an_api_with_routes(tmp_path: Path) -> None:
    async with routed(tmp_path, route("openai"), worker=False) as it:
        task = await it.submit(gateway="openai", model="sora-2")
    assert (task["gateway"], task["model"]) == ("easyrouter", SEEDANCE)


async def test_a_native_extra_is_refused_where_it_leads_to_another_language(tmp_path: Path) -> None:
    async with routed(tmp_path, route("openai"), worker=False) as it:
        answer = await it.submitted(gateway="openai", model="sora-2", extra={"metadata": {"frames": 29}})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "extra.metadata.frames")


async def test_an_unknown_gateway_is_refused_with_all_that_can_be_named(tmp_path: Path) -> None:
    async with routed(tmp_path, route("openai"), worker=False) as it:
        answer = await it.submitted(gateway="nobody")
        assert "easyrouter, openai" in answer.json()["error"]["message"]


async def test_an_idempotency_key_is_for_one_way_in(tmp_path: Path) -> None:
    async with routed(tmp_path, route("openai"), route("videos"), worker=False) as it:
        body = {"model": "sora-2", "prompt": "a cat"}
        await it.post("/openai/v1/videos", body, idempotency_key="k")
        again = await it.post("/openai/v1/videos", body, idempotency_key="k")
        elsewhere = await it.post("/videos/v1/videos", body, idempotency_key="k")
        assert (again.status_code, "idempotency" in elsewhere.text.lower(), it.made()) == (200, True, 1)


# --- the models


async def test_the_native_models_are_those_of_gateways_and_routes(tmp_path: Path) -> None:
    async with routed(tmp_path, route("openai", model="sora-*"), worker=False) as it:
        models = await it.listed("/v1/models")
    assert models == [
        {"model": SEEDANCE, "gateway": "easyrouter", "to": "easyrouter", "to_model": None},
        {"model": f"{SEEDANCE}-fast", "gateway": "easyrouter", "to": "easyrouter", "to_model": None},
        {"model": "sora-*", "gateway": "openai", "to": "easyrouter", "to_model": SEEDANCE},
    ]


async def test_a_dialect_lists_its_models_as_it_does(tmp_path: Path) -> None:
    async with routed(tmp_path, route("openai", model="sora-*"), worker=False) as it:
        answer = await it.http.get("/openai/v1/models")
    assert answer.json() == {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": "easyrouter"} for name in ("sora-2", "sora-2-pro")
        ],
    }


async def test_seedance2_lists_its_models(tmp_path: Path) -> None:
    async with hub(tmp_path, "seedance2", worker=False) as it:
        answer = (await it.http.get("/seedance2/api/open/v1/models")).json()
    assert answer == {"success": True, "models": [{"id": name} for name in DIALECTS["seedance2"].models]}


@pytest.mark.parametrize("path", ["/v1/models", "/openai/v1/models"])
async def test_models_are_not_listed_for_strangers(tmp_path: Path, path: str) -> None:
    async with routed(tmp_path, route("openai"), worker=False) as it:
        answer = await it.http.get(path, headers={"authorization": "Bearer rh_wrong"})
    assert answer.status_code == 401


# --- the settings

TWO = {"easyrouter": GatewaySettings(), "videos": GatewaySettings(base_url="https://videos.example")}


def test_routes_are_read_from_toml(tmp_path: Path) -> None:
    config = tmp_path / "reelhook.toml"
    config.write_text('[[routes]]\nfrom = "openai"\nmodel = "sora-*"\nto = "easyrouter"\nto_model = "m"\n')
    assert read_settings(config, {}).routes == (route("openai", model="sora-*", to_model="m"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[routes]]\nto = "easyrouter"\n', r"routes\[0\]\.from: is required"),
        ('[[routes]]\nfrom = "openai"\n', r"routes\[0\]\.to: is required"),
        ('[[routes]]\nfrom = "openai"\nto = 5\n', r"routes\[0\]\.to: must be a string"),
        ('[[routes]]\nfrom = "a"\nto = "b"\nvia = "c"\n', r"routes\[0\]\.via: there is no such setting"),
        ('[routes]\nfrom = "openai"\n', "routes: must be a list"),
    ],
)
def test_a_bad_route_in_toml_is_named(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "reelhook.toml"
    config.write_text(text)
    with pytest.raises(SettingsError, match=words):
        read_settings(config, {})


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ((route("nowhere"),), r"routes\[0\]\.from: must be one of easyrouter, videos, worldrouter"),
        ((route("openai", "nowhere"),), r"routes\[0\]\.to: must be a configured gateway \(easyrouter, videos\)"),
        ((route("openai", to_model="veo-3"),), r"routes\[0\]\.to_model: easyrouter does not offer veo-3"),
        ((route("openai", model="sora-2", to_model=None),), r"routes\[0\]\.to_model: easyrouter does not offer sora-2"),
        ((route("openai"), route("openai")), r"routes\[1\]: there is a route from openai for \* already"),
    ],
)
async def test_a_route_that_cannot_be_stops_the_start(
    tmp_path: Path, routes: tuple[RouteSettings, ...], words: str
) -> None:
    settings = Settings(database=str(tmp_path / "r.db"), gateways=TWO, routes=routes)
    with pytest.raises(SettingsError, match=words):
        async with open_services(settings):
            pass


# --- the names of refusals


@pytest.mark.parametrize("each", SPOKEN, ids=str)
def test_every_surface_has_a_name_for_each_parameter_that_it_takes(each: Spoken) -> None:
    known = set(each.surface.spelling)
    assert each.surface.accepts - known <= {"metadata", "duration", "media", "prompt"}


@pytest.mark.parametrize(
    ("problem", "spelled"),
    [
        (invalid("seed", "must be from 0 to 5"), ("metadata.seed", "metadata.seed: must be from 0 to 5")),
        (invalid("media[0].url", "must be public"), ("input_reference", "input_reference: must be public")),
        (invalid("extra.seed", "is set already"), ("extra.seed", "extra.seed: is set already")),
        (Problem("insufficient_credit", "no credit"), (None, "no credit")),
    ],
)
def test_a_refusal_names_what_the_caller_has_written(problem: Problem, spelled: tuple[str | None, str]) -> None:
    seen = respelled(problem, DIALECTS["openai"].surfaces[0])
    assert (seen.field, seen.message) == spelled


async def test_f8_two_apis_of_one_path_are_told_apart_by_where_they_are_mounted(tmp_path: Path) -> None:
    """F8.8: POST /v1/videos is OpenAI's in /openai, and the gateway's in /videos with its words and its 200."""
    async with routed(
        tmp_path, route("openai", "videos", to_model="seedance-2.0"), dialect="videos", sandbox=SLOW
    ) as it:
        bad = {"model": "seedance-2.0", "prompt": 5}
        answers = [await it.post(f"/{name}/v1/videos", bad) for name in ("openai", "videos")]
        made = [await it.post(f"/{name}/v1/videos", bad | {"prompt": "a cat"}) for name in ("openai", "videos")]
    assert [answer.status_code for answer in answers] == [400, 200]
    assert [answer.json()["status"] for answer in made] == ["queued", "QUEUED"]
