"""Somebody's own scan: how it is read, whatever its format, and what is written of it."""
