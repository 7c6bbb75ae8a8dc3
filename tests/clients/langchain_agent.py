"""Drives the server with a LangChain agent over langchain-mcp-adapters.

The model is scripted: it asks for one tool after the other, as the job says, and then answers.
Everything else (loading the tools, the agent's loop, the tool messages) is LangChain's own.
"""

import asyncio
from typing import Any

from job import headers, job, report
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langchain_mcp_adapters.client import MultiServerMCPClient


class ScriptedModel(GenericFakeChatModel):
    def bind_tools(self, tools: Any, **options: Any) -> "ScriptedModel":
        return self


def script() -> list[AIMessage]:
    asks = [
        AIMessage("", tool_calls=[ToolCall(name=name, args=arguments, id=f"call-{number}")])
        for number, (name, arguments) in enumerate(job["calls"])
    ]
    return [*asks, AIMessage("done")]


def connection() -> dict[str, Any]:
    if job["transport"] == "stdio":
        program, *args = job["command"]
        return {"transport": "stdio", "command": program, "args": args}
    transport = "sse" if job["transport"] == "sse" else "streamable_http"
    return {"transport": transport, "url": job["url"], "headers": headers}


def result(message: ToolMessage) -> dict[str, Any]:
    blocks = message.content
    if not isinstance(blocks, str):
        blocks = "".join(block["text"] for block in blocks if block["type"] == "text")
    structured = (message.artifact or {}).get("structured_content")
    return {"text": blocks, "structured": structured, "is_error": message.status == "error"}


async def main() -> None:
    client = MultiServerMCPClient({"sandbox": connection()})
    info = (await client.get_server_info())["sandbox"]
    tools = await client.get_tools()
    agent = create_agent(ScriptedModel(messages=iter(script())), tools)
    state = await agent.ainvoke({"messages": [("user", "go")]}, {"recursion_limit": 100})
    results = [result(m) for m in state["messages"] if isinstance(m, ToolMessage)]
    report(info.serverInfo.name, info.protocolVersion, tools, results)


asyncio.run(main())
