"""docs/tools.md, made from what tools/list says: `python3 tests/docs/tools_md.py BINARY > docs/tools.md`."""

import json
import subprocess
import sys
import tempfile

HEAD = """# Tools

Made from the tools' descriptors; a test compares. Every call may come in any era of the protocol and gives the same result: text for a
model, and the same facts as `structuredContent` where the tool has a structured form. What fails is a result with `isError`, whose text
says what to do. An optional argument may be absent or null; an argument that the tool does not have is refused.

Paths are relative to the workspace, or absolute within it (or another `--root`). `..` and links are followed as long as they stay inside;
absolute links are refused.
"""

FLAGS = (
    ("readOnlyHint", "changes nothing"),
    ("destructiveHint", "may overwrite or delete"),
    ("idempotentHint", "twice is once"),
    ("openWorldHint", "may reach beyond the workspace"),
)


def tools(binary: str) -> list[dict]:
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    with tempfile.TemporaryDirectory() as directory:
        answer = subprocess.run(
            [binary, "--stdio", "--workspace", directory, "--state-dir", f"{directory}/state"],
            input=json.dumps(ask) + "\n", capture_output=True, text=True, check=True,
        )
    return json.loads(answer.stdout)["result"]["tools"]


def kind(schema: dict) -> str:
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if schema["type"] == "object":
        return "object of strings"
    if "minimum" in schema:
        return f"{schema['type']}, {schema['minimum']} to {schema['maximum']}"
    return schema["type"]


def parameter(name: str, schema: dict, required: bool) -> str:
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else "required" if required else ""
    return f"| `{name}` | {kind(schema)} | {default} | {schema['description'].replace('|', chr(92) + '|')} |"


def section(tool: dict) -> str:
    schema = tool["inputSchema"]
    flags = [text for flag, text in FLAGS if tool["annotations"][flag]]
    lines = [f"## {tool['name']}", "", tool["description"], "", f"{tool['title']}: {', '.join(flags)}.", ""]
    if schema["properties"]:
        lines += ["| argument | type | default | |", "| --- | --- | --- | --- |"]
        lines += [parameter(n, s, n in schema["required"]) for n, s in schema["properties"].items()]
        lines.append("")
    if "outputSchema" in tool:
        members = ", ".join(f"`{name}`" for name in tool["outputSchema"]["properties"])
        lines += [f"`structuredContent`: {members}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print("\n".join([HEAD, *map(section, tools(sys.argv[1]))]).rstrip())
