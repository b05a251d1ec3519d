"""Ending a session that waits for a cluster's jobs."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from types import SimpleNamespace

from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from prismflow import interrupts


def test_a_waiting_executor_ends_within_a_slice(monkeypatch):
    monkeypatch.setattr(interrupts, "SLICE_SECONDS", 0.05)
    executor = SimpleNamespace(next_seconds_between_status_checks=180, wait=True)
    thread = threading.Thread(target=lambda: asyncio.run(interrupts.sleep_unless_ended(executor)))
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    executor.wait = False
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_it_waits_no_shorter_than_asked():
    executor = SimpleNamespace(next_seconds_between_status_checks=0.3, wait=True)
    started = time.monotonic()
    asyncio.run(interrupts.sleep_unless_ended(executor))
    assert time.monotonic() - started >= 0.3


def test_snakemake_still_has_what_is_replaced(monkeypatch):
    monkeypatch.setattr(RemoteExecutor, "sleep", RemoteExecutor.sleep)  # put back afterwards
    assert inspect.iscoroutinefunction(RemoteExecutor.sleep)
    assert "self.wait = False" in inspect.getsource(RemoteExecutor.shutdown)
    assert "await self.sleep()" in inspect.getsource(RemoteExecutor._wait_for_jobs)
    assert hasattr(RemoteExecutor, "next_seconds_between_status_checks")
    interrupts.end_promptly()
    assert RemoteExecutor.sleep is interrupts.sleep_unless_ended
