"""Drives the server with FastMCP's client."""

import asyncio

from fastmcp import Client
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from job import job, report, result


def transport() -> StdioTransport | SSETransport | StreamableHttpTransport:
    if job["transport"] == "stdio":
        program, *args = job["command"]
        return StdioTransport(program, args, keep_alive=False)
    kind = SSETransport if job["transport"] == "sse" else StreamableHttpTransport
    return kind(job["url"], auth=job["token"])


async def main() -> None:
    async with Client(transport(), mode=job["mode"]) as client:
        info, protocol = client.server_info, client.protocol_version
        tools = await client.list_tools()
        calls = [
            await client.call_tool(name, arguments, raise_on_error=False)
            for name, arguments in job["calls"]
        ]
    results = [result(call.content, call.structured_content, call.is_error) for call in calls]
    report(info.name, protocol, tools, results)


asyncio.run(main())
