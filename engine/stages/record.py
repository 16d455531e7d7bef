"""Record: outcomes to the ledger.

In:         outcomes, in any order, perhaps twice.
Out:        the ledger; dead devices retired; retries planned; configuration faults reported.
Guarantee:  the same outcome twice has the effect of once.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.ports import Ledger
from engine.wire.messages import Outcome


def record(outcomes: Sequence[Outcome], ledger: Ledger) -> int:
    """Store a batch in one transaction and return how many outcomes were new."""
    return ledger.record(outcomes)
