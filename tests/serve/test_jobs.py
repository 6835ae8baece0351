"""One computation at a time, in order; others wait, and may leave."""

import asyncio
import threading
import time

import pytest

from mktn.errors import UserError
from mktn.serve.jobs import Cancelled, Jobs, Ticket


def test_jobs_run_one_at_a_time_in_the_order_they_came() -> None:
    running, most, order = 0, 0, []

    def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        order.append(number)
        running -= 1
        return number

    async def all_of_them() -> list[int]:
        jobs = Jobs()
        tickets = [Ticket() for _ in range(4)]
        asked = [
            asyncio.create_task(jobs.run(ticket, lambda n=number: work(n)))
            for number, ticket in enumerate(tickets)
        ]
        await asyncio.sleep(0.005)
        assert [jobs.before(ticket) for ticket in tickets] == [0, 1, 2, 3]
        return await asyncio.gather(*asked)

    assert asyncio.run(all_of_them()) == [0, 1, 2, 3]
    assert order == [0, 1, 2, 3]
    assert most == 1


def test_the_loop_goes_on_while_a_job_runs() -> None:
    async def ticks() -> int:
        jobs, count = Jobs(), 0
        asked = asyncio.create_task(jobs.run(Ticket(), lambda: time.sleep(0.2)))
        while not asked.done():
            await asyncio.sleep(0.01)
            count += 1
        return count

    assert asyncio.run(ticks()) > 5


def test_a_job_that_runs_and_one_that_waits_can_be_cancelled() -> None:
    async def cancelled() -> None:
        jobs, first, second, begun = Jobs(), Ticket(), Ticket(), threading.Event()

        def work() -> None:
            for step in range(10**6):
                begun.set()
                first.done(step / 10**6)
                time.sleep(0.001)

        ran = asyncio.create_task(jobs.run(first, work))
        waited = asyncio.create_task(jobs.run(second, lambda: pytest.fail("it ran")))
        await asyncio.to_thread(begun.wait)
        second.cancel()
        first.cancel()
        for task in (ran, waited):
            with pytest.raises(Cancelled):
                await task
        assert await jobs.run(Ticket(), lambda: "goes on") == "goes on"

    asyncio.run(cancelled())


def test_a_job_that_fails_leaves_the_line() -> None:
    async def failed() -> None:
        jobs = Jobs(most=1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await jobs.run(Ticket(), lambda: 1 // 0)

    asyncio.run(failed())


def test_a_full_line_is_said() -> None:
    async def full() -> None:
        jobs, go = Jobs(most=2), threading.Event()
        asked = [asyncio.create_task(jobs.run(Ticket(), go.wait)) for _ in range(2)]
        await asyncio.sleep(0.01)
        with pytest.raises(UserError, match="2 questions are waiting already"):
            await jobs.run(Ticket(), lambda: None)
        go.set()
        await asyncio.gather(*asked)

    asyncio.run(full())


def test_closing_ends_the_job_that_runs() -> None:
    async def closed() -> None:
        jobs, ticket = Jobs(), Ticket()

        def work() -> None:
            while True:
                ticket.done(0.5)
                time.sleep(0.001)

        ran = asyncio.create_task(jobs.run(ticket, work))
        await asyncio.sleep(0.02)
        jobs.close()
        with pytest.raises(Cancelled):
            await ran
        with pytest.raises(Cancelled):
            await jobs.run(Ticket(), lambda: None)

    asyncio.run(closed())
