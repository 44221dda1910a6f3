"""Answering many texts: tables in and out, and whole tables, folders and prefixes, restartable."""
