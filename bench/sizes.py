"""What a store takes on the disk, by table, indexes included."""

from __future__ import annotations

import psycopg

__all__ = ["sizes"]

_SIZES = """
    SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class AS c
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND pg_total_relation_size(c.oid) > 100000
    ORDER BY 2 DESC
"""


def sizes(url: str) -> dict[str, int]:
    """Bytes of each table that is larger than a few pages, the largest first."""
    with psycopg.connect(url) as connection:
        return dict(connection.execute(_SIZES).fetchall())
