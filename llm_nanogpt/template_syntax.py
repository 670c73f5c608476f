"""The parts of Jinja that a template may use: those that cannot take long or fill the memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from .errors import InvalidOptions, Problem

if TYPE_CHECKING:
    from jinja2 import nodes

ROW = "row"  # the variable with all columns, for names that Jinja cannot read: row["my column"]
STATEMENTS = ("Template", "Output", "TemplateData", "If", "For")
EXPRESSIONS = (
    *("Name", "Const", "List", "Tuple", "Getattr", "Getitem", "Slice", "Filter", "Test", "Call", "Keyword"),
    *("Compare", "Operand", "And", "Or", "Not", "CondExpr", "Concat"),
    *("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Neg", "Pos"),
)
# None of these makes much more text than it is given, or takes long: template.py has its own `replace`,
# `join` and `round` for that reason.
FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "first", "float", "int", "join", "last", "length"),
    *("lower", "replace", "round", "string", "title", "trim", "truncate", "upper"),
)
METHODS = (
    *("capitalize", "endswith", "lower", "lstrip", "removeprefix", "removesuffix", "replace", "rsplit"),
    *("rstrip", "split", "splitlines", "startswith", "strip", "title", "upper"),
)
TESTS = ("divisibleby", "even", "none", "number", "odd", "string")
LOOP = ("first", "index", "index0", "last", "length")  # of the variable `loop`
JINJAS_OWN = ("self", "caller", "varargs", "kwargs", "super")  # names that Jinja reserves
# Filters that no template can name: `rewrite` inserts them where a template loops, slices and joins.
COUNTED, SLICEABLE, JOINED = "0 counted", "0 sliceable", "0 joined"


def refused(reason: str) -> InvalidOptions:
    return InvalidOptions([Problem("template", "template", f"The template does not work: {reason}.")])


def check(tree: nodes.Template) -> None:
    """Raises InvalidOptions for the first part of a template that is not allowed."""
    from jinja2 import nodes

    for node in [tree, *tree.find_all(nodes.Node)]:
        if reason := _why_not(node):
            raise refused(f"line {getattr(node, 'lineno', 1)}: {reason}")


def _why_not(node: nodes.Node) -> str:
    """Why a node is not allowed in a template, "" if it is."""
    from jinja2 import nodes

    kind = type(node).__name__
    match node:
        case nodes.Filter():
            return _choose("filter", node.name, FILTERS)
        case nodes.Test():
            return _choose("test", node.name, TESTS)
        case nodes.Call(node=nodes.Getattr() as callee):
            return _choose("method", callee.attr, METHODS)
        case nodes.Call():
            name = getattr(node.node, "name", "")
            return f"there is no function {name!r}: use filters, as in {{{{ title|upper }}}}"
        case nodes.For(recursive=True):
            return "a loop cannot be recursive"
    if kind in STATEMENTS or kind in EXPRESSIONS:
        return ""
    parts = "text, {{ columns }}, {% if %} and {% for %}"
    return f"{kind.lower()} cannot be used: a template has {parts}"


def _choose(what: str, name: str, names: Sequence[str]) -> str:
    return "" if name in names else f"there is no {what} {name!r}: choose among {', '.join(names)}"


def rewrite(tree: nodes.Template) -> nodes.Template:
    """The tree, changed so that the steps of loops are counted, numbers can be sliced, joined text is
    limited, and `row.title` is `row["title"]`. Raises InvalidOptions for other attributes, and for invalid
    indexes."""
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    def ours(name: str, value: nodes.Expr) -> nodes.Filter:
        return nodes.Filter(value, name, [], [], None, None, lineno=value.lineno)

    class Transformer(NodeTransformer):
        def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802  # as Jinja calls it, and those below
            self.generic_visit(node)
            assert isinstance(node.iter, nodes.Expr)  # noqa: S101  # as it is in every loop
            node.iter = ours(COUNTED, node.iter)
            return node

        def visit_Call(self, node: nodes.Call) -> nodes.Expr:  # noqa: N802
            callee = node.node
            assert isinstance(callee, nodes.Getattr)  # noqa: S101  # `check` has seen to it
            callee.node = self.visit(callee.node)
            node.args = [self.visit(argument) for argument in node.args]
            node.kwargs = [self.visit(argument) for argument in node.kwargs]
            arguments = node.args, node.kwargs, None, None
            ours_too = nodes.Filter(callee.node, "replace", *arguments, lineno=node.lineno)
            return ours_too if callee.attr == "replace" else node

        def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802
            self.generic_visit(node)
            return ours(JOINED, nodes.List(node.nodes, lineno=node.lineno))

        def visit_Getattr(self, node: nodes.Getattr) -> nodes.Expr:  # noqa: N802
            if _is_row(node.node):
                return nodes.Getitem(node.node, nodes.Const(node.attr), "load", lineno=node.lineno)
            if isinstance(node.node, nodes.Name) and node.node.name == "loop" and node.attr in LOOP:
                return node
            raise refused(f"line {node.lineno}: a value has no {node.attr!r}")

        def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802
            if _is_row(node.node):
                if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
                    return node
                raise refused(f'line {node.lineno}: name the column, as in row["title"]')
            if not _is_index(node.arg):
                raise refused(f"line {node.lineno}: a value has places and slices, as in created[:4]")
            self.generic_visit(node)
            if isinstance(node.arg, nodes.Slice):
                node.node = ours(SLICEABLE, node.node)
            return node

        def visit_Name(self, node: nodes.Name) -> nodes.Name:  # noqa: N802
            if _is_row(node):
                raise refused(f'line {node.lineno}: row is all columns, name one, as in row["title"]')
            if node.name in JINJAS_OWN:
                raise refused(f'line {node.lineno}: a column of that name is row["{node.name}"]')
            return node

    rewritten = Transformer().visit(tree)
    assert isinstance(rewritten, nodes.Template)  # noqa: S101  # it has no visitor that replaces the root
    return rewritten


def _is_index(node: nodes.Expr) -> bool:
    from jinja2 import nodes

    node = node.node if isinstance(node, nodes.Neg) else node
    return isinstance(node, nodes.Slice) or (isinstance(node, nodes.Const) and isinstance(node.value, int))


def _is_row(node: nodes.Node) -> bool:
    from jinja2 import nodes

    return isinstance(node, nodes.Name) and node.name == ROW


def columns_in(tree: nodes.Node, names: Iterable[str]) -> Iterator[str]:
    """The columns that a part of a rewritten template uses, by name (one of `names`) or as `row["name"]`."""
    from jinja2 import nodes

    known = set(names)
    for node in [tree, *tree.find_all((nodes.Name, nodes.Getitem))]:
        if isinstance(node, nodes.Name) and node.name in known:
            yield node.name
        elif isinstance(node, nodes.Getitem) and _is_row(node.node) and isinstance(node.arg, nodes.Const):
            yield node.arg.value


def is_plain(node: nodes.Expr) -> bool:
    """Whether an expression is just a column."""
    from jinja2 import nodes

    return isinstance(node, nodes.Name) or (isinstance(node, nodes.Getitem) and _is_row(node.node))
