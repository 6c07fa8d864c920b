"""The general tools beside W1: dlt, Singer (a tap of Meltano's SDK, Meltano's PostgreSQL target), PyAirbyte.

Each runs in an environment of its own, see `environments.py`, on the same three files as the others: load, the same
again in another order, 1 % changed. None of them can group rows of a CSV to orders, so each has the hand-written map
in front (`order_map.py`, as `by hand` has), and is given finished rows: kind, key, content. It merges them by key
into a table of its own, set for speed as its documentation says. After each file these rows must be the ones the others
left; what a tool adds to them for itself does not count.

By the plain name a tool is given contents as JSON text, which it need not look into: the best it can do. `objects` is
what a pipeline commonly is, and the hub's own table has: contents as objects, in a column of jsonb.

What they do not do, and the others do: keep the file as it was received, a change feed, a cross-reference, a ledger of
what each record was, an entry for each refused order. So their figures are what moving the rows costs, and no more.

This package is imported in the environments of the tools too: nothing is imported here.
"""
