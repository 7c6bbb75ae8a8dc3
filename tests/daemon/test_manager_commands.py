"""POST /sandboxes/run-command: what a command prints, how it ends, and who runs it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from asking import Answer, Json, get, post, sandbox, send
from daemon import SLOWER, wait_until
from manager import ALICE, KEYS, Manager, managers

MEMBERS = {
    "success", "sandbox_id", "output", "stdout", "stderr", "exit_code", "timed_out", "truncated",
    "message",
}  # fmt: skip


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    with managers(tmp_path_factory.mktemp("managers")) as start:
        yield start(settings=KEYS, key=ALICE)


@pytest.fixture(scope="module")
def box(manager: Manager) -> Iterator[str]:
    with sandbox(manager, envs={"FROM_CREATE": "c"}) as box:
        yield box


def run(manager: Manager, box: str, command: str, **fields: object) -> Json:
    body = {"sandbox_id": box, "command": command} | fields
    answer = post(manager, "/sandboxes/run-command", body).fine()
    assert answer.keys() == MEMBERS
    return answer


def test_output_is_stdout_then_stderr(manager: Manager, box: str) -> None:
    answer = run(manager, box, "echo one; echo two >&2; echo three")
    assert answer["stdout"] == "one\nthree\n" and answer["stderr"] == "two\n"
    assert answer["output"] == "one\nthree\ntwo\n"
    assert answer["exit_code"] == 0
    assert not answer["timed_out"] and not answer["truncated"]
    assert answer["message"] == "Command executed successfully"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 7", 7),
        ("false", 1),
        ("no-such-command", 127),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("kill -SEGV $$", 139),
        ("sh -c 'kill -9 $$'; exit 3", 3),
        ("exec 1>&- 2>&-; exit 5", 5),
    ],
)
def test_a_failure_is_a_200_with_its_code(
    manager: Manager, box: str, command: str, code: int
) -> None:
    answer = run(manager, box, command)
    assert answer["exit_code"] == code and answer["success"] is True
    assert str(code) in answer["message"]


def test_who_and_where_it_runs(manager: Manager, box: str) -> None:
    assert run(manager, box, "pwd; whoami")["stdout"] == "/workspace\nuser\n"
    assert run(manager, box, "pwd", cwd="/tmp")["stdout"] == "/tmp\n"
    run(manager, box, "mkdir -p sub")
    assert run(manager, box, "pwd", cwd="sub")["stdout"] == "/workspace/sub\n"
    assert run(manager, box, "pwd", cwd="~")["stdout"] == "/home/user\n"
    root = run(manager, box, 'whoami; echo "$A"', user="root", envs={"A": "it's 1"})
    assert root["stdout"] == "root\nit's 1\n"
    answer = post(
        manager, "/sandboxes/run-command", {"sandbox_id": box, "command": "true", "user": "nobody-x"}
    )
    assert answer.status in (200, 422) and answer.json.get("exit_code") != 0


def test_a_directory_that_is_not_there(manager: Manager, box: str) -> None:
    body = {"sandbox_id": box, "command": "true", "cwd": "/no/such"}
    answer = post(manager, "/sandboxes/run-command", body)
    assert answer.status in (404, 422) and "/no/such" in answer.json["detail"]


def test_variables(manager: Manager, box: str) -> None:
    answer = run(manager, box, 'echo "$FROM_CREATE|$A|$EMPTY|"', envs={"A": "x y\nz", "EMPTY": ""})
    assert answer["stdout"] == "c|x y\nz||\n"
    answer = run(manager, box, 'echo "$FROM_CREATE"', envs={"FROM_CREATE": "other"})
    assert answer["stdout"] == "other\n"
    odd = "é \U0001f600 $(id) `id` \\ '\""
    assert run(manager, box, 'printf %s "$A"', envs={"A": odd})["stdout"] == odd


def test_odd_bytes_and_characters(manager: Manager, box: str) -> None:
    assert run(manager, box, "printf 'é\\360\\237\\230\\200'")["stdout"] == "é\U0001f600"
    assert run(manager, box, "printf 'a\\377b'")["stdout"] == "a\ufffdb"
    assert run(manager, box, "printf 'a\\0b'")["stdout"] == "a\0b"
    assert run(manager, box, "cat <<'X'\n$HOME 'a' \"b\"\nX")["stdout"] == "$HOME 'a' \"b\"\n"
    assert run(manager, box, "read x; echo \"<$x>\"")["stdout"] == "<>\n", "no standard input"


def test_output_is_bounded(manager: Manager, box: str) -> None:
    answer = run(manager, box, "seq -f %09.0f 1 1000000; echo problem >&2")
    assert answer["truncated"] is True
    assert 1024 * 1024 < len(answer["stdout"]) < 1024 * 1024 + 100
    assert answer["stdout"].startswith("000000001\n")
    assert answer["stdout"].endswith("\n001000000\n")
    assert "bytes are left out here" in answer["stdout"]
    assert answer["stderr"] == "problem\n" and answer["output"].endswith("problem\n")


@pytest.mark.parametrize("size", [512 * 1024, 512 * 1024 + 1, 1024 * 1024])
def test_output_up_to_the_bound_is_whole(manager: Manager, box: str, size: int) -> None:
    answer = run(manager, box, f"head -c {size} /dev/zero | tr '\\0' x")
    assert answer["stdout"] == "x" * size and answer["truncated"] is False


def test_a_time_out_is_a_408_with_everything(manager: Manager, box: str) -> None:
    body = {"sandbox_id": box, "timeout": 1}
    before = time.monotonic()
    command = "echo before; echo problem >&2; sleep 600 & sleep 600; echo after"
    answer = post(manager, "/sandboxes/run-command", body | {"command": command})
    assert time.monotonic() - before < 5 * SLOWER
    assert answer.status == 408
    told = answer.json
    assert told.keys() == MEMBERS | {"detail", "error"}
    assert told["success"] is False and told["timed_out"] is True
    assert told["stdout"] == "before\n" and told["stderr"] == "problem\n"
    assert told["error"] == "command_timeout" and "1 second" in told["detail"]
    wait_until(lambda: run(manager, box, "pgrep -c sleep")["stdout"] == "0\n", "it goes on")
    by_alias = {"sandbox_id": box, "command": "sleep 600", "timeout_seconds": 1}
    assert post(manager, "/sandboxes/run-cmd", by_alias).status == 408
    assert run(manager, box, "echo quick", timeout=60)["stdout"] == "quick\n"


def test_commands_run_at_once(manager: Manager, box: str) -> None:
    first = send_run(manager, box, "touch a; until [ -e b ]; do sleep 0.01; done; echo first")
    second = send_run(manager, box, "until [ -e a ]; do sleep 0.01; done; touch b; echo second")
    for connection, said in [(second, "second\n"), (first, "first\n")]:
        assert json.loads(connection.getresponse().read())["stdout"] == said
        connection.close()


def send_run(manager: Manager, box: str, command: str, headers: dict | None = None, **more: object):
    body = {"sandbox_id": box, "command": command} | more
    return send(manager, "POST", "/sandboxes/run-command", body, headers)


# ---- in the background ----


def test_a_background_command_goes_on(manager: Manager, box: str) -> None:
    before = time.monotonic()
    command = 'echo "$A" > started; exec sleep 777'
    body = {"sandbox_id": box, "command": command, "background": True, "envs": {"A": "b g"}}
    answer = post(manager, "/sandboxes/run-command", body).fine()
    assert time.monotonic() - before < 5 * SLOWER
    assert answer.keys() == MEMBERS | {"pid"}
    assert isinstance(answer["pid"], int) and answer["exit_code"] is None
    assert str(answer["pid"]) in answer["output"]
    assert answer["message"] == "Command started in background"
    wait_until(lambda: run(manager, box, "cat started")["stdout"] == "b g\n", "it did not start")
    assert run(manager, box, f"kill {answer['pid']}; echo $?")["stdout"] == "0\n"
    wait_until(
        lambda: run(manager, box, f"kill -0 {answer['pid']} 2>&1; echo $?")["stdout"] != "0\n",
        "it goes on",
    )


def test_a_background_command_of_another_user(manager: Manager, box: str) -> None:
    command = "echo \"$(whoami) $A it's\" > /tmp/who; chmod a+r /tmp/who"
    post(
        manager,
        "/sandboxes/run-command",
        {"sandbox_id": box, "command": command, "background": True, "user": "root", "envs": {"A": "x y"}},
    ).fine()
    said = lambda: run(manager, box, "cat /tmp/who 2>/dev/null")["stdout"]  # noqa: E731
    wait_until(lambda: said() == "root x y it's\n", "it did not run")


# ---- as events ----


def events(answer: Answer) -> list[tuple[str, Json]]:
    found = []
    for block in answer.body.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        assert len(lines) == 2, lines
        assert lines[0].startswith("event: ") and lines[1].startswith("data: ")
        found.append((lines[0][7:], json.loads(lines[1][6:])))
    return found


def stream(manager: Manager, box: str, command: str, **fields: object) -> list[tuple[str, Json]]:
    body = {"sandbox_id": box, "command": command} | fields
    headers = {"Accept": "text/event-stream"}
    answer = post(manager, "/sandboxes/run-command", body, headers=headers)
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"
    return events(answer)


def text(found: list[tuple[str, Json]], kind: str) -> str:
    return "".join(data["text"] for name, data in found if name == kind)


def test_a_stream_tells_everything(manager: Manager, box: str) -> None:
    found = stream(manager, box, "echo one; echo two >&2; exit 3")
    assert text(found, "stdout") == "one\n" and text(found, "stderr") == "two\n"
    assert found[-1] == ("end", {"exit_code": 3, "timed_out": False})
    assert [name for name, _ in found].count("end") == 1


def test_a_stream_is_whole_whatever_its_size(manager: Manager, box: str) -> None:
    found = stream(manager, box, "seq 1 1500000")
    assert text(found, "stdout") == "".join(f"{i}\n" for i in range(1, 1500001))
    assert found[-1][0] == "end"


def test_a_stream_cuts_no_character(manager: Manager, box: str) -> None:
    command = "printf '\\360\\237'; sleep 0.1; printf '\\230\\200'; printf '\\303'"
    assert text(stream(manager, box, command), "stdout") == "\U0001f600\ufffd"
    found = stream(manager, box, "yes é€😀 | head -n 60000")
    assert text(found, "stdout") == "é€😀\n" * 60000


def test_a_stream_comes_as_it_is_printed(manager: Manager, box: str) -> None:
    headers = {"Accept": "text/event-stream"}
    connection = send_run(manager, box, "echo first; until [ -e go ]; do sleep 0.01; done", headers)
    response = connection.getresponse()
    assert response.readline() == b"event: stdout\n"
    assert response.readline() == b'data: {"text":"first\\n"}\n'
    run(manager, box, "touch go")
    assert b"event: end\n" in response.read()
    connection.close()


def test_a_stream_times_out(manager: Manager, box: str) -> None:
    found = stream(manager, box, "echo x; sleep 600", timeout=1)
    assert found[-1][0] == "end" and found[-1][1]["timed_out"] is True


def test_a_slow_reader_makes_the_command_wait(manager: Manager, box: str) -> None:
    headers = {"Accept": "text/event-stream"}
    command = "seq 1 20000000 | tee >(tail -c 1 > last) ; echo done > finished"
    connection = send_run(manager, box, f"bash -c {json.dumps(command)}", headers)
    response = connection.getresponse()
    response.read(1000)
    rss = lambda: int(memory(manager))  # noqa: E731
    start = rss()
    for _ in range(20):
        assert run(manager, box, "ls finished 2>/dev/null")["stdout"] == "", "nobody waited"
    assert rss() - start < 20_000_000
    connection.close()


def memory(manager: Manager) -> int:
    from pathlib import Path

    status = Path(f"/proc/{manager.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def test_a_command_may_be_long(manager: Manager, box: str) -> None:
    answer = post(
        manager, "/sandboxes/run-command", {"sandbox_id": box, "command": "# " + "x" * 100_000}
    )
    assert answer.fine()["exit_code"] == 0
    answer = post(
        manager, "/sandboxes/run-command", {"sandbox_id": box, "command": "# " + "x" * 20_000_000}
    )
    assert answer.status in (413, 422), answer
    assert get(manager, "/health").fine()


def test_nothing_of_a_command_is_logged(manager: Manager, box: str) -> None:
    run(manager, box, "echo very-secret-word", envs={"A": "secret-of-mine"})
    log = manager.read_log()
    assert "very-secret-word" not in log and "secret-of-mine" not in log
