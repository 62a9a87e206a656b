"""What passing a large result on costs: memory, and speed against reading it from its source directly.

    python -m bench.content [--megabytes 200] [--readers 8]

The source and the readers are processes of their own; this one is the service. Printed: how much larger it became
while it passed everything on (the largest it ever was), and throughput as a ratio to the source alone, in one run.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from service.keys import insert_key, new_key
from service.model import Snapshot, Status, Submission, Task, VideoRequest, new_id
from service.settings import ContentSettings, EgressSettings, GatewaySettings, Settings
from service.settling import End, settle
from service.store.tasks import insert_task
from service.web.app import create_app
from service.web.serving import listen, serving
from service.wiring import Services, open_services

SOURCE = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
size, piece = int(sys.argv[1]), bytes(range(256)) * 4096
class Video(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "video/mp4")
        self.send_header("content-length", str(size))
        self.end_headers()
        for _ in range(size // len(piece)):
            self.wfile.write(piece)
    def log_message(self, *words):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Video)
print(server.server_port, flush=True)
server.serve_forever()
"""
READER = """
import sys, threading, urllib.request
url, key, readers = sys.argv[1], sys.argv[2], int(sys.argv[3])
def read():
    asked = urllib.request.Request(url, headers={"authorization": "Bearer " + key})
    with urllib.request.urlopen(asked) as answer:
        length, total = int(answer.headers["content-length"]), 0
        while piece := answer.read(1 << 20):
            total += len(piece)
        assert total == length, (total, length)
threads = [threading.Thread(target=read) for _ in range(readers)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


async def finished_task(services: Services, url: str) -> Task:
    """A task whose result lies at the source."""
    now = services.clock()
    task = Task(
        id=new_id("task", now),
        owner="anna",
        gateway="seedance2",
        dialect="seedance2",
        surface="open",
        request=VideoRequest(model="seedance-2.0", prompt="a large video"),
        status=Status.QUEUED,
        submission=Submission.SENDING,
        when_full="queue",
        created_at=now,
        updated_at=now,
        deadline_at=now + 60_000,
        next_at=now + 60_000,
        lease="bench",
    )
    await services.database.write(insert_task, task, None, None)
    end = End(status=Status.SUCCEEDED, by="sweep", snapshot=Snapshot(status=Status.SUCCEEDED, video_url=url))
    await services.database.write(settle, task.id, end, services.hub.publisher, now)
    return task


async def seconds(url: str, key: str, readers: int) -> float:
    began = time.perf_counter()
    reader = await asyncio.create_subprocess_exec(sys.executable, "-c", READER, url, key, str(readers))
    if await reader.wait():
        raise RuntimeError("a reader did not get all of it")
    return time.perf_counter() - began


def start_source(size: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SOURCE, str(size)], stdout=subprocess.PIPE, text=True)


async def measure(megabytes: int, readers: int, folder: Path) -> None:
    source = start_source(megabytes * 2**20)
    settings = Settings(
        database=str(folder / "bench.db"),
        egress=EgressSettings(allow=("127.0.0.0/8",)),
        content=ContentSettings(concurrency=readers),
        gateways={"seedance2": GatewaySettings(key="x", base_url="http://127.0.0.1:9")},
    )
    try:
        assert source.stdout is not None
        url = f"http://127.0.0.1:{int(source.stdout.readline())}/video.mp4"
        async with open_services(settings) as services:
            app = create_app(settings, lambda: nullcontext(services))
            async with serving(app, listen()) as base_url:
                key = new_key()
                await services.database.write(insert_key, key, "anna", "owner", services.clock())
                task = await finished_task(services, url)
                through = f"{base_url}/v1/tasks/{task.id}/content"
                bare = await seconds(url, "-", readers)
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                passed = await seconds(through, key, readers)
                grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    finally:
        source.kill()
        source.wait()
    print(f"{readers} readers of {megabytes} MB each")
    print(f"  memory grew by      {grown / 1024:6.1f} MB, {grown / 1024 / megabytes:.3f} of one video")
    print(f"  throughput          {bare / passed:6.2f} of the source's own ({readers * megabytes / passed:,.0f} MB/s)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--readers", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(options.megabytes, options.readers, Path(folder)))


if __name__ == "__main__":
    main()
