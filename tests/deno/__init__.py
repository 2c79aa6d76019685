"""Deno for the edge functions: `python -m tests.deno install` brings it, `… lint` judges the functions."""

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FUNCTIONS = ROOT / "supabase" / "functions"
FOLDER = ROOT / ".venv" / "deno"
CACHE = FOLDER / "cache"


def deno() -> Path | None:
    """The version that Supabase's runtime is made of; None where it is not installed."""
    return next(FOLDER.glob("node_modules/@deno/*/deno"), None)


def environment() -> dict[str, str]:
    """Ours, and where it finds its packages: what is in the cache is not asked for again."""
    theirs = {"DENO_DIR": str(CACHE), "DENO_NO_PACKAGE_JSON": "1", "NO_COLOR": "1"}
    return {"DENO_TLS_CA_STORE": "mozilla,system", **os.environ, **theirs}
