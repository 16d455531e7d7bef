"""Subscribers: how many people hear now of what a school tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, distinct, exists, func, or_, select

from engine.store.tables import accounts, devices, people, rights, sessions, students, subscriptions
from rules.audience import Audience
from rules.change import Kind, SchoolId

Counted = Mapping[tuple[Kind, Audience], int]


def count(connection: Connection, school: SchoolId, now: datetime, today: date) -> Counted:
    """How many people take pushes of each kind about students of a school, by their audience.

    They are signed in to stay, on a device that lives, switched the kind on, and may hear of it.
    """
    return {
        (Kind(kind), audience): int(number)
        for audience, query in _queries(school, now, today)
        for kind, number in connection.execute(query)
    }


def _queries(
    school: SchoolId, now: datetime, today: date
) -> Iterator[tuple[Audience, Select[Any]]]:
    counted = (
        select(subscriptions.c.kind, func.count(distinct(subscriptions.c.person_id)))
        .select_from(students)
        .join(subscriptions, subscriptions.c.student_id == students.c.identity)
        .where(
            students.c.school_id == school,
            students.c.enrolled,
            subscriptions.c.enabled,
            _takes_pushes(now),
        )
        .group_by(subscriptions.c.kind)
    )
    who = people.c.identity == subscriptions.c.person_id
    yield Audience.STUDENT, counted.join(people, who & (people.c.id == students.c.person_id))
    yield (
        Audience.GUARDIAN,
        (
            counted.join(rights, rights.c.student_id == students.c.id)
            .join(people, who & (people.c.id == rights.c.person_id))
            .where(
                rights.c.portal,
                ~rights.c.restricted,
                or_(rights.c.starts.is_(None), rights.c.starts <= today),
                or_(rights.c.ends.is_(None), rights.c.ends >= today),
                ~rights.c.withheld.contains(subscriptions.c.kind),
            )
        ),
    )


def _takes_pushes(now: datetime) -> Any:
    return exists().where(
        sessions.c.person_id == subscriptions.c.person_id,
        accounts.c.person_id == sessions.c.person_id,
        accounts.c.disabled_at.is_(None),
        sessions.c.stay_logged_in,
        sessions.c.ended_at.is_(None),
        or_(sessions.c.expires_at.is_(None), sessions.c.expires_at > now),
        devices.c.id == sessions.c.device_id,
        devices.c.retired_at.is_(None),
    )
