"""Selections: what staff ticked, for the pages on which they do; see `engine.sources.selection`."""

from __future__ import annotations

from engine.sources.selection import MOST_FILTERS as MOST_FILTERS
from engine.sources.selection import PARTS as PARTS
from engine.sources.selection import Part as Part
from engine.sources.selection import Selection as Selection
from engine.sources.selection import able_of as able_of
from engine.sources.selection import among as among
from engine.sources.selection import chosen as chosen
from engine.sources.selection import count as count
from engine.sources.selection import shown_ticked as shown_ticked
from engine.sources.selection import usable as usable
from rules.wording.broadcasts import UnitKind as UnitKind
