"""Drives the server with the Python SDK v1."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from job import headers, job, report, result
from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


async def connect(stack: AsyncExitStack) -> tuple[Any, Any]:
    if job["transport"] == "stdio":
        program, *args = job["command"]
        parameters = StdioServerParameters(command=program, args=args)
        return await stack.enter_async_context(stdio_client(parameters))
    if job["transport"] == "sse":
        return await stack.enter_async_context(sse_client(job["url"], headers))
    http = await stack.enter_async_context(create_mcp_http_client(headers))
    streams = await stack.enter_async_context(streamable_http_client(job["url"], http_client=http))
    return streams[:2]


async def main() -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession(*await connect(stack)))
        hello = await session.initialize()
        listed = await session.list_tools()
        calls = [await session.call_tool(name, arguments) for name, arguments in job["calls"]]
    results = [result(call.content, call.structuredContent, call.isError) for call in calls]
    report(hello.serverInfo.name, hello.protocolVersion, listed.tools, results)


asyncio.run(main())
