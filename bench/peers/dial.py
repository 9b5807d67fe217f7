"""Dials once with one of Python's clients and prints when the dial ended.

usage: dial.py asyncio|aiohttp|httpx HOST PORT [tls]
       dial.py sequential HOST PORT          one address after the other, twice, without a time limit
"""

import asyncio
import json
import socket
import ssl
import sys
import time


async def by_asyncio(host, port, context):
    reader, writer = await asyncio.open_connection(
        host, port, ssl=context, server_hostname=host if context else None, happy_eyeballs_delay=0.25
    )
    peer = writer.get_extra_info("peername")[0]
    ended = time.time()
    writer.close()
    return ended, peer


async def by_aiohttp(host, port, context):
    import aiohttp

    scheme = "https" if context else "http"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{scheme}://{host}:{port}/") as response:
            ended = time.time()
            return ended, str(response.status)


async def by_httpx(host, port, context):
    import httpx

    scheme = "https" if context else "http"
    async with httpx.AsyncClient(timeout=30, verify=context or True) as client:
        response = await client.get(f"{scheme}://{host}:{port}/")
        return time.time(), str(response.status_code)


def sequential(host, port):
    for _ in range(2):
        started = time.time()
        error = None
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        resolved = time.time()
        for family, kind, protocol, _, address in addresses:
            with socket.socket(family, kind, protocol) as attempt:
                try:
                    attempt.connect(address)
                except OSError as refused:
                    error = refused
                    continue
                line = {"ok": True, "at": time.time(), "peer": address[0]}
                break
        else:
            line = {"ok": False, "at": time.time(), "error": repr(error)}
        print(json.dumps({**line, "started": started, "resolved": resolved}), flush=True)
    return 0


def main():
    client, host, port, *rest = sys.argv[1:]
    if client == "sequential":
        return sequential(host, int(port))
    context = ssl.create_default_context() if rest == ["tls"] else None
    dial = {"asyncio": by_asyncio, "aiohttp": by_aiohttp, "httpx": by_httpx}[client]
    try:
        ended, peer = asyncio.run(dial(host, int(port), context))
    except Exception as error:
        print(json.dumps({"ok": False, "at": time.time(), "error": repr(error)}))
        return 1
    print(json.dumps({"ok": True, "at": ended, "peer": peer}))
    return 0


sys.exit(main())
