"""A link to Redis that obeys: `python proxy.py PORT TARGET_PORT`, then one word per line on standard input.

`hold` keeps back everything, `hold-tracking` only what goes over connections that track, both without closing
anything; `release` lets it go; `cut` closes every connection where it is.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

_CHUNK_BYTES = 65536


class Proxy:
    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._all, self._tracking = asyncio.Event(), asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self.obey("release")

    def obey(self, word: str) -> None:
        if word == "hold":
            self._all.clear()
        elif word == "hold-tracking":
            self._tracking.clear()
        elif word == "cut":
            for writer in self._writers:
                writer.transport.abort()
        elif word == "release":
            self._all.set()
            self._tracking.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            ours = {writer, target_writer}
            self._writers |= ours
            tracks: list[bool] = []
            pumps = [self._pump(reader, target_writer, tracks), self._pump(target_reader, writer, tracks)]
            await asyncio.wait([asyncio.ensure_future(pump) for pump in pumps], return_when=asyncio.FIRST_COMPLETED)
            self._writers -= ours
            for end in ours:
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tracks: list[bool]) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if b"TRACKING" in data:
                    tracks.append(True)
                await self._all.wait()
                if tracks:
                    await self._tracking.wait()
                writer.write(data)
                await writer.drain()


async def main(port: int, target_port: int) -> None:
    proxy = Proxy(target_port)
    await asyncio.start_server(proxy.serve, "127.0.0.1", port)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        proxy.obey(line.strip())
    os._exit(0)  # whatever is still held back


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
