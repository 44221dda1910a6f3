"""Keeps a sentiment model right: ingest, drift, retrain, gate, deploy, watch, roll back."""
