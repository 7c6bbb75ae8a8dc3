"""The search tools find what ripgrep finds, on generated trees full of ignore rules.

Each seed makes one tree; both tools and `rg` search it with the same globs and patterns, and
the sets are compared. What is generated keeps to where ripgrep 13 and its successors agree.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(os.environ.get("SANDBOX_BUILD", ROOT / "build" / "dev")).resolve() / "bin/search_driver"
TREES = int(os.environ.get("SEARCH_TREES", "100"))

NAMES = ["a", "b", "src", "lib", "build", "foo", "foo.c", "bar.c", "main.rs", "x.o", "notes.md",
         ".hidden", ".config", "a.b.c", "Makefile", "tmp", "log.txt", "été.txt", "[x]", "a b",
         "ab", "abc", "-dash", "!bang", "#hash", "foo.tar.gz", "test_foo.py", "t.c", "node"]
WORDS = ["alpha", "Beta", "GAMMA", "delta9", "été", "ÉTÉ", "foo_bar", "foo-bar", "x=1", "αβγ",
         "straße", "tab\there", "  ", "end.", "[section]", "12345", "a.b", "(paren)"]


def glob(rng: random.Random) -> str:
    """A pattern as people write them in ignore files and for -g."""
    atoms = [*NAMES, "*", "*", "*.c", "*.o", "*.*", "foo*", "*foo*", "?", "??", "a?c", "[ab]",
             "[!a]*", "[a-f]oo", "*.{c,rs}", "{a,b}", "{foo,bar}*", "\\[x\\]", "*b*", "a*c",
             "t*.c", "*.t*", "[]x]", "*é*", "{src,lib}", "{*.c,a*}", "*a*b*"]
    parts = [rng.choice(atoms).replace("[x]", "\\[x\\]") for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    if rng.random() < 0.25:
        parts.insert(rng.randrange(len(parts) + 1), "**")
    text = "/".join(parts)
    if rng.random() < 0.15:
        text = "/" + text
    if rng.random() < 0.15:
        text += "/"
    return text


def rule(rng: random.Random) -> str:
    """A line of an ignore file."""
    if rng.random() < 0.08:
        return rng.choice(["", "# comment", "   ", "\\#hash", "\\!bang", "foo   ", "foo\\ ",
                           "[", "a{", "**", "*", "!*", "/", "!/", "\t", "a\\", "foo\r"])
    return ("!" if rng.random() < 0.3 else "") + glob(rng)


def text(rng: random.Random) -> bytes:
    lines = [" ".join(rng.choices(WORDS, k=rng.randrange(6))) for _ in range(rng.randrange(12))]
    data = "\n".join(lines).encode()
    kind = rng.random()
    if kind < 0.6:
        data += b"\n"
    elif kind < 0.65:
        data += b"\0binary alpha\n"
    elif kind < 0.7:
        data = b"\xff\xfealpha\xc3\n" + data
    elif kind < 0.73:
        data = "\n".join(lines).encode("utf-16")
    elif kind < 0.76:
        data = b"\xef\xbb\xbf" + data
    elif kind < 0.8:
        data = data.replace(b"\n", b"\r\n")
    return data


def make_tree(base: Path, rng: random.Random) -> list[Path]:
    """Makes a tree below `base`; returns its directories."""
    dirs = [base]
    for _ in range(rng.randrange(4, 14)):
        path = rng.choice(dirs) / rng.choice(NAMES)
        if len(path.parts) - len(base.parts) < 7 and not path.exists():
            path.mkdir()
            dirs.append(path)
    for _ in range(rng.randrange(10, 60)):
        path = rng.choice(dirs) / rng.choice(NAMES)
        if not path.exists():
            path.write_bytes(text(rng))
    for _ in range(rng.randrange(3)):
        path = rng.choice(dirs) / f"link{rng.randrange(9)}"
        if not path.is_symlink():
            path.symlink_to(rng.choice([rng.choice(dirs), "nowhere", "foo.c"]))
    for name in [".gitignore", ".gitignore", ".ignore", ".rgignore"]:
        for path in rng.sample(dirs, min(len(dirs), rng.randrange(4))):
            lines = [rule(rng) for _ in range(rng.randrange(1, rng.choice([4, 4, 40])))]
            (path / name).write_text("\n".join(lines) + rng.choice(["\n", ""]), newline="")
    for path in rng.sample(dirs, min(len(dirs), rng.choice([0, 1, 1, 1, 2]))):
        make_repository(path, base, rng)
    return dirs


def make_repository(path: Path, base: Path, rng: random.Random) -> None:
    git = path / ".git"
    if rng.random() < 0.2:  # a worktree
        home = base / ".repository"
        (home / "worktrees/w").mkdir(parents=True, exist_ok=True)
        (home / "worktrees/w/commondir").write_text("../..\n")
        git.write_text(f"gitdir: {home}/worktrees/w\n")
        git = home
    (git / "info").mkdir(parents=True, exist_ok=True)
    if rng.random() < 0.7:
        (git / "info/exclude").write_text("\n".join(rule(rng) for _ in range(3)) + "\n")


class Driver:
    """Runs the tools themselves, without the server."""

    def __init__(self, root: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen([DRIVER, root], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def call(self, name: str, **arguments: object) -> dict:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"name": name, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin
        self.process.communicate()
        assert self.process.returncode == 0


class Tree:
    def __init__(self, tmp: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.home = tmp / "home"
        (self.home / ".config/git").mkdir(parents=True)
        (self.home / "empty").mkdir()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8"}
        if self.rng.random() < 0.4:
            excludes = self.rng.choice([".config/git/ignore", "excludes"])
            (self.home / excludes).write_text("\n".join(rule(self.rng) for _ in range(3)))
            if excludes == "excludes":
                (self.home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/excludes\n")
        self.base = tmp / "tree"
        self.base.mkdir()
        self.dirs = make_tree(self.base, self.rng)

    def rg(self, path: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["rg", "--no-config", "--no-messages", *args], cwd=path,
                              env=self.env, stdin=subprocess.DEVNULL, capture_output=True)

    def files(self, path: Path, pattern: str) -> list[str] | None:
        """What `rg --files -g` lists, or None where the glob is bad."""
        done = self.rg(path, "--files", "--null", f"--glob={pattern}")
        # It could be an ignore file that has a bad one.
        if done.returncode == 2 and not done.stdout:
            done = self.rg(self.home / "empty", "--files", f"--glob={pattern}")
            if done.returncode == 2:
                return None
        return sorted(name for name in os.fsdecode(done.stdout).split("\0") if name)


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    assert shutil.which("rg"), "ripgrep is missing: apt-get install ripgrep"
    assert DRIVER.exists(), f"{DRIVER} is missing: build it first"


@pytest.fixture(params=range(TREES))
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    return Tree(tmp_path, request.param)


@pytest.fixture
def driver(tree: Tree) -> Iterator[Driver]:
    driver = Driver(tree.base, tree.env)
    yield driver
    driver.close()


def test_same_files(tree: Tree, driver: Driver) -> None:
    for path in [tree.base, *tree.rng.sample(tree.dirs, min(3, len(tree.dirs)))]:
        where = str(path.relative_to(tree.base))
        for pattern in ["*", "!*.c", "!nothing", *(rule(tree.rng) for _ in range(8))]:
            want = tree.files(path, pattern)
            have = driver.call("search_files", pattern=pattern, path=where, limit=100000)
            if want is None:
                assert have["isError"], (pattern, have)
                continue
            assert not have["isError"], (pattern, have)
            assert have["structuredContent"]["truncated"] is False
            files = have["structuredContent"]["files"]
            assert files == sorted(files, key=os.fsencode)
            assert sorted(files) == want, (where, pattern)
            shown = have["content"][0]["text"]
            assert shown == ("\n".join(files) or "No files found")


def plain(data: bytes) -> list[str]:
    """rg's lines, a U+FFFD for each byte that is no UTF-8, notes on binary files left out."""
    text = "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c
                   for c in data.decode("utf-8", "surrogateescape"))
    return [line for line in text.split("\n")
            if line and ": WARNING: stopped searching binary file after match" not in line
            and ": binary file matches (found " not in line]


def pattern(rng: random.Random) -> str:
    atoms = ["alpha", "Beta", "GAMMA", "delta\\d", "été", "foo[_-]bar", "\\w+", "[a-z]+", "a.*a",
             "^", "$", "\\b", "x=1", "α", "ß", "\\s", "\\S+", "[^a-z ]+", "\\.", "(alpha|Beta)",
             "(?:foo|bar|été)", "[A-Z]{2}", "\\d{2,4}", "e?t", "(?i)beta", "[é-ü]", "\\W",
             "end\\.$", "^alpha", "k", "s", "[\\s.]+", "\\x61", "\\pL+", "\\D\\d", "a{2}|b+",
             "\\[section\\]", "delta9 *x", "[^\\n]", "(a|é)l?", ".", "\\r"]
    # ripgrep 13 finds nothing with "$^", where it is an empty line as well.
    return "".join(rng.choices(atoms, k=rng.choice([1, 1, 2, 2, 3]))).replace("$^", "$")


def lines_of(have: dict) -> list[str]:
    assert not have["isError"], have
    text = have["content"][0]["text"]
    return [] if text == "No matches found" else text.split("\n")


def check_structure(have: dict, shown: list[str]) -> None:
    """The structured form has the lines that the text has, in the same order."""
    lines = []
    for match in have["structuredContent"]["matches"]:
        before, after = match["before"], match["after"]
        number = match["line"]
        lines += [f"{match['path']}-{number - len(before) + i}-{t}" for i, t in enumerate(before)]
        lines.append(f"{match['path']}:{number}:{match['text']}")
        lines += [f"{match['path']}-{number + 1 + i}-{t}" for i, t in enumerate(after)]
    assert lines == [line for line in shown if line != "--"]


CASES = {"sensitive": "--case-sensitive", "insensitive": "--ignore-case", "smart": "--smart-case"}


def test_same_lines(tree: Tree, driver: Driver) -> None:
    rng = tree.rng
    for path in [tree.base, rng.choice(tree.dirs)]:
        for _ in range(10):
            text, case, context = pattern(rng), rng.choice([*CASES]), rng.choice([0, 0, 1, 3])
            only = {"glob": glob(rng)} if rng.random() < 0.3 else {}
            if only and tree.files(path, only["glob"]) is None:
                continue
            args = [f"--glob={value}" for value in only.values()]
            args += ["--line-number", "--no-heading", "--with-filename", CASES[case],
                     f"--context={context}", f"--regexp={text}"]
            want = tree.rg(path, *args)
            have = driver.call("search_text", pattern=text, path=str(path.relative_to(tree.base)),
                               case=case, context=context, limit=100000, **only)
            shown = lines_of(have)
            assert sorted(shown) == sorted(plain(want.stdout)), (path, args)
            assert have["structuredContent"]["truncated"] is False
            check_structure(have, shown)


def test_same_lines_of_one_file(tree: Tree, driver: Driver) -> None:
    files = [p for p in tree.base.rglob("*") if p.is_file() and not p.is_symlink()]
    for path in tree.rng.sample(files, 10):
        text, name = pattern(tree.rng), str(path.relative_to(tree.base))
        context = tree.rng.choice([0, 2])
        want = tree.rg(tree.base, "--line-number", "--no-heading", "--with-filename",
                       f"--context={context}", f"--regexp={text}", "--", name)
        shown = lines_of(driver.call("search_text", pattern=text, path=name, context=context))
        assert sorted(shown) == sorted(plain(want.stdout)), (text, name)
