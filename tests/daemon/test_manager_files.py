"""Files in and out of sandboxes, small and large."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import secrets
import select
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import Answer, Json, form, get, post, receive, sandbox, send, upload
from daemon import SLOWER
from manager import ALICE, KEYS, Manager, managers

GIGABYTE = 1 << 30
PIECE = 1 << 20
MEMORY_MORE = (24 << 20) * SLOWER  # what a manager may need beyond its start, whatever the size


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    with managers(tmp_path_factory.mktemp("managers")) as start:
        yield start(settings=KEYS, key=ALICE)


@pytest.fixture(scope="module")
def box(manager: Manager) -> Iterator[str]:
    with sandbox(manager) as box:
        yield box


def write(manager: Manager, box: str, path: str, content: str) -> Answer:
    body = {"sandbox_id": box, "path": path, "content": content}
    return post(manager, "/sandboxes/write-file", body)


def read(manager: Manager, box: str, path: str) -> Answer:
    return post(manager, "/sandboxes/read-file", {"sandbox_id": box, "path": path})


def download(manager: Manager, box: str, path: str) -> Answer:
    return post(manager, "/sandboxes/download-file", {"sandbox_id": box, "path": path})


NAMES = [
    "plain.txt", "deep/er/file", "/tmp/absolute", "~/home.txt", "ünïcödé/文件 😀.txt", "-dash",
    'quo"te\'s\\.txt', "percent%20#?&=+;.txt", "new\nline", " spaces ", "x" * 255, "a\tb\x7f\x01",
]  # fmt: skip


@pytest.mark.parametrize("path", NAMES)
def test_any_name_goes_both_ways(manager: Manager, box: str, path: str) -> None:
    assert write(manager, box, path, "né").fine()["bytes"] == 3
    assert read(manager, box, path).fine()["content"] == "né"
    got = download(manager, box, path)
    assert got.status == 200 and got.body == "né".encode()
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert int(got.headers["Content-Length"]) == 3
    assert disposition(got) == path.rsplit("/", 1)[-1]
    assert upload(manager, {"sandbox_id": box, "path": path}, b"up").fine()["bytes"] == 2
    assert read(manager, box, path).fine()["content"] == "up"


def disposition(answer: Answer) -> str:
    """The file's true name; its plain one must be safe to parse."""
    value = answer.headers["Content-Disposition"]
    match = re.fullmatch(r"attachment; filename=\"([^\"\\\x00-\x1f]*)\"; filename\*=UTF-8''(\S*)", value)
    assert match, value
    assert len(match[1]) > 0
    return urllib.parse.unquote(match[2], errors="strict")


def test_a_file_may_be_empty(manager: Manager, box: str) -> None:
    assert write(manager, box, "empty", "").fine()["bytes"] == 0
    assert read(manager, box, "empty").fine()["content"] == ""
    got = download(manager, box, "empty")
    assert got.status == 200 and got.body == b""
    write(manager, box, "empty", "full")
    assert upload(manager, {"sandbox_id": box, "path": "empty"}, b"").fine()["bytes"] == 0
    assert read(manager, box, "empty").fine()["content"] == ""


def test_bytes_are_written_as_given(manager: Manager, box: str) -> None:
    text = "a\r\nb\0c\u2028é😀\ufeff\x7f\n"
    assert write(manager, box, "odd", text).fine()["bytes"] == len(text.encode())
    assert read(manager, box, "odd").fine()["content"] == text
    every = bytes(range(256)) * 5
    upload(manager, {"sandbox_id": box, "path": "every"}, every).fine()
    assert download(manager, box, "every").body == every
    boundaries = b"\r\n--\r\n----\r\n--x\r\n\r\n-" * 1000
    upload(manager, {"sandbox_id": box, "path": "every"}, boundaries).fine()
    assert download(manager, box, "every").body == boundaries


def test_what_is_no_text_is_415(manager: Manager, box: str) -> None:
    for content in (b"\xff\xfe", b"ok\xc3", b"\xed\xa0\x80", b"\x80" * 100):
        upload(manager, {"sandbox_id": box, "path": "binary"}, content).fine()
        assert "download-file" in read(manager, box, "binary").refused(415, "not_text")


def test_files_that_are_not_there_or_no_files(manager: Manager, box: str) -> None:
    for ask in (read, download):
        assert "no-such" in ask(manager, box, "no-such").refused(404, "not_found")
        assert ask(manager, box, "no/such/file").status == 404
        for directory in ("/tmp", ".", "~"):
            refusal = ask(manager, box, directory)
            assert "directory" in refusal.refused(422, "invalid").lower()
        ask(manager, box, "x" * 256).refused(422, "invalid")
        ask(manager, box, "/dev/zero").refused(422, "invalid")
    for answer in (
        write(manager, box, "/tmp", "x"),
        upload(manager, {"sandbox_id": box, "path": "/tmp"}, b"x" * 3_000_000),
    ):
        assert "directory" in answer.refused(422, "invalid").lower()


def test_what_the_user_may_not_is_denied(manager: Manager, box: str) -> None:
    for answer in (
        write(manager, box, "/etc/mine", "x"),
        upload(manager, {"sandbox_id": box, "path": "/usr/mine"}, b"x" * 3_000_000),
        read(manager, box, "/etc/shadow"),
    ):
        assert answer.status in (403, 422), answer
        assert answer.json["error"] in ("denied", "invalid")
    manager.run(box, "echo secret > /tmp/roots; chmod 600 /tmp/roots", user="root")
    download(manager, box, "/tmp/roots").refused(403, "denied")


def test_a_large_text_is_read_in_part_elsewhere(manager: Manager, box: str) -> None:
    manager.run(box, "head -c 16777216 /dev/zero | tr '\\0' x > exact; (cat exact; echo) > more")
    assert len(read(manager, box, "exact").fine()["content"]) == 16 << 20
    assert "download-file" in read(manager, box, "more").refused(413, "too_large")
    assert len(download(manager, box, "more").body) == (16 << 20) + 1


def test_a_large_text_is_written(manager: Manager, box: str) -> None:
    text = "é\\\n" * 3_000_000
    assert write(manager, box, "large", text).fine()["bytes"] == 12_000_000
    assert read(manager, box, "large").fine()["content"] == text


def test_large_texts_hold_up_nobody(manager: Manager, box: str) -> None:
    """While some are read and written, others are served: none waits for a whole text."""
    text = "\n" * 12_000_000
    write(manager, box, "lines", text).fine()
    body = {"sandbox_id": box, "path": "lines"}
    busy = [send(manager, "POST", "/sandboxes/read-file", body) for _ in range(4)]
    answered = 0
    while not select.select([connection.sock for connection in busy], [], [], 0)[0]:
        assert get(manager, "/health").status == 200
        answered += 1
    assert answered > 10
    for connection in busy:
        assert receive(connection).fine()["content"] == text


# ---- forms ----


def test_forms_of_other_clients(manager: Manager, box: str) -> None:
    """Quoted boundaries, other fields, a file without a name, chunked bodies."""
    body = (
        b'preamble\r\n--b "\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n'
        b'--b "\r\ncontent-disposition: form-data; name="sandbox_id"\r\n\r\n' + box.encode() +
        b'\r\n--b "\r\nContent-Disposition: form-data; name="path"\r\n'
        b"Content-Type: text/plain; charset=utf-8\r\n\r\nform\r\n"
        b'--b "\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--b "--\r\n'
    ).replace(b'--b "', b"--b1'()+_,-./:=?")  # fmt: skip
    kind = {"Content-Type": "multipart/form-data; boundary=\"b1'()+_,-./:=?\""}
    assert post(manager, "/sandboxes/upload-file", body, headers=kind).fine()["bytes"] == 5
    body, form_kind = form({"sandbox_id": box, "path": "chunked"}, b"y" * 100_000)
    connection = send(
        manager, "POST", "/sandboxes/upload-file", None,
        {"Content-Type": form_kind, "Transfer-Encoding": "chunked"},
    )  # fmt: skip
    for at in range(0, len(body), 999):
        piece = body[at : at + 999]
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    connection.send(b"0\r\n\r\n")
    assert receive(connection).fine()["bytes"] == 100_000


def test_a_file_in_front_of_its_fields_is_refused(manager: Manager, box: str) -> None:
    body, kind = form({"path": "x"}, b"file first")
    late = body.replace(
        b"--\r\n", b"\r\nContent-Disposition: form-data; name=\"sandbox_id\"\r\n\r\nx\r\n", 1
    )
    answer = post(manager, "/sandboxes/upload-file", late, headers={"Content-Type": kind})
    assert "before 'file'" in answer.refused(422, "invalid_fields")


def test_two_files_are_refused(manager: Manager, box: str) -> None:
    body, kind = form({"sandbox_id": box, "path": "two"}, b"first")
    boundary = kind.split("=")[1].encode()
    second = b'--%b\r\nContent-Disposition: form-data; name="file"\r\n\r\nsecond\r\n' % boundary
    body = body.replace(b"--%b--" % boundary, second + b"--%b--" % boundary)
    answer = post(manager, "/sandboxes/upload-file", body, headers={"Content-Type": kind})
    assert "twice" in answer.refused(422, "invalid_fields")
    read(manager, box, "two").refused(404, "not_found")


def test_a_form_that_ends_early_writes_nothing(manager: Manager, box: str) -> None:
    body, kind = form({"sandbox_id": box, "path": "early"}, b"z" * 100_000)
    boundary = kind.split("=")[1].encode()
    cut = body.replace(b"\r\n--%b--\r\n" % boundary, b"")
    answer = post(manager, "/sandboxes/upload-file", cut, headers={"Content-Type": kind})
    answer.refused(400, "malformed")
    read(manager, box, "early").refused(404, "not_found")


def test_a_refused_upload_is_answered_before_its_end(manager: Manager) -> None:
    """Its client learns at once, and nothing of the rest is kept."""
    body, kind = form({"sandbox_id": "a" * 20, "path": "x"}, b"q" * 5_000_000)
    connection = send(
        manager, "POST", "/sandboxes/upload-file", None,
        {"Content-Type": kind, "Content-Length": str(len(body))},
    )  # fmt: skip
    connection.send(body[:100_000])
    try:
        connection.send(body[100_000:])
    except ConnectionError:
        pass
    assert receive(connection).status == 404


# ---- a gigabyte ----


def peak(manager: Manager) -> int:
    status = Path(f"/proc/{manager.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def forget_peak(manager: Manager) -> int:
    Path(f"/proc/{manager.pid}/clear_refs").write_text("5")
    return peak(manager)


def send_gigabyte(manager: Manager, box: str) -> tuple[Answer, str]:
    frame, kind = form({"sandbox_id": box, "path": "gigabyte"}, b"@@")
    before, after = frame.split(b"@@")
    connection = send(
        manager, "POST", "/sandboxes/upload-file", None,
        {"Content-Type": kind, "Content-Length": str(len(before) + GIGABYTE + len(after))},
    )  # fmt: skip
    digest, piece = hashlib.sha1(), secrets.token_bytes(PIECE)
    connection.send(before)
    for _ in range(GIGABYTE // PIECE):
        digest.update(piece)
        connection.send(piece)
    connection.send(after)
    return receive(connection), digest.hexdigest()


@pytest.mark.long
def test_a_gigabyte_goes_up_and_down_in_little_memory(manager: Manager, box: str) -> None:
    start = forget_peak(manager)
    answer, digest = send_gigabyte(manager, box)
    assert answer.fine()["bytes"] == GIGABYTE
    assert manager.run(box, "sha1sum < gigabyte")["stdout"].split()[0] == digest
    body = {"sandbox_id": box, "path": "gigabyte"}
    connection = send(manager, "POST", "/sandboxes/download-file", body)
    response = connection.getresponse()
    assert int(response.headers["Content-Length"]) == GIGABYTE
    received = hashlib.sha1()
    while piece := response.read(PIECE):
        received.update(piece)
    connection.close()
    assert received.hexdigest() == digest
    manager.run(box, "rm gigabyte")
    assert peak(manager) - start < MEMORY_MORE, "it was kept in memory"


def test_a_slow_reader_is_waited_for(manager: Manager, box: str) -> None:
    manager.run(box, "head -c 200000000 /dev/zero > wide")
    start = forget_peak(manager)
    connection = send(
        manager, "POST", "/sandboxes/download-file", {"sandbox_id": box, "path": "wide"}
    )
    response = connection.getresponse()
    response.read(10)
    for _ in range(50):  # others are served meanwhile
        assert write(manager, box, "meanwhile", "x").status == 200
    assert peak(manager) - start < MEMORY_MORE, "what nobody reads is kept in memory"
    assert len(response.read()) == 200_000_000 - 10
    connection.close()


def test_a_download_that_breaks_is_seen_to(manager: Manager, box: str) -> None:
    """A file that shrinks while it is read must not look whole."""
    manager.run(box, "head -c 400000000 /dev/zero > shrinks")
    body = {"sandbox_id": box, "path": "shrinks"}
    connection = send(manager, "POST", "/sandboxes/download-file", body)
    response = connection.getresponse()
    response.read(10)
    manager.run(box, "truncate -s 100 shrinks")
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()


def test_the_documents_upload_by_base64_still_works(manager: Manager, box: str) -> None:
    data = base64.b64encode(secrets.token_bytes(100_000)).decode()
    write(manager, box, "b64", data).fine()
    count: Json = manager.run(box, "base64 -d < b64 | wc -c")
    assert count["stdout"] == "100000\n"
    assert json.dumps(count)
