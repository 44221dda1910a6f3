"""Watching a new version beside the one that it shall replace: evidence, verdict, look."""

from sentiment.deployment.canary.verdict import CanaryVerdict, Reason
from sentiment.deployment.canary.watch import look, record

__all__ = ["CanaryVerdict", "Reason", "look", "record"]
