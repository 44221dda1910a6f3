"""Serving Bentos: on this machine, behind one address that stays while versions change."""

from sentiment.deployment.ports import free_port
from sentiment.deployment.release import Release, deploy, status, stop
from sentiment.deployment.state import Status, Wanted

__all__ = ["Release", "Status", "Wanted", "deploy", "free_port", "status", "stop"]
