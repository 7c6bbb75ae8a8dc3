"""Options, environment and .env; what refuses to start; the end of a log that holds no secret."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from asking import ask, get, post
from daemon import BUILD
from manager import ALICE, KEYS, Manager

Launch = Callable[..., Manager]


@pytest.fixture
def refuses(tmp_path: Path) -> Callable[..., str]:
    """Runs a manager that must not start: what it says."""

    def run(*options: str, env_file: str | None = None, **settings: str) -> str:
        manager = Manager(tmp_path / f"m{len(list(tmp_path.iterdir()))}", settings=settings)
        if env_file is not None:
            (manager.directory / ".env").write_text(env_file)
        done = subprocess.run(
            [*manager.command, "--port", "0", *options],
            env=manager.environment(),
            cwd=manager.directory,
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.returncode == 1, done
        assert done.stdout == ""
        return done.stderr

    return run


def test_what_it_needs_is_named(refuses: Callable[..., str], tmp_path: Path) -> None:
    said = refuses("--host", "0.0.0.0")
    assert "--host 0.0.0.0" in said and "SANDBOX_API_KEYS" in said
    assert "::" in refuses("--host", "::")
    said = refuses(DATABASE_URL="postgresql://user:very-secret@db/sandboxes")
    assert "sqlite:///" in said and "DATABASE_URL" in said
    assert "very-secret" not in said
    assert "'e3b'" in refuses(SANDBOX_PROVIDER="e3b")
    assert "--default-timeout" in refuses("--max-timeout", "10")
    assert "--domain" in refuses("--domain", "Not A Name")
    assert "--port" in refuses("--port", "70000")
    assert "--prot" in refuses("--prot", "1")
    assert "SANDBOX_MAX_TIMEOUT" in refuses(SANDBOX_MAX_TIMEOUT="soon")
    assert "no-such.env" in refuses("--env-file", "no-such.env")
    assert "SANDBOX_API_KEYS" in refuses(SANDBOX_API_KEYS="no-colon")
    assert "SANDBOX_JWT_AUDIENCE" in refuses(SANDBOX_JWKS_URL="http://127.0.0.1:1/keys")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SANDBOX_PROT=1\n", "SANDBOX_PROT"),
        ("\n# fine\nA=1\nSANDBOX_NOPE=1\n", "line 4"),
        ("just words\n", "line 1"),
        ("A='open\n", "line 1"),
        ('A="x" y\n', "line 1"),
        ("1A=x\n", "line 1"),
        ("=x\n", "line 1"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    refuses: Callable[..., str], text: str, wanted: str
) -> None:
    said = refuses(env_file=text)
    assert ".env" in said and wanted in said


def started(launch: Launch, tmp_path: Path, text: str, *options: str, **settings: str) -> Manager:
    file = tmp_path / "settings.env"
    file.write_text(text)
    return launch("--env-file", str(file), *options, settings=settings)



def test_a_file_sets_what_nobody_else_does(launch_manager: Launch, tmp_path: Path) -> None:
    text = (
        "# a comment\n"
        "export SANDBOX_API_KEYS='carol:carol-key-0123456789'  # hers\n"
        'SANDBOX_LOG_FORMAT="json"\r\n'
        "SANDBOX_LOG_LEVEL = info # plain\n"
        "UNKNOWN_TO_US=fine\n"
        "EMPTY=\n"
        "REDIS_URL=redis://:redis-secret@localhost/0"
    )
    manager = started(launch_manager, tmp_path, text)
    manager.key = "carol-key-0123456789"
    get(manager, "/sandboxes").fine()
    get(manager, "/sandboxes", key="").refused(401, "unauthorized")
    lines = [json.loads(line) for line in manager.log.read_text().splitlines()]
    redis = [line for line in lines if "Redis" in json.dumps(line)]
    assert len(redis) == 1 and "redis-secret" not in manager.log.read_text()


def test_the_environment_wins_over_the_file(launch_manager: Launch, tmp_path: Path) -> None:
    text = "SANDBOX_API_KEYS=carol:carol-key-0123456789\nSANDBOX_LOG_FORMAT=json\n"
    manager = started(launch_manager, tmp_path, text, SANDBOX_API_KEYS=KEYS["SANDBOX_API_KEYS"])
    get(manager, "/sandboxes", key="carol-key-0123456789").refused(401, "unauthorized")
    get(manager, "/sandboxes", key=ALICE).fine()
    manager.key = ALICE


def test_an_option_wins_over_both(launch_manager: Launch, tmp_path: Path) -> None:
    text = "SANDBOX_LOG_FORMAT=json\nSANDBOX_SERVER_HOST=0.0.0.0\nSANDBOX_MAX_SANDBOXES_OWNER=5\n"
    options = ("--host", "127.0.0.1", "--max-sandboxes-owner", "1", "--log-format", "text")
    manager = started(
        launch_manager, tmp_path, text, *options, SANDBOX_MAX_SANDBOXES_OWNER="3"
    )
    manager.create()
    post(manager, "/sandboxes/create", {"user_id": "x"}).refused(429, "quota")


def test_the_documents_names_are_taken(launch_manager: Launch, tmp_path: Path) -> None:
    text = "HOST=127.0.0.1\nPORT=1\nDEFAULT_TIMEOUT=100\nMAX_TIMEOUT=200\nMCP_PORT=7070\nVSCODE_PORT=7071\n"
    text += "E2B_TEMPLATE=team/custom\nREDIS_HOST=localhost\nREDIS_PORT=6379\nREDIS_DATABASE=0\n"
    text += "DAYTONA_SERVER_URL=https://daytona.example\n"
    manager = started(launch_manager, tmp_path, text)  # the port is an option of the tests
    answer = manager.create(template_id="team/custom", timeout=5000)
    assert answer["mcp_url"].endswith(":7070") and ":7071/" in answer["vscode_url"]
    info = get(manager, f"/sandboxes/{answer['sandbox_id']}/info").fine()
    assert info["template_id"] is None, "E2B's name stands for the default here"
    from datetime import datetime

    left = datetime.fromisoformat(info["expires_at"]) - datetime.fromisoformat(info["started_at"])
    assert left.total_seconds() <= 200
    assert manager.read_log().count("Redis is not used") == 1


def test_canonical_names_win_over_the_documents(launch_manager: Launch, tmp_path: Path) -> None:
    manager = started(
        launch_manager, tmp_path, "HOST=0.0.0.0\nSANDBOX_SERVER_HOST=127.0.0.1\n", MCP_PORT="x",
        SANDBOX_MCP_SERVER_PORT="6061",
    )  # fmt: skip
    assert get(manager, "/health").fine()


def test_unknown_names_of_the_environment_are_told(launch_manager: Launch) -> None:
    manager = launch_manager(settings={"SANDBOX_TYPO": "secret-value", "SANDBOX_MCP_PORT": "1"})
    log = manager.read_log()
    assert "name=SANDBOX_TYPO" in log and "secret-value" not in log
    assert "SANDBOX_MCP_PORT" not in log


def test_a_second_manager_stays_away(launch_manager: Launch) -> None:
    first = launch_manager()
    done = subprocess.run(
        [*first.command, "--port", "0"], env=first.environment(), capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stdout == ""
    assert get(first, "/health").fine()


def test_words_without_a_manager(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        settings = {"SANDBOX_DATA_DIR": str(tmp_path / "data"), "PATH": "/usr/bin:/usr/sbin"}
        return subprocess.run(
            [str(BUILD / "bin" / "sandbox-manager"), *words],
            env=settings, capture_output=True, text=True, timeout=30, cwd=tmp_path,
        )  # fmt: skip

    assert run("--version").stdout.startswith("sandbox-manager ")
    assert "SANDBOX_SERVER_PORT" in run("--help").stdout
    assert json.loads(run("openapi").stdout)["openapi"] == "3.1.0"
    assert "OCI runtime" in run("doctor").stdout
    wrong = run("dance")
    assert wrong.returncode == 1 and "'dance'" in wrong.stderr


def test_data_is_private(launch_manager: Launch) -> None:
    manager = launch_manager()
    assert manager.data.stat().st_mode & 0o777 == 0o700
    for file in manager.data.iterdir():
        if file.is_file():
            assert file.stat().st_mode & 0o077 == 0, file


def test_no_secret_gets_into_the_log(launch_manager: Launch, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct-horse-battery\n")
    provider = {"E2B_API_KEY": "e2b-secret-key", "DAYTONA_API_KEY": "daytona-secret-key"}
    manager = launch_manager("--log-level", "debug", settings=KEYS | provider, key=ALICE)
    added = subprocess.run(
        [*manager.command[:1], "user", "add", "dora", "--password-file", str(password)],
        env=manager.environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert added.returncode == 0, added
    login = "/api/v1/auth/login/swagger?username=dora&password="
    token = ask(manager, "POST", login + "correct-horse-battery").fine()["access_token"]
    ask(manager, "POST", login + "wrong-horse-battery").refused(401, "unauthorized")
    made = manager.create(envs={"A": "env-secret"}, metadata={"a": "meta-secret"})
    ask(manager, "GET", f"/sandboxes/{made['sandbox_id']}/urls?secret=query-secret",
        headers={"X-Request-ID": "seen"})  # fmt: skip
    get(manager, "/sandboxes", key="wrong-key-secret").refused(401, "unauthorized")
    post(manager, "/sandboxes/create", b"{malformed-secret", headers={"Content-Type": "application/json"})
    manager.run(made["sandbox_id"], "echo command-secret; exit 1")
    ask(manager, "DELETE", f"/sandboxes/{made['sandbox_id']}")
    manager.leave()
    log = manager.read_log()
    assert "id=seen" in log and "login" in log
    secrets = [token, token.split(".")[2], ALICE, made["mcp_token"], "horse", "secret"]
    secrets += [made["vscode_url"].split("=")[1]]
    for secret in secrets:
        assert secret not in log, secret
    manager.start()
