"""An S3-compatible bucket on loopback that believes no signature it has not computed itself.

Source: AWS Signature Version 4, "Authenticating Requests: Using Query Parameters".
"""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.settings import BucketSettings
from service.web.ranges import file_answer
from tests.servers import serve

ACCESS_KEY, SECRET_KEY, REGION = "AKIDEXAMPLE", "the secret of the bucket", "eu-test-1"


class Bucket:
    """Objects by their path. failing: how many requests are answered with 503 first."""

    def __init__(self, *, failing: int = 0) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.failing = failing

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BucketSettings]:
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "PUT", "DELETE"])])
        async with serve(app) as url:
            yield BucketSettings(
                name="results",
                endpoint=url,
                region=REGION,
                access_key=ACCESS_KEY,
                secret_key=SECRET_KEY,
                prefix="reelhook/",
            )

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        if self.failing:
            self.failing -= 1
            return Response(b"<Error><Code>SlowDown</Code></Error>", 503)
        if not hmac.compare_digest(signature_of(request), request.query_params.get("X-Amz-Signature", "")):
            return Response(b"<Error><Code>SignatureDoesNotMatch</Code></Error>", 403)
        path = request.url.path
        if request.method == "PUT":
            self.objects[path] = body, request.headers.get("content-type", "")
        elif request.method == "DELETE":
            self.objects.pop(path, None)
            return Response(status_code=204)
        elif path not in self.objects:
            return Response(b"<Error><Code>NoSuchKey</Code></Error>", 404)
        else:
            return file_answer(request, *self.objects[path])
        return Response(status_code=200)


def signature_of(request: Request) -> str:
    """What the signature of a presigned request has to be."""
    query = sorted((name, value) for name, value in request.query_params.items() if name != "X-Amz-Signature")
    signed = request.query_params["X-Amz-SignedHeaders"].split(";")
    canonical = "\n".join(
        (
            request.method,
            quote(request.url.path),
            "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query),
            *(f"{name}:{request.headers[name].strip()}" for name in signed),
            "",
            ";".join(signed),
            "UNSIGNED-PAYLOAD",
        )
    )
    at = request.query_params["X-Amz-Date"]
    scope = f"{at[:8]}/{REGION}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", at, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
