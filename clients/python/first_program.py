"""Makes a sandbox and runs a program in it through MCP: `first_program.py MANAGER_URL`.

Progress goes to standard error; the sandbox's id, mcp_url and mcp_token to standard output.
"""

import asyncio
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from sandbox_client import SandboxClient

PROGRAM = """import os, platform
print("Hello from", os.getcwd(), "under Python", platform.python_version())
"""


def tell(*words):
    print("   ", *words, file=sys.stderr)


async def work(sandbox):
    headers = {"Authorization": f"Bearer {sandbox.mcp_token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        async with Client(streamable_http_client(sandbox.mcp_url, http_client=http)) as tools:
            tell("tools:", *sorted(tool.name for tool in (await tools.list_tools()).tools))
            await tools.call_tool("write_file", {"path": "hello.py", "content": PROGRAM})
            result = await tools.call_tool("run_command", {"command": "python3 hello.py"})
            tell("hello.py says:", result.content[0].text.strip())
            return not result.is_error


async def main(url):
    async with SandboxClient(url) as manager:
        sandbox = await manager.create_sandbox(user_id="quickstart", timeout=86400)
        tell("sandbox", sandbox, "at", sandbox.mcp_url)
        if not await work(sandbox):
            sys.exit(1)
        print(sandbox, sandbox.mcp_url, sandbox.mcp_token)


asyncio.run(main(sys.argv[1]))
