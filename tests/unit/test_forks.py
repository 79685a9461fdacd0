"""The counter of forks."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection

import pytest

from s3po.forks import fork_generation, in_forked_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")


def in_child(answer: Connection, generation: int) -> None:
    answer.send((in_forked_child(generation), in_forked_child(fork_generation())))


def test_a_child_made_by_os_fork_is_of_another_generation() -> None:
    generation = fork_generation()
    child = os.fork()
    if not child:
        os._exit(7 if in_forked_child(generation) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert not in_forked_child(generation)
    assert fork_generation() == generation


def test_a_child_made_by_multiprocessing_is_of_another_generation() -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=in_child, args=(there, fork_generation()))
    process.start()
    assert here.recv() == (True, False)
    process.join()


def test_a_grandchild_is_of_a_third_generation() -> None:
    first = fork_generation()
    child = os.fork()
    if not child:
        second = fork_generation()
        grandchild = os.fork()
        if not grandchild:
            os._exit(7 if in_forked_child(first) and in_forked_child(second) else 0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
