"""The API for machines: entities, the change feed, reservations. `hub.api.app.api(hub)` makes it; see docs/api.md.

app        the application: routes put together, what stands before them
security   who calls and what they may: `requires("subscribers")`
scopes     the words of a key's permissions
problems   what a caller is told when something is wrong
"""
