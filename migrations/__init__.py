"""How a database gets to what sql/ says: an alembic environment and frozen revisions, which are SQL files."""
