"""The tables and views of a database that people made, without those of SQLite's extensions and of tools."""

from __future__ import annotations

import re
import sqlite3

from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.suggestions import did_you_mean

from .column_names import words_of
from .sqlite import find_name, list_names, quote, schema_of

# Tables that SpatiaLite makes.
_SPATIAL = """
ElementaryGeometries SpatialIndex geometry_columns geometry_columns_auth geometry_columns_field_infos
geometry_columns_statistics geometry_columns_time spatial_ref_sys spatial_ref_sys_all spatial_ref_sys_aux
spatialite_history sql_statements_log vector_layers vector_layers_auth vector_layers_field_infos
vector_layers_statistics views_geometry_columns views_geometry_columns_auth
views_geometry_columns_field_infos views_geometry_columns_statistics virts_geometry_columns
virts_geometry_columns_auth virts_geometry_columns_field_infos virts_geometry_columns_statistics
data_licenses KNN KNN2 raster_coverages raster_coverages_keyword raster_coverages_ref_sys
raster_coverages_srid vector_coverages vector_coverages_keyword vector_coverages_ref_sys
vector_coverages_srid wms_getcapabilities wms_getmap wms_ref_sys wms_settings topologies networks
stored_procedures stored_variables data_licenses SE_external_graphics SE_fonts
"""
# Tables that other tools make: sqlite-utils, sqlite-migrate, llm, Datasette, Django, Rails, Alembic.
_OF_TOOLS = """
_counts _analyze_tables_ _sqlite_migrations _llm_migrations _sqlite_utils_migrations django_migrations
django_content_type django_session schema_migrations ar_internal_metadata alembic_version
"""
_HIDDEN = frozenset(name.lower() for name in (_SPATIAL + _OF_TOOLS).split())
# Words of the names of tables that have the text of another once more: earlier, shortened or for a search.
_COPIES = """
revision revisions history version versions backup backups bak old tmp temp cache normalized archive archived
deleted trash changes
"""
_COPY_WORDS = frozenset(_COPIES.split())
_OF_THEIR_OWN = [("changes",), ("history",), ("archive",)]  # beside nothing that they would be of
_CONTENT = re.compile(r"\bcontent\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|\[([^]]*)\]|(\w+))", re.IGNORECASE)
_INDEX_OF = re.compile(r"content\s*=\s*(?:'[^']+'|\"[^\"]+\"|\[[^]]+\]|\w)", re.IGNORECASE)


def find_table(db: sqlite3.Connection, database: str, table: str) -> str:
    """The name of a table or view as the database spells it. Raises InvalidOptions if there is none."""
    schema = schema_of(db)
    names = schema.table_names() + schema.view_names()
    if (name := find_name(table, names)) is not None:
        return name
    message = f"{database} has no table {table!r}. It has: {list_names(user_tables(db, database))}."
    message += did_you_mean([table], names)
    raise InvalidOptions([Problem("table", "missing", message)])


def is_copy(table: str) -> bool:
    """Whether a table is named as a copy of another one: it is not what somebody means by default."""
    words = words_of(table)
    return not _COPY_WORDS.isdisjoint(words) and words not in _OF_THEIR_OWN


def is_of_tools(table: str) -> bool:
    """Whether a table is one that a tool made for itself."""
    return table.lower() in _HIDDEN or table.startswith(("_datasette", "datasette_", "_internal"))


def _is_readable(db: sqlite3.Connection, table: str) -> bool:
    """Whether the module and the tokenizer of a virtual table are here."""
    try:
        db.execute(f"select 1 from {quote(table)} limit 1")
    except sqlite3.Error:
        return False
    return True


def why_without_texts(db: sqlite3.Connection, table: str) -> str:
    """Why a full-text index has no texts to read though it finds rows, "" of other tables: it keeps none, or
    those of another table, which is empty or gone."""
    found = db.execute("select sql from sqlite_master where name = ? and sql like 'create virtual%'", [table])
    made = found.fetchone()
    option = _CONTENT.search(made[0]) if made and " fts" in made[0].lower() else None
    if not option:
        return ""
    name = next((name for name in option.groups() if name is not None), "")
    if not name:
        return (
            "keeps which words are in which row, and no texts (content=''). Train on the table or the files "
            "that were indexed."
        )
    if find_name(name, schema_of(db).table_names() + schema_of(db).view_names()) is None:
        return f"has its texts from {name}, which is not in this database. Train on the database that has it."
    if not db.execute(f"select 1 from {quote(name)} limit 1").fetchone():
        return f"has its texts from {name}, which is empty. Fill it first."
    return ""


def readable_tables(db: sqlite3.Connection) -> list[str]:
    """All tables but virtual ones whose module or tokenizer is missing."""
    made = dict(db.execute("select name, sql from sqlite_master where sql like 'create virtual%'"))
    return [name for name in schema_of(db).table_names() if name not in made or _is_readable(db, name)]


def user_tables(db: sqlite3.Connection, database: str) -> list[str]:
    """The tables and views that somebody made: not those of SQLite, of a full-text or spatial index, or of
    the tools that made the database, unless there are no others.

    Raises InvalidOptions if there are none at all.
    """
    master = "select name, ifnull(sql, '') from sqlite_master where type in ('table', 'view')"
    made = dict(db.execute(f"{master} and name not like 'sqlite\\_%' escape '\\' order by type, rowid"))
    virtual = {name for name, sql in made.items() if re.match(r"\s*create\s+virtual", sql, re.IGNORECASE)}
    shadows = tuple(f"{name}_" for name in virtual)
    unread = {name for name in virtual if f"{name}_content" in made and not _is_readable(db, name)}
    spatial = "idx_" if any(name.lower() == "geometry_columns" for name in made) else "\0"
    indexes = {name for name in virtual if _INDEX_OF.search(made[name]) or "rtree" in made[name].lower()}
    names = [
        name
        for name in made
        if (not name.startswith(shadows) or name.removesuffix("_content") in unread)
        and name not in unread
        and not is_of_tools(name)
        and not name.startswith(spatial)
        and name not in indexes
    ]
    if not made:
        message = f"{database} has no tables: fill it with `sqlite-utils insert` first."
        raise InvalidOptions([Problem("database", "empty", message)])
    return names or list(made)
