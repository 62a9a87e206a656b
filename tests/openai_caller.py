"""The real openai library, in a process of its own: reads calls as lines of JSON, and tells what came of them.

{"base_url": …, "api_key": …, "call": "videos.create", "args": {…}}  ->  {"value": …} or {"error": {…}}

Run by tests/witness.py, with whichever version of the library lies first in its path.
"""

import base64
import hashlib
import json
import sys
from functools import lru_cache, reduce
from typing import Any

import openai


def main() -> None:
    tell({"version": openai.__version__})
    for line in sys.stdin:
        tell(answered(json.loads(line)))


def tell(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def answered(asked: Any) -> Any:
    call: Any = reduce(getattr, asked["call"].split("."), client_of(asked["base_url"], asked["api_key"]))
    args = {name: opened(value) for name, value in asked["args"].items()}
    try:
        return {"value": shown(call(**args))}
    except openai.APIStatusError as error:
        about = {"type": type(error).__name__, "status": error.status_code, "code": error.code, "param": error.param}
        return {"error": about | {"message": error.message}}
    except (openai.OpenAIError, ValueError) as error:
        return {"error": {"type": type(error).__name__, "message": str(error)}}


@lru_cache(maxsize=1)  # a client takes longer to make than most calls
def client_of(base_url: str, api_key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=api_key, timeout=10)


def opened(value: Any) -> Any:
    """{"$file": [name, base64, type]} stands for a file."""
    if isinstance(value, dict) and "$file" in value:
        name, data, kind = value["$file"]
        return name, base64.b64decode(data), kind
    return value


def shown(value: Any) -> Any:
    if hasattr(value, "iter_bytes"):  # a download
        data = value.read()
        return {"length": len(data), "sha256": hashlib.sha256(data).hexdigest(), "starts": data[:12].hex()}
    if hasattr(value, "has_next_page"):  # a list, read to its end
        return {"first_page": len(value.data), "ids": [item.id for item in value]}
    return value.model_dump(mode="json")


if __name__ == "__main__":
    main()
