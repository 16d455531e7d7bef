"""What a template may say: enough for a text, and nothing that costs more than the text is long.

A template is read once and filled for each push. So what could grow beyond it is refused when it
is read: loops, names of its own, repetition, padding. What is left costs as much as the template
and its variables are long; where only the values tell (what is replaced by what), the environment
looks before it does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from jinja2 import TemplateError, filters, nodes, tests
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rules.wording.text import LONGEST_TEXT

LONGEST_HALF: Final = 2_000
"""Characters of the source of a title, or of a body."""

_LARGEST_NUMBER: Final = 1_000_000_000
_MOST_DIGITS: Final = 10

FILTERS: Final = (
    *("abs", "capitalize", "default", "first", "float", "int", "last", "length", "lower"),
    *("replace", "round", "string", "title", "trim", "truncate", "upper"),
)
METHODS: Final = (
    *("capitalize", "count", "endswith", "find", "get", "isalpha", "isdigit", "lower", "lstrip"),
    *("partition", "removeprefix", "removesuffix", "replace", "rpartition", "rsplit", "rstrip"),
    *("split", "startswith", "strip", "title", "upper"),
)
TESTS: Final = (
    *("defined", "undefined", "none", "string", "number", "in", "odd", "even", "divisibleby"),
    *("eq", "ne", "lt", "le", "gt", "ge"),
)
_SHORT_NAMES: Final = {"count": "length", "d": "default"}

_NODES: Final = frozenset(
    {
        *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If),
        *(nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword),
        *(nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
        *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
        *(nodes.Neg, nodes.Pos, nodes.Concat),
        *(nodes.Filter, nodes.Test, nodes.Getitem, nodes.Slice, nodes.Getattr, nodes.Call),
    }
)
_WRITTEN: Final[dict[type[nodes.Node], str]] = {
    nodes.Assign: "{% set %}",
    nodes.AssignBlock: "{% set %}",
    nodes.CallBlock: "{% call %}",
    nodes.FilterBlock: "{% filter %}",
    nodes.FromImport: "{% import %}",
    nodes.Pow: "**",
}


class TooLong(ValueError):
    """What a template makes is longer than any text may be; it says so without the text."""


class Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox with a few filters, tests and methods, none of which can grow a text."""

    intercepted_binops = frozenset({"*", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals.clear()
        known = {name: filters.FILTERS[name] for name in FILTERS}
        known |= {"replace": _replaced, "round": _rounded}
        known |= {short: known[name] for short, name in _SHORT_NAMES.items()}
        self.filters = known
        self.tests = {name: tests.TESTS[name] for name in TESTS}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiply and divide numbers alone: of a text they would make a longer one."""
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise TypeError(f"{operator} is for numbers")
        return super().call_binop(context, operator, left, right)

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a method, after a look at how long a text it would make."""
        if getattr(__obj, "__name__", "") == "replace":
            return _replaced(__obj.__self__, *args, **kwargs)
        return super().call(__context, __obj, *args, **kwargs)


def refusals(environment: Environment, half: str) -> Iterator[str]:
    """What a title or a body says that no text may, in words; raises jinja2.TemplateError."""
    if len(half) > LONGEST_HALF:
        yield f"a title or a body has at most {LONGEST_HALF:,} characters"
        return
    try:
        yield from dict.fromkeys(_refused(environment.parse(half)))
    except RecursionError:
        raise TemplateError("it is nested too deeply") from None


def _refused(node: nodes.Node) -> Iterator[str]:
    if type(node) not in _NODES:
        name = type(node).__name__.lower()
        yield f"{_WRITTEN.get(type(node), f'{{% {name} %}}')} is not for texts"
    elif isinstance(node, nodes.Filter) and node.name not in {*FILTERS, *_SHORT_NAMES}:
        yield f"the filter {node.name} is not for texts"
    elif isinstance(node, nodes.Test) and node.name not in TESTS:
        yield f"the test {node.name} is not for texts"
    elif isinstance(node, nodes.Getattr) and node.attr not in METHODS:
        yield f"{node.attr} is no part of a text"
    elif isinstance(node, nodes.Call) and not isinstance(node.node, nodes.Getattr):
        yield f"unknown variable {_called(node)}"
    elif isinstance(node, nodes.Const) and _is_large(node.value):
        yield f"the number {node.value:.0e} is too large"
    for child in node.iter_child_nodes():
        yield from _refused(child)


def _called(node: nodes.Call) -> str:
    return node.node.name if isinstance(node.node, nodes.Name) else "before ("


def _is_large(value: object) -> bool:
    return isinstance(value, int | float) and not abs(value) <= _LARGEST_NUMBER


def _replaced(value: Any, old: Any, new: Any, count: int = -1) -> str:
    """Replace *old* by *new*, unless what comes out is longer than any text may be."""
    text, searched, put = str(value), str(old), str(new)
    found = text.count(searched)
    times = found if count < 0 else min(count, found)
    if len(text) + times * len(put) > LONGEST_TEXT:
        raise TooLong(f"replace makes more than {LONGEST_TEXT:,} characters")
    return text.replace(searched, put, count)


def _rounded(value: Any, precision: int = 0, method: str = "common") -> Any:
    """Round a number to as many digits as people read."""
    if abs(precision) > _MOST_DIGITS:
        raise TooLong(f"round is to at most {_MOST_DIGITS} digits")
    return filters.do_round(value, precision, method)  # type: ignore[arg-type]
