"""The lease: one process at a time, and nobody for long after a crash."""

from collections.abc import Iterator

import pytest

from engine.database import Database
from engine.errors import Unavailable
from engine.store.lease import Lease
from tests.district import District
from tests.servers import wait_until

KEY = 4711


@pytest.fixture
def other(postgres_district: District) -> Iterator[Database]:
    """The same database, as another process sees it."""
    database = Database(postgres_district.url)
    yield database
    database.close()


def test_who_comes_first_has_it(postgres_district: District, other: Database) -> None:
    first, second = Lease(postgres_district.database, KEY), Lease(other, KEY)

    assert [first.acquire(), second.acquire()] == [True, False]
    first.release()
    second.release()


def test_who_has_it_keeps_it(postgres_district: District, other: Database) -> None:
    first, second = Lease(postgres_district.database, KEY), Lease(other, KEY)

    assert [first.acquire(), first.acquire(), second.acquire()] == [True, True, False]
    first.release()
    second.release()


def test_who_waits_has_it_once_it_is_released(postgres_district: District, other: Database) -> None:
    first, second = Lease(postgres_district.database, KEY), Lease(other, KEY)
    first.acquire()
    second.acquire()

    first.release()

    wait_until(second.acquire, within=30, what="PostgreSQL notices the end of a connection")
    second.release()


def test_leases_of_two_kinds_do_not_meet(postgres_district: District, other: Database) -> None:
    first, second = Lease(postgres_district.database, KEY), Lease(other, KEY + 1)

    assert [first.acquire(), second.acquire()] == [True, True]
    first.release()
    second.release()


def cut_off(by: Database) -> None:
    """End the connection that has the lease, as a restart of the server does."""
    holder = f"FROM pg_locks WHERE locktype = 'advisory' AND objid = {KEY}"
    with by.read() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) {holder}")
        wait_until(
            lambda: not connection.exec_driver_sql(f"SELECT count(*) {holder}").scalar_one(),
            within=30,
            what="PostgreSQL ends the connection",
        )


def test_who_lost_the_connection_learns_it_and_may_take_it_again(
    postgres_district: District, other: Database
) -> None:
    lease = Lease(postgres_district.database, KEY)
    lease.acquire()
    cut_off(other)

    with pytest.raises(Unavailable):
        lease.acquire()

    assert lease.acquire()
    lease.release()


def test_who_lost_the_connection_does_not_have_it_when_another_was_quicker(
    postgres_district: District, other: Database
) -> None:
    first, second = Lease(postgres_district.database, KEY), Lease(other, KEY)
    first.acquire()
    cut_off(other)
    wait_until(second.acquire, within=30, what="PostgreSQL notices the end of a connection")

    with pytest.raises(Unavailable):
        first.acquire()

    assert not first.acquire()
    second.release()
    first.release()


def test_a_database_that_does_not_answer_is_unavailable() -> None:
    nowhere = Database("postgresql+psycopg://bell@127.0.0.1:9/bell")

    with pytest.raises(Unavailable):
        Lease(nowhere, KEY).acquire()


def test_on_sqlite_the_one_process_always_has_it(sqlite_district: District) -> None:
    lease = Lease(sqlite_district.database, KEY)

    assert lease.acquire()
    lease.release()


def test_what_was_never_acquired_can_be_released(postgres_district: District) -> None:
    lease = Lease(postgres_district.database, KEY)

    lease.release()
    lease.release()
