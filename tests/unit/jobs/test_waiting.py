"""A session that waits for jobs: its end after Ctrl-C, and how often it looks."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from types import SimpleNamespace

from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from prismflow.jobs.patches import waiting


def test_a_waiting_executor_ends_within_a_slice(monkeypatch):
    monkeypatch.setattr(waiting, "SLICE_SECONDS", 0.05)
    executor = SimpleNamespace(next_seconds_between_status_checks=180, wait=True)
    thread = threading.Thread(target=lambda: asyncio.run(waiting.sleep_unless_ended(executor)))
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    executor.wait = False
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_it_waits_no_shorter_than_asked():
    executor = SimpleNamespace(next_seconds_between_status_checks=0.3, wait=True)
    started = time.monotonic()
    asyncio.run(waiting.sleep_unless_ended(executor))
    assert time.monotonic() - started >= 0.3


def test_wake_ups_do_not_multiply():
    looks = threading.Semaphore(0)
    scheduler = SimpleNamespace(_open_jobs=looks)
    before = threading.active_count()
    for _ in range(100):
        waiting.wake_once(scheduler, 0.2)
    assert threading.active_count() <= before + 1
    assert looks.acquire(timeout=30)
    assert not looks.acquire(timeout=0.5)


def test_every_look_can_ask_for_the_next_one():
    looks = threading.Semaphore(0)
    scheduler = SimpleNamespace(_open_jobs=looks)
    for _ in range(200):
        waiting.wake_once(scheduler, 0.0)
        assert looks.acquire(timeout=30)


def test_snakemake_still_has_what_is_replaced(monkeypatch):
    monkeypatch.setattr(RemoteExecutor, "sleep", RemoteExecutor.sleep)  # put back afterwards
    assert inspect.iscoroutinefunction(RemoteExecutor.sleep)
    assert "self.wait = False" in inspect.getsource(RemoteExecutor.shutdown)
    assert "await self.sleep()" in inspect.getsource(RemoteExecutor._wait_for_jobs)
    assert hasattr(RemoteExecutor, "next_seconds_between_status_checks")
    name = "_schedule_reevalutation"
    monkeypatch.setattr(JobScheduler, name, getattr(JobScheduler, name))
    assert list(inspect.signature(getattr(JobScheduler, name)).parameters) == ["self", "delay"]
    assert "self._open_jobs.acquire()" in inspect.getsource(JobScheduler.schedule)
    waiting.improve_waiting()
    assert RemoteExecutor.sleep is waiting.sleep_unless_ended
    assert getattr(JobScheduler, name) is waiting.wake_once


def test_a_start_goes_on_where_an_internal_place_has_moved(monkeypatch, caplog):
    monkeypatch.delattr(JobScheduler, "_schedule_reevalutation")
    with caplog.at_level("INFO", logger="prismflow"):
        waiting.improve_waiting()
    assert not hasattr(JobScheduler, "_schedule_reevalutation")
    assert "_schedule_reevalutation" in caplog.text
    assert RemoteExecutor.sleep is waiting.sleep_unless_ended
