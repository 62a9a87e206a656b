"""Every row of the gateways' contract has a test that names it: in its name, its docstring, or the id of a case.

The contract is gateways.md, "Gateway contracts": what each gateway's documentation says, field by field (F1 to F6), and
what follows from it for all (F0, F7, F8). Its rows are listed here as tests name them, "F3 seconds".
"""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROWS: dict[str, str] = {
    # the words that are read, those that are written, and progress
    "F0": """SUBMITTED | QUEUED | IN_PROGRESS | SUCCESS | FAILURE | cancelled | expired | anything else | emit submitted
        | emit queued | emit running | emit succeeded | emit failed | emit cancelled | emit expired | Progress""",
    # the cross table
    "F1": """base | auth | create | get | content | cancel | list/delete | other | models | callback field
        | callback body/sign/retry | success HTTP | id | result URL | progress | base64 media | metadata means
        | duration | ratio field""",
    # WorldRouter
    "F2": """model | content | content[].type | content[].text | content[].video_url.url | content[].image_url.url
        | asset_group_id | resolution | duration | not mentioned | Create answer | Get answer | Assets | Errors | Quirks
        | Client policy""",
    # EasyRouter
    "F3": """model | prompt | image | images | duration | seconds | metadata | metadata.resolution | metadata.ratio
        | metadata.duration | metadata.frames | metadata.seed | metadata.camera_fixed | metadata.watermark
        | metadata.service_tier | metadata.execution_expires_after | metadata.generate_audio | metadata.draft
        | metadata.return_last_frame | metadata.callback_url | metadata.content[] | Create answer | Get answer | Content
        | Errors | FAILURE | Quirks | Callback""",
    # CubicSpaces, unified and official
    "F4": """model | prompt | seconds | images | image | input_reference | metadata | Answer | GET body | official model
        | official content[] | official content[].text | official content[].image_url.url
        | official content[].video_url.url | official content[].role | official duration | official ratio
        | official seed | official camera_fixed | official watermark | official generate_audio | official resolution
        | official QUIRK | official Create answer | official GET | Status table | Moderation | Rules | Errors
        | Dashboard labels""",
    # the gateway without a name
    "F5": """model | prompt | image | images | duration | seconds | metadata.resolution | metadata.ratio
        | metadata.duration | metadata.seed | metadata.watermark | metadata.generate_audio | metadata.return_last_frame
        | metadata.service_tier | metadata.execution_expires_after | metadata.callback_url | metadata.frames
        | metadata.camera_fixed | metadata.draft | metadata.content[] | Create answer | Errors | GET | Poll | Content
        | Not said""",
    # seedance2.ink
    "F6": """model | prompt | aspectRatio | duration | resolution | webhookUrl | metadata | mediaUrls | Create | Get
        | Cancel | Errors | Webhook body""",
    # one canonical request, for each gateway
    "F7": """prompt | duration n | duration auto | ratio | resolution | first frame | first+last | references | callback
        | caller metadata""",
    # what follows
    "F8": "1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9",
}
KEYS = [
    f"{section}.{row.strip()}" if section == "F8" else f"{section} {row.strip()}"
    for section, rows in ROWS.items()
    for row in " ".join(rows.split()).split("|")
]


def names_in(path: Path) -> Iterator[str]:
    """The name and the docstring of each test in a file, those that gateways inherit included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield f"{node.name} {ast.get_docstring(node) or ''}"


def ids_of(module: str) -> Iterator[str]:
    """The ids of all cases of the tests in a module."""
    for name, test in vars(import_module(module)).items():
        for mark in getattr(test, "pytestmark", ()) if name.startswith("test_") else ():
            if mark.name == "parametrize":
                ids = mark.kwargs.get("ids")
                yield from map(ids, mark.args[1]) if callable(ids) else (str(each) for each in ids or ())


@pytest.fixture(scope="module")
def said() -> str:
    """All that names a row, a line each: `F2: "Errors"` is F2 Errors."""
    paths = sorted({*TESTS.rglob("test_*.py"), TESTS / "dialects" / "contract.py"})
    modules = [
        f"tests.dialects.{path.stem}" for path in paths if path.parent.name == "dialects" and path.stem != "contract"
    ]
    named = [text for path in paths for text in names_in(path)] + [
        text for module in modules for text in ids_of(module)
    ]
    lines = "\n".join(" ".join(text.split()) for text in named).replace('"', "")
    return re.sub(r"\b(F\d): ", r"\1 ", lines)


@pytest.mark.parametrize("key", KEYS)
def test_every_row_of_the_contract_is_named_by_a_test(said: str, key: str) -> None:
    assert re.search(rf"{re.escape(key)}(?![\w\[]|\.\w)", said), f"no test names {key}"
