"""The Chat tab: conversations about photos, and what was recognised in them.

Handlers check, call one Assistant method and draw. What they know of a visitor comes from the server's session; what a
click sends (`data-act` and its data) is only ever looked up in that session.
"""
