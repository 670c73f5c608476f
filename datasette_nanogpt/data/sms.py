"""Whether a table is one of short messages of a phone, as Android keeps and exports them."""

from __future__ import annotations

from collections.abc import Iterator

from ..formatting import shell_command
from .column_names import words_of
from .source import Source

_TYPES = frozenset(map(str, range(7)))  # received, sent, draft, and those on their way or not sent
RECEIVED, SENT = "1", "2"


def sms_columns(source: Source) -> tuple[str, str] | None:
    """The columns with the number of whom a message is from or to, and with 1 for one that was received and
    2 for one that was sent; None in other tables."""
    names = {words_of(name): name for name in source.columns}
    address, kind = names.get(("address",)), names.get(("type",))
    if address is None or kind is None or len(source.body) != 1 or ("date",) not in names:
        return None
    types = {str(row[kind]) for row in source.sample if row[kind] is not None}
    is_sms = {RECEIVED, SENT} <= types <= _TYPES and kind not in source.text_columns
    return (address, kind) if is_sms and address not in source.text_columns else None


def who_wrote_sms(source: Source, columns: tuple[str, str] | None) -> Iterator[str]:
    """A sentence about who wrote the rows of such a table, with the option that says it in the text.
    `columns` are its `sms_columns`."""
    if columns and source.body[0].isidentifier() and columns[1].isidentifier():
        kind, body = columns[1], source.body[0]
        quoted = "" if all(isinstance(row[kind], int) for row in source.sample) else '"'
        template = (
            f"{{% if {kind} == {quoted}{SENT}{quoted} %}}I{{% else %}}You{{% endif %}}: {{{{ {body} }}}}"
        )
        yield (
            f"In {kind}, {RECEIVED} is a message that was received and {SENT} one that was sent, as Android "
            f"has it. To say who wrote each, add: {shell_command(['--template', template])}"
        )
