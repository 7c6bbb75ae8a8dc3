"""Sandboxes that are ready before anybody asks: nobody's until then, and gone with the manager."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable

import pytest
from daemon import expect_no_children, wait_until
from manager import CREATE_SECONDS, Manager

Launch = Callable[..., Manager]


def ready(manager: Manager) -> int:
    with urllib.request.urlopen(manager.url + "/metrics") as answer:
        text = answer.read().decode()
    found = re.search(r'provider="local",figure="pool_ready"} (\d+)', text)
    assert found, text
    return int(found[1])


def filled(manager: Manager, size: int) -> None:
    wait_until(lambda: ready(manager) == size, f"not {size} are ready", CREATE_SECONDS)


def test_prepared_sandboxes_go_with_the_manager(launch_manager: Launch) -> None:
    manager = launch_manager("--pool", "3")
    filled(manager, 3)
    manager.leave()
    manager.expect_nothing_left()
    expect_no_children()


def test_one_that_was_handed_out_stays(launch_manager: Launch) -> None:
    manager = launch_manager("--pool", "2")
    filled(manager, 2)
    taken = manager.create()["sandbox_id"]
    manager.run(taken, "echo mine > kept")
    filled(manager, 2)
    manager.leave()
    assert [path.name for path in manager.kept()] == [taken]
    manager.start()
    filled(manager, 2)
    assert manager.run(taken, "cat kept")["stdout"] == "mine\n"


@pytest.mark.parametrize("made", [0, 1])
def test_one_in_the_making_goes_too(launch_manager: Launch, made: int) -> None:
    manager = launch_manager("--pool", "2")
    wait_until(lambda: len(manager.kept()) > made, "none is being made", CREATE_SECONDS)
    manager.leave()
    manager.expect_nothing_left()
    expect_no_children()


def test_the_pool_of_a_killed_manager_goes_at_the_next_start(launch_manager: Launch) -> None:
    manager = launch_manager("--pool", "2")
    filled(manager, 2)
    old = manager.kept()
    manager.kill()
    manager.start()
    filled(manager, 2)
    assert not set(old) & set(manager.kept())
