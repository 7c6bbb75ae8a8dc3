"""Drives the server with the Python SDK v2."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx2
from job import headers, job, report, result
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


async def target(stack: AsyncExitStack) -> Any:
    if job["transport"] == "stdio":
        program, *args = job["command"]
        return StdioServerParameters(command=program, args=args)
    if job["transport"] == "sse":
        return sse_client(job["url"], headers)
    http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=30))
    return streamable_http_client(job["url"], http_client=http)


async def main() -> None:
    async with AsyncExitStack() as stack:
        server = await target(stack)
        client = await stack.enter_async_context(Client(server, mode=job["mode"]))
        info, protocol = client.server_info, client.protocol_version
        listed = await client.list_tools()
        calls = [await client.call_tool(name, arguments) for name, arguments in job["calls"]]
    results = [result(call.content, call.structured_content, call.is_error) for call in calls]
    report(info.name, protocol, listed.tools, results)


asyncio.run(main())
