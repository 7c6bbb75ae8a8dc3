"""The requirement documents, as they are written: their programs, curl lines and endpoints.

They name ports, so each test has a network namespace of its own, where these are free.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
import types
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon import BUILD, ROOT
from documents import block, document, endpoints
from manager import Json, Manager, Refused

PACKAGE = ROOT / "clients" / "python"
FLAT, ENVELOPED = "/sandboxes", "/agent/sandboxes/sandboxes"
USER, PASSWORD = "sandbox_test", "TestPass123!"
LATER = {("POST", "/sandboxes/setup-mcp")}  # not built yet

Launch = Callable[..., Manager]


@pytest.fixture
def launch(own_network: None, launch_manager: Launch) -> Launch:
    """Managers end before their network does."""
    return launch_manager


def run_program(directory: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---- clients and demos ----


def module(text: str) -> types.ModuleType:
    made = types.ModuleType("client")
    exec(compile(text, "client.py", "exec"), made.__dict__)
    return made


def methods(of: type) -> dict[str, list[str]]:
    """Each public method with its parameters' names, as positions give them."""
    found = inspect.getmembers(of, inspect.isfunction)
    return {
        name: list(inspect.signature(function).parameters)
        for name, function in found
        if not name.startswith("_") or name == "__init__"
    }


@pytest.mark.parametrize("shipped", [False, True], ids=["documents", "shipped"])
def test_000_client(launch: Launch, tmp_path: Path, shipped: bool) -> None:
    """The class of the document, then ours, through the document's own lines and each method."""
    text = document("000")
    source = block(text, "### 5. client.py")
    home = tmp_path / "agent"
    home.mkdir()
    if not shipped:
        (home / "sandbox_client.py").write_text(source)
    manager = launch("--port", "8080", settings={"SANDBOX_ALLOW_HOSTS": "sandbox-server"})
    (home / "hosts").write_text("127.0.0.1 localhost sandbox-server\n")
    lines = block(text, "### With Sandbox Server (Production Ready)")
    (home / "agent.py").write_text(
        "import ast, asyncio\n"
        f"code = compile({lines!r}, 'document', 'exec', ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)\n"
        "asyncio.run(eval(code))\n"
        "print(sandbox_id)\n"
    )
    script = 'mount --bind hosts /etc/hosts && PYTHONPATH="$2" exec "$1" agent.py'
    paths = str(PACKAGE if shipped else home)
    run = ["unshare", "--mount", "sh", "-ec", script, "sh", sys.executable, paths]
    sandbox_id = run_program(home, *run).strip()
    assert manager.call("GET", f"/sandboxes/{sandbox_id}/status")["status"] == "running"

    client_class = shipped_client() if shipped else module(source).SandboxClient
    asyncio.run(drive_000(client_class("http://localhost:8080/")))
    left = manager.call("GET", "/sandboxes")["sandboxes"]
    assert [sandbox["sandbox_id"] for sandbox in left] == [sandbox_id]


async def drive_000(client: Any) -> None:
    sandbox_id = await client.create_sandbox("user123", None)
    assert re.fullmatch("[a-z0-9]{20}", sandbox_id)
    await client.connect_sandbox(sandbox_id)
    assert await client.run_command(sandbox_id, "echo a; echo b >&2") == "a\nb\n"
    assert isinstance(await client.run_command(sandbox_id, "sleep 60", True), str)
    assert (await client.expose_port(sandbox_id, 3000)).startswith("http://")
    await client.write_file(sandbox_id, "dir/a.txt", "hello")
    assert await client.read_file(sandbox_id, "dir/a.txt") == "hello"
    await client.schedule_timeout(sandbox_id, 600)
    await client.delete_sandbox(sandbox_id)


def shipped_client() -> Any:
    sys.path.append(str(PACKAGE))
    try:
        return __import__("sandbox_client").SandboxClient
    finally:
        sys.path.remove(str(PACKAGE))


@pytest.mark.parametrize("number, after", [("000", "### 5. client.py"), ("002", "## Step 3")])
def test_the_shipped_client_has_every_method(number: str, after: str) -> None:
    ours = methods(shipped_client())
    theirs = methods(module(block(document(number), after)).SandboxClient)
    assert len(theirs) >= 8
    for name, parameters in theirs.items():
        assert ours[name][: len(parameters)] == parameters, name


@pytest.mark.parametrize("shipped", [False, True], ids=["documents", "shipped"])
def test_002_client_and_demo(launch: Launch, tmp_path: Path, shipped: bool) -> None:
    text = document("002")
    home = tmp_path / "client"
    home.mkdir()
    client = "from sandbox_client import SandboxClient" if shipped else block(text, "## Step 3")
    (home / "client.py").write_text(client)
    (home / "demo.py").write_text(block(text, "### Test with Client"))
    manager = launch("--port", "8080")
    printed = run_program(home, "env", f"PYTHONPATH={PACKAGE}", sys.executable, "demo.py")
    match = re.fullmatch(
        r"Sandbox ID: (\w{20})\nVS Code URL: http://\S+\nMCP URL: http://\S+\n"
        r"Command output:\ntotal [^\0]*\nFile content: print\('Hello!'\)\n"
        r"Python output: Hello!\n\nSandbox deleted\n",
        printed,
    )
    assert match, printed
    assert manager.call("GET", "/sandboxes")["sandboxes"] == []


# ---- endpoints ----

BODIES: dict[str, Json] = {
    "/create": {"user_id": "someone"},
    "/connect": {},
    "/run-command": {"command": "echo hello"},
    "/run-cmd": {"command": "echo hello"},
    "/write-file": {"path": "b.txt", "content": "hello"},
    "/read-file": {"path": "a.txt"},
    "/download-file": {"path": "a.txt"},
    "/expose-port": {"port": 3000},
    "/timeout": {"timeout": 600},
    "/schedule-timeout": {"timeout": 600},
    "/delete": {},
}


def request_each(manager: Manager, calls: list[tuple[str, str]], base: str, **headers: str) -> None:
    """Makes each call of a document about a sandbox of its own; all must be successes."""
    for method, path in calls:
        made = manager.call("POST", base + "/create", {"user_id": "someone"}, **headers)
        sandbox_id = made.get("data", made)["sandbox_id"]
        body = BODIES.get(path.removeprefix(base))
        if body is not None:
            body = {"sandbox_id": sandbox_id} | body
        if path.endswith("/create"):
            del body["sandbox_id"]
        if path == base + "/status":
            path += "?sandbox_id={id}"
        if "a.txt" in str(body):
            written = {"sandbox_id": sandbox_id, "path": "a.txt", "content": "hello"}
            manager.call("POST", base + "/write-file", written, **headers)
        path = path.replace("{id}", sandbox_id)
        if path.endswith("/download-file"):
            assert download(manager, path, body or {}, headers) == b"hello"
        else:
            answer = manager.call(method, path, body, **headers)
            assert answer.get("data", answer)["success"] is True, (method, path)
        left = {"sandbox_id": sandbox_id}
        manager.call("POST", base + "/delete", left, **headers)


def download(manager: Manager, path: str, body: Json, headers: Json) -> bytes:
    options = [f"-H{name}: {value}" for name, value in headers.items()]
    command = ["curl", "-sS", "--fail", manager.url + path, "-HContent-Type: application/json"]
    done = subprocess.run(
        [*command, *options, "-d", json.dumps(body)], capture_output=True, check=True
    )
    return done.stdout


OF_DOCUMENT = {
    "000": r"^\| (GET|POST|DELETE) \| `(/sandboxes[^`]*)` \|",
    "001": r"^- `(GET|POST|DELETE) (/sandboxes[^`]*)`",
    "002": r"^@app\.(get|post|delete)\(\"(/sandboxes[^\"]*)\"",
    "003": r"│ (GET|POST|DELETE) +(/sandboxes\S*)",
}


@pytest.mark.parametrize("number", OF_DOCUMENT)
def test_every_endpoint(launch: Launch, number: str) -> None:
    manager = launch()
    calls = endpoints(document(number), OF_DOCUMENT[number])
    request_each(manager, [call for call in calls if call not in LATER], FLAT)
    for method, path in LATER.intersection(calls):
        with pytest.raises(Refused) as refused:
            manager.call(method, path, {})
        assert refused.value.status in (404, 405), f"{path} is there now: take it out of LATER"


def test_002_replies_have_the_models_fields(launch: Launch) -> None:
    """What response_model promises, for the calls that the demo does not look at."""
    models = block(document("002"), "Create `sandbox-server/models/payload.py`")
    classes = {
        node.name: [line.target.id for line in node.body if isinstance(line, ast.AnnAssign)]
        for node in ast.parse(models).body
        if isinstance(node, ast.ClassDef)
    }
    manager = launch()
    made = manager.create()
    assert made.keys() >= set(classes["CreateSandboxResponse"])
    about = {"sandbox_id": made["sandbox_id"]}
    replies = {
        "SandboxStatusResponse": manager.call("GET", f"/sandboxes/{made['sandbox_id']}/status"),
        "RunCommandResponse": manager.call(
            "POST", "/sandboxes/run-command", about | {"command": "true", "background": True}
        ),
        "ExposePortResponse": manager.call("POST", "/sandboxes/expose-port", about | {"port": 1}),
    }
    for name, reply in replies.items():
        assert reply.keys() >= set(classes[name]), name


def test_003_a_call_without_mcp_is_told_the_right_one(launch: Launch) -> None:
    """Step 8 of the data flow posts {"tool", "args"}; the answer shows how it is done."""
    match = re.search(r"^ *POST https://\S+(/mcp/)\n *(\{.*\})$", document("003"), re.M)
    assert match
    made = launch().create()
    command = ["curl", "-sS", "-w", "%{http_code}", made["mcp_url"] + match[1], "-d", match[2]]
    headers = ["-HContent-Type: application/json", f"-HAuthorization: Bearer {made['mcp_token']}"]
    answer = subprocess.run([*command, *headers], capture_output=True, text=True, check=True).stdout
    assert answer.endswith("400") and '"method":"tools/call"' in answer.replace("\\", "")


# ---- settings ----


def exports(text: str) -> dict[str, str]:
    """The NAME=value lines of a shell block or an .env file."""
    return dict(re.findall(r"^\s*(?:export )?([A-Z0-9_]+)=(\S+)$", text, re.M))


@pytest.mark.parametrize(
    "number, after",
    [("000", "### Development"), ("002", "### 2.6 Environment File"), ("004", "### 2. Environment")],
)
def test_env_file(launch: Launch, tmp_path: Path, number: str, after: str) -> None:
    text = block(document(number), after, "bash")
    heredoc = re.search(r"<< EOF\n(.*?)EOF", text, re.S)
    file = tmp_path / "env"
    file.write_text(heredoc[1] if heredoc else text)
    file.chmod(0o600)
    assert "E2B_API_KEY" in exports(file.read_text())
    manager = launch("--env-file", str(file))
    made = manager.create()
    assert made["mcp_url"].endswith(":6060")
    secret = exports(file.read_text())["E2B_API_KEY"]
    assert secret not in json.dumps(manager.call("GET", f"/sandboxes/{made['sandbox_id']}/info"))
    assert secret not in manager.read_log()


def test_001_environment(launch: Launch) -> None:
    """Every variable with its default, but for the provider and the open address."""
    text = document("001")
    named = dict(re.findall(r"^- `([A-Z0-9_]+)` - .*\(default: (\S+)\)$", text, re.M))
    assert len(named) == 6
    named |= exports(block(text, "2. Set environment variables", "bash"))
    named |= {"SANDBOX_PROVIDER": "local", "SANDBOX_SERVER_HOST": "127.0.0.1"}
    manager = launch(settings=named, from_settings=True)
    assert manager.url == "http://127.0.0.1:8100"
    assert manager.create()["mcp_url"].endswith(":5173")


def test_000_and_004_settings(launch: Launch, tmp_path: Path) -> None:
    """The names of config.py, and those of the last summary but for PostgreSQL."""
    config = block(document("000"), "### 2. config.py")
    names = dict(re.findall(r'^    (\w+): \w+ = "?([^"\s]+)', config, re.M))
    settings = {name.upper(): value for name, value in names.items()} | {"HOST": "127.0.0.1"}
    assert settings["DATABASE_URL"] == "sqlite:///./sandboxes.db"
    settings["DATABASE_URL"] = f"sqlite:///{tmp_path}/sandboxes.db"
    summary = exports(block(document("004"), "## Configuration Summary", "bash"))
    assert summary.pop("DATABASE_URL").startswith("postgresql://")
    manager = launch(settings=settings | summary, from_settings=True)
    assert manager.url == "http://127.0.0.1:8080"
    assert (tmp_path / "sandboxes.db").exists()


def test_004_postgresql_is_refused_by_name(tmp_path: Path) -> None:
    url = exports(block(document("004"), "## Configuration Summary", "bash"))["DATABASE_URL"]
    done = subprocess.run(
        [BUILD / "bin" / "sandbox-manager", "--data-dir", tmp_path / "data"],
        env={"DATABASE_URL": url, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.returncode == 1 and "postgresql" in done.stderr and "DATABASE_URL" in done.stderr
    assert "pass" not in done.stderr


# ---- 004: the enveloped form ----


@pytest.fixture
def backend(launch: Launch, tmp_path: Path) -> Manager:
    """On port 8000 with the document's settings and its test user."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    text = document("004")
    assert f"# Creates: {USER} / {PASSWORD}" in text
    env_file = tmp_path / "env"
    env_file.write_text(block(text, "### 2. Environment", "bash"))
    env_file.chmod(0o600)
    manager = launch("--port", "8000", "--env-file", str(env_file))
    add = [str(BUILD / "bin" / "sandbox-manager"), "user", "add", USER, "--password-file", str(secret)]
    subprocess.run(add, env=manager.environment(), check=True, timeout=30)
    return manager


def test_004_python_example(backend: Manager, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(block(document("004"), "## Python Client Example"))
    printed = run_program(tmp_path, sys.executable, "example.py")
    match = re.fullmatch(r"Created: (\w{20})\nOutput: Python 3\.\d+\.\d+\n\nDeleted\n", printed)
    assert match, printed


def login(manager: Manager) -> Json:
    """By the document's curl line."""
    line = block(document("004"), "### Step 1: Obtain Token", "bash")
    assert line.startswith("curl ")
    return json.loads(run_program(manager.directory, "bash", "-c", line))


def required_headers(manager: Manager) -> dict[str, str]:
    """Those of the document's table, filled in."""
    rows = re.findall(r"^\| `([\w-]+)` \| ✅ \|", document("004"), re.M)
    headers = {
        "User-Agent": "SandboxClient/1.0",
        "X-Request-ID": str(uuid.uuid4()),
        "Authorization": "Bearer " + login(manager)["access_token"],
        "Content-Type": "application/json",
    }
    assert set(rows) == set(headers)
    return headers


def test_004_login(backend: Manager) -> None:
    shown = json.loads(block(document("004"), "### Step 1: Obtain Token", "json"))
    got = login(backend)
    assert got.keys() >= shown.keys() and got["token_type"] == shown["token_type"]
    assert got["access_token"].count(".") == 2


def test_004_ten_checks(backend: Manager) -> None:
    headers = required_headers(backend)  # 1. login

    def call(method: str, path: str, body: Json | None = None) -> Json:
        reply = backend.call(method, ENVELOPED + path, body, **headers)
        assert reply["code"] == 200 and reply["msg"] and reply["data"]["success"] is True
        return reply["data"]

    made = call("POST", "/create", {"user_id": "demo"})
    about = {"sandbox_id": made["sandbox_id"]}
    file = about | {"file_path": "/home/user/test.py"}
    assert call("GET", f"/{made['sandbox_id']}/status")["status"] == "running"
    assert call("POST", "/run-cmd", about | {"command": "echo Hello"})["output"] == "Hello\n"
    call("POST", "/write-file", file | {"content": "print('Hello World')"})
    assert call("POST", "/read-file", file)["content"] == "print('Hello World')"
    ran = call("POST", "/run-cmd", about | {"command": "python3 /home/user/test.py"})
    assert ran["output"] == "Hello World\n" and ran["message"] == "Command executed successfully"
    assert call("POST", "/expose-port", about | {"port": 3000})["url"].startswith("http://")
    urls = call("GET", f"/{made['sandbox_id']}/urls")
    assert urls["mcp_url"] == made["mcp_url"] and urls["vscode_url"]
    call("DELETE", f"/{made['sandbox_id']}")


def test_004_every_endpoint(backend: Manager) -> None:
    rows = r"^\| `(GET|POST|DELETE)` \| `(/[^`]*)` \|"
    calls = endpoints(document("004"), rows, ENVELOPED)
    assert len(calls) == 11
    request_each(backend, calls, ENVELOPED, **required_headers(backend))


def requests_of(text: str) -> dict[str, Json | None]:
    """The requests that are written out, "METHOD /path", with their bodies."""
    found = re.findall(r"^```bash\n((?:POST|DELETE) /\S+)\n.*?(?:\n\n(\{.*?\}))?\n```$", text, re.M | re.S)
    bodies = {line: re.sub(r"//.*", "", body) for line, body in found}
    return {line: json.loads(body) if body else None for line, body in bodies.items()}


def test_004_written_out_requests(backend: Manager) -> None:
    """As they stand, but for the id, which is the sandbox's own; replies have the shown fields."""
    text = document("004")
    headers = required_headers(backend)
    shown = {
        name: json.loads(block(text, f"### {name}", "json"))
        for name in ("Create Sandbox", "Run Command")
    }
    replies, sandbox_id = {}, ""
    requests = requests_of(text)
    assert len(requests) == 5
    for line, body in requests.items():
        method, path = line.split()
        if body and "sandbox_id" in body:
            body["sandbox_id"] = sandbox_id
        reply = backend.call(method, path.replace("{sandbox_id}", sandbox_id), body, **headers)
        replies[path.rsplit("/", 1)[1]] = reply
        sandbox_id = reply["data"].get("sandbox_id", sandbox_id)
    for path, name in (("create", "Create Sandbox"), ("run-cmd", "Run Command")):
        assert replies[path].keys() >= shown[name].keys()
        assert replies[path]["data"].keys() >= shown[name]["data"].keys()
    assert re.fullmatch(r"Hello\n/\w+\nPython 3\S+\n", replies["run-cmd"]["data"]["output"])
    assert replies["read-file"]["data"]["content"] == "print('Hello World')"


def test_004_troubleshooting(backend: Manager) -> None:
    """A bad token is a 401 and a wrong base path a 404, as the table says."""
    bad = {"Authorization": "Bearer nonsense"}
    for path, headers, status in (
        (ENVELOPED, {}, 401),
        (ENVELOPED, bad, 401),
        ("/api/v1" + ENVELOPED, required_headers(backend), 404),
    ):
        with pytest.raises(Refused) as refused:
            backend.call("POST", path + "/create", {"user_id": "demo"}, **headers)
        assert refused.value.status == status
        if status == 401:
            assert refused.value.body["code"] == 401 and refused.value.body["data"] is None
