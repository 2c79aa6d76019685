"""Workflows inside Postgres. The engine is SQL; here are the doors to it, the worker and the command line."""
