"""The workspace's files as resources."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import Launch
from wire import MODERN, Json, Mcp


def uri_of(path: Path) -> str:
    return "file://" + quote(str(path))


def read(mcp: Mcp, uri: str) -> Json:
    reply = mcp.request("resources/read", {"uri": uri})
    contents = reply.result["contents"]
    assert len(contents) == 1 and contents[0]["uri"] == uri
    return contents[0]


def refusal(mcp: Mcp, uri: str) -> Json:
    reply = mcp.request("resources/read", {"uri": uri})
    assert reply.status == 200
    return reply.error


def every_page(mcp: Mcp) -> list[list[Json]]:
    pages, cursor = [], None
    while True:
        result = mcp.request("resources/list", {"cursor": cursor} if cursor else {}).result
        pages.append(result["resources"])
        cursor = result.get("nextCursor")
        if cursor is None:
            return pages


def names(mcp: Mcp) -> list[str]:
    return [r["name"] for page in every_page(mcp) for r in page]


def test_lists_the_files_of_the_workspace(mcp: Mcp) -> None:
    workspace = mcp.daemon.workspace
    (workspace / "src").mkdir()
    (workspace / "src" / "main.py").write_text("print()\n")
    os.utime(workspace / "src" / "main.py", (1600000000, 1600000000))
    (workspace / "a b%.txt").write_text("x")
    (workspace / "Zebra").write_text("")
    (workspace / ".hidden").write_text("x")
    (workspace / ".git").mkdir()
    (workspace / ".git" / "config").write_text("x")
    (workspace / "empty").mkdir()
    (workspace / "link").symlink_to("Zebra")
    os.mkfifo(workspace / "pipe")
    result = mcp.request("resources/list").result
    assert [r["name"] for r in result["resources"]] == ["Zebra", "a b%.txt", "src/main.py"]
    assert result["resources"][2] == {
        "uri": uri_of(workspace / "src" / "main.py"),
        "name": "src/main.py",
        "mimeType": "text/x-python",
        "size": 8,
        "annotations": {"lastModified": "2020-09-13T12:26:40Z"},
    }
    assert result["resources"][1]["uri"] == uri_of(workspace) + "/a%20b%25.txt"
    assert "nextCursor" not in result
    if mcp.modern:
        assert result["ttlMs"] == 0 and result["cacheScope"] == "private"
    else:
        assert "ttlMs" not in result
    for resource in result["resources"]:
        read(mcp, resource["uri"])


def test_pages_go_on_behind_what_was_listed(modern: Mcp) -> None:
    workspace = modern.daemon.workspace
    for i in range(450):
        directory = workspace / f"d{i % 7}" / f"e{i % 3}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{i:03}").write_text("")
    expected = sorted(
        (str(p.relative_to(workspace)) for p in workspace.rglob("*") if p.is_file()),
        key=lambda p: p.split("/"),
    )
    pages = every_page(modern)
    assert [r["name"] for page in pages for r in page] == expected
    assert [len(page) for page in pages] == [200, 200, 50]

    first = modern.request("resources/list").result
    (workspace / first["resources"][-1]["name"]).unlink()
    (workspace / "a-new-first").write_text("")
    (workspace / "d6" / "z-new-last").write_text("")
    rest = modern.request("resources/list", {"cursor": first["nextCursor"]}).result
    last = modern.request("resources/list", {"cursor": rest["nextCursor"]}).result
    assert [r["name"] for r in rest["resources"]] == expected[200:400]
    assert [r["name"] for r in last["resources"]] == [*expected[400:], "d6/z-new-last"]


def test_a_full_page_is_not_followed_by_an_empty_one(modern: Mcp) -> None:
    for i in range(200):
        (modern.daemon.workspace / f"{i:03}").write_text("")
    (modern.daemon.workspace / "empty").mkdir()
    assert [len(page) for page in every_page(modern)] == [200]


def test_a_wide_and_a_deep_tree_are_listed_whole(modern: Mcp) -> None:
    workspace = modern.daemon.workspace
    deep = workspace / "/".join(["d"] * 50)
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("")
    for i in range(1000):
        (workspace / f"dir{i:04}").mkdir()
    (workspace / "dir0999" / "file").write_text("")
    for i in range(600):
        (workspace / "dir0500" / f"{i:04}").touch()
    found = names(modern)
    assert len(found) == 602
    assert found[0].endswith("/bottom") and found[-1] == "dir0999/file"


@pytest.mark.parametrize("cursor", ["x", "MA", "OTphYmM", "MDouLi8vYQ", "MDovZXRjL3g", "!", "MDphAA"])
def test_unknown_cursors_are_refused(mcp: Mcp, cursor: str) -> None:
    assert mcp.request("resources/list", {"cursor": cursor}).error["code"] == -32602


def test_a_cursor_leads_nowhere_else(modern: Mcp) -> None:
    (modern.daemon.directory / "outside").mkdir()
    (modern.daemon.directory / "outside" / "secret").write_text("x")
    (modern.daemon.workspace / "a").write_text("x")
    cursor = base64.urlsafe_b64encode(b"0:../outside/a").decode().rstrip("=")
    listed = modern.request("resources/list", {"cursor": cursor}).result["resources"]
    assert all(r["name"] == "a" for r in listed)


def test_cursors_have_to_be_strings(mcp: Mcp) -> None:
    for method in ("resources/list", "resources/templates/list"):
        assert mcp.request(method, {"cursor": 5}).error["code"] == -32602
        assert mcp.request(method, {"cursor": ""}).result
    assert mcp.request("resources/templates/list", {"cursor": "x"}).error["code"] == -32602


def test_reads_text_bytes_and_directories(mcp: Mcp) -> None:
    workspace = mcp.daemon.workspace
    (workspace / "a.md").write_text("# Ä\n")
    (workspace / "empty").write_text("")
    (workspace / "a.bin").write_bytes(b"\x00\xff\x01")
    (workspace / "latin").write_bytes(b"caf\xe9")
    (workspace / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    (workspace / "d").mkdir()
    assert read(mcp, uri_of(workspace / "a.md")) | {"uri": 0} == {
        "uri": 0, "mimeType": "text/markdown", "text": "# Ä\n",
    }
    assert read(mcp, uri_of(workspace / "empty"))["text"] == ""
    blob = read(mcp, uri_of(workspace / "a.bin"))
    assert base64.b64decode(blob["blob"]) == b"\x00\xff\x01" and "text" not in blob
    assert blob["mimeType"] == "application/octet-stream"
    assert base64.b64decode(read(mcp, uri_of(workspace / "latin"))["blob"]) == b"caf\xe9"
    assert read(mcp, uri_of(workspace / "p.png"))["mimeType"] == "image/png"
    directory = read(mcp, uri_of(workspace))
    assert directory["mimeType"] == "inode/directory"
    assert directory["text"].split("\n") == ["a.bin", "a.md", "d/", "empty", "latin", "p.png", ""]


def test_every_form_of_the_uri_is_read(modern: Mcp) -> None:
    path = modern.daemon.workspace / "x y"
    path.write_text("here")
    for uri in (
        f"file://localhost{path.parent}/x%20y",
        f"file:{path.parent}/%78%20y",
        f"FILE://{path.parent}/x y",
        f"file://{path.parent}//./x%20y",
    ):
        assert read(modern, uri)["text"] == "here", uri


def test_a_modern_result_says_that_it_is_stale_at_once(modern: Mcp) -> None:
    (modern.daemon.workspace / "a").write_text("x")
    reply = modern.request("resources/read", {"uri": uri_of(modern.daemon.workspace / "a")})
    assert reply.result["ttlMs"] == 0 and reply.result["cacheScope"] == "private"
    assert reply.result["resultType"] == "complete"


def test_what_is_not_there_is_told_in_the_words_of_the_era(mcp: Mcp) -> None:
    for uri in (uri_of(mcp.daemon.workspace / "no"), "nope://x", "relative"):
        error = refusal(mcp, uri)
        assert error["code"] == (-32602 if mcp.modern else -32002), uri
        assert error["data"] == {"uri": uri}


def test_what_may_not_be_read_is_refused(mcp: Mcp) -> None:
    workspace = mcp.daemon.workspace
    (mcp.daemon.directory / "secret").write_text("secret")
    (workspace / "out").symlink_to("../secret")
    (workspace / "abs").symlink_to("/etc/passwd")
    os.mkfifo(workspace / "pipe")
    base = uri_of(workspace)
    for uri in (
        "file:///etc/passwd",
        base + "/../secret",
        base + "/%2e%2e/secret",
        base + "/..%2Fsecret",
        base + "/out",
        base + "/abs",
        base + "/pipe",
        base + "/a%00",
        base + "/a%",
        base + "/a?x",
        base + "/a#x",
        "file://evil.example/etc/passwd",
        "file:///proc/self/root/etc/passwd",
        "file:",
        base + "/" + "a" * 5000,
        *([] if mcp.modern else ["file:///" + "a" * 20000, ""]),  # a header repeats the URI
    ):
        error = refusal(mcp, uri)
        assert error["code"] in ((-32602,) if mcp.modern else (-32602, -32002)), uri
        assert "secret" not in error["message"].replace("/secret", "").replace("Fsecret", "")
    for uri in (None, 5, ["x"]):
        message = mcp.message("resources/read", {"uri": uri}, id=1)
        headers = {"Mcp-Name": "x"} if mcp.modern else {}
        assert mcp.post(message, headers).error["code"] == -32602


def test_a_large_file_names_the_way_to_read_it(modern: Mcp) -> None:
    path = modern.daemon.workspace / "big"
    path.write_bytes(b"\x00" * (8 << 20))
    assert len(read(modern, uri_of(path))["blob"]) == (8 << 20) * 4 // 3 + 3 & ~3
    path.write_bytes(b"x" * ((8 << 20) + 1))
    error = refusal(modern, uri_of(path))
    assert error["code"] == -32602 and "read_file" in error["message"] and "/files" in error["message"]


def test_the_template_is_completed_and_leads_to_files(mcp: Mcp) -> None:
    workspace = mcp.daemon.workspace
    (workspace / "src" / "deep").mkdir(parents=True)
    (workspace / "src" / "main.c").write_text("here")
    (workspace / "src" / ".hidden").write_text("")
    templates = mcp.request("resources/templates/list").result["resourceTemplates"]
    assert [t["uriTemplate"] for t in templates] == ["file:///{+path}"]
    ref = {"type": "ref/resource", "uri": templates[0]["uriTemplate"]}

    def complete(value: str, name: str = "path") -> list[str]:
        argument = {"name": name, "value": value}
        result = mcp.request("completion/complete", {"ref": ref, "argument": argument}).result
        assert result["completion"]["hasMore"] is False
        assert result["completion"]["total"] == len(result["completion"]["values"])
        return result["completion"]["values"]

    root = str(workspace)[1:]
    assert root + "/" in complete("")
    assert root + "/" in complete(root[:-3])
    assert complete(root + "/s") == [root + "/src/"]
    assert complete(root + "/src/") == [root + "/src/deep/", root + "/src/main.c"]
    assert complete(root + "/src/.") == [root + "/src/.hidden"]
    assert complete(root + "/src/m", "+path") == [root + "/src/main.c"]
    assert complete(root + "/nowhere/") == complete(root + "/../") == complete("etc/pa") == []
    uri = re.sub(r"\{\+path\}", complete(root + "/src/m")[0], templates[0]["uriTemplate"])
    assert read(mcp, uri)["text"] == "here"


def test_long_completions_are_cut_and_counted(modern: Mcp) -> None:
    for i in range(150):
        (modern.daemon.workspace / f"f{i:03}").write_text("")
    ref = {"type": "ref/prompt", "name": "explore_workspace"}
    argument = {"name": "path", "value": "f"}
    result = modern.request("completion/complete", {"ref": ref, "argument": argument}).result
    assert result["completion"] == {
        "values": [f"f{i:03}" for i in range(100)], "total": 150, "hasMore": True,
    }


def test_unknown_references_are_refused(mcp: Mcp) -> None:
    template = {"type": "ref/resource", "uri": "file:///{+path}"}
    argument = {"name": "path", "value": ""}
    for ref, arg in (
        ({"type": "ref/resource", "uri": "nope://{x}"}, argument),
        ({"type": "ref/resource"}, argument),
        ({"type": "ref/prompt", "name": "nope"}, argument),
        ({"type": "ref/other"}, argument),
        ({}, argument),
        (template, {"name": "nope", "value": ""}),
        (template, {"name": "+", "value": ""}),
        (template, {"name": "", "value": ""}),
        (template, {"name": "path"}),
        (template, {"name": "path", "value": 5}),
        (template, {"name": "path", "value": "a\0b"}),
        (template, None),
    ):
        reply = mcp.request("completion/complete", {"ref": ref, "argument": arg})
        assert reply.error["code"] == -32602, (ref, arg)


def test_directories_that_cannot_be_listed_are_logged_to_who_asked(launch: Launch) -> None:
    modern = Mcp(launch(), MODERN)
    path = modern.daemon.workspace / "/".join(["d"] * 70)
    path.mkdir(parents=True)
    (path / "too-deep").write_text("")
    (modern.daemon.workspace / "e").write_text("")
    level = {"_meta": {"io.modelcontextprotocol/logLevel": "notice"}}
    messages = modern.request("resources/list", level).messages
    assert [m.get("method") for m in messages] == ["notifications/message", None]
    assert messages[0]["params"]["level"] == "notice"
    assert messages[0]["params"]["data"]["directories"] == 1
    level["_meta"]["io.modelcontextprotocol/logLevel"] = "warning"
    assert len(modern.request("resources/list", level).messages) == 1
    assert len(modern.request("resources/list").messages) == 1
    level["_meta"]["io.modelcontextprotocol/logLevel"] = "loud"
    reply = modern.request("resources/list", level)
    assert reply.status == 400 and reply.error["code"] == -32602

    legacy = Mcp(modern.daemon, "2025-11-25")
    assert len(legacy.request("resources/list").messages) == 1
    assert legacy.request("logging/setLevel", {"level": "debug"}).result == {}
    assert len(legacy.request("resources/list").messages) == 2
