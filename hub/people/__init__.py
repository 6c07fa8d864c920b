"""Customer matching (名寄せ): which customers are one person, by rules a person can read, and never without a way back.

`match_people` compares what changed; `accept`, `reject` and `undo` are decisions of persons; `person_of` says who a
customer is; `forget` erases what this room knows of a customer. See docs/people.md and docs/decisions/people-links.md.
"""
