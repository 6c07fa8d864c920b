"""The road for "now": jobs on PostgreSQL that carry a webhook on at once, into the hub and out to every channel."""
