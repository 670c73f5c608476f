"""The rows that the URL of a table's page selects, as an SQL condition that any process can use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from datasette import Request
from datasette.app import Datasette
from datasette.filters import Filters
from datasette.plugins import pm
from datasette.utils import await_me_maybe, escape_fts

from llm_nanogpt.errors import NanogptError


async def rows_to_train_on(
    datasette: Datasette, request: Request, database: str, table: str, columns: Sequence[str]
) -> tuple[str | None, str, list[str]]:
    """The rows that the URL of a table's page selects: an SQL condition or None, the same in words, and why
    some arguments are not applied, a line each.

    Datasette and its plugins interpret each argument, and check the permissions that it needs. Raises
    NanogptError for a filter that Datasette cannot apply.
    """
    pairs, left_out = [], []
    for key in request.args:
        if key.startswith("_") and "__" not in key:
            continue  # an argument of the page, or one for the hook below
        column, _, lookup = key.rpartition("__") if "__" in key else (key, "", "exact")
        if lookup not in Filters._filters_by_key:
            left_out.append(f"{key}: Datasette has no such filter")
        elif column not in columns and column.lower() not in ("rowid", "_rowid_", "oid"):
            left_out.append(f"{key}: there is no column {column}")
        else:
            pairs += [(key, value) for value in request.args.getlist(key)]
    filters = Filters(sorted(pairs))
    try:
        clauses, params = filters.build_where_clauses(table)
    except ValueError as ex:
        raise NanogptError(f"A filter in the address does not work: {ex}") from ex
    clauses = [with_values(clause, params) for clause in clauses]
    words = []
    of = {"datasette": datasette, "request": request, "database": database, "table": table}
    for answer in pm.hook.filters_from_request(**of):
        if found := await await_me_maybe(answer):
            clauses += [with_values(clause, found.params) for clause in found.where_clauses]
            words += found.human_descriptions
            if found.extra_context.get("supports_search") is False:
                searches = [key for key in request.args if key.startswith("_search") and key != "_searchmode"]
                left_out += [f"{key}: {table} has no full-text search" for key in searches]
    words = [filters.human_description_en(words), *request.args.getlist("_where")]
    return " and ".join(clauses) or None, " and ".join(filter(None, words)), left_out


def with_values(clause: str, params: Mapping[str, Any]) -> str:
    """A condition that Datasette made, with the values written into it: a command line has no parameters,
    and no other process has `escape_fts`, the one function that Datasette adds to SQLite."""

    def literal(match: re.Match[str]) -> str:
        name = match["name"] or match["escaped"]
        if name not in params:  # such as a name in quotes: a column may be called anything
            return match[0]
        value = escape_fts(params[name]) if match["escaped"] else params[name]
        return repr(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"

    quoted = r"""(?P<quoted>"(?:[^"]|"")*"|'(?:[^']|'')*'|\[[^\]]*\]|`[^`]*`)"""
    return re.sub(quoted + r"|escape_fts\(:(?P<escaped>\w+)\)|:(?P<name>\w+)", literal, clause)
