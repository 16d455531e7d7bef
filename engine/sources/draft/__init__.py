"""Drafting: from a database that nobody here knows to the beginnings of a source definition.

`looking` asks the database for its structure; everything else here is pure.
"""
