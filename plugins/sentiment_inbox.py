"""Waiting for files in the triggerer: one coroutine for the whole platform, and no worker slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

if TYPE_CHECKING:
    from sentiment.reviews.watch import Inbox

ANNOUNCED = "announced"
LONGEST_PAUSE_SECONDS = 300.0
NAMES = 20  # of an event; the run takes in all that lies there


class InboxTrigger(BaseEventTrigger):
    """Fires when deliveries have landed in the inbox and are complete; for each of them once.

    What it has announced is kept with the asset, so that a file that stays, because it cannot be read, does not
    start runs again and again, and not after a restart either.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make it; where the inbox is, the triggerer's own settings say."""
        return f"{InboxTrigger.__module__}.InboxTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, announce, pause; a storage that fails is looked at again, less and less often."""
        announced = await self._remembered()
        inbox, pause = None, 1.0
        while True:
            try:
                inbox = inbox or await asyncio.to_thread(_open)
                found = await asyncio.to_thread(inbox.look, announced)
            except Exception as error:  # nothing may end the watch
                self.log.warning("inbox: not seen, again in %.0f s: %s", pause, error)
                inbox = None  # with what may be wrong about it: credentials, settings
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                continue
            pause = 1.0
            if found.landed:
                self.log.info("inbox: %d landed: %s", len(found.landed), ", ".join(found.landed[:NAMES]))
                yield TriggerEvent({"deliveries": len(found.landed), "names": list(found.landed[:NAMES])})
            await asyncio.sleep(inbox.seconds)
            if found.announced != announced:  # by now the event is stored: should this end before, it is told again
                announced = found.announced
                await self._remember(announced)

    async def _remembered(self) -> dict[str, str]:
        if self.asset_state_store is None:
            return {}
        try:
            kept = await self.asset_state_store.aget(ANNOUNCED)
        except Exception as error:  # worth one run too many, not the watch
            self.log.warning("inbox: what was announced before is not known: %s", error)
            return {}
        return dict(kept) if isinstance(kept, dict) else {}

    async def _remember(self, announced: dict[str, str]) -> None:
        if self.asset_state_store is None:
            return
        try:
            await self.asset_state_store.aset(ANNOUNCED, dict(announced))
        except Exception as error:
            self.log.warning("inbox: what was announced is kept until a restart only: %s", error)


def _open() -> Inbox:
    from sentiment_aws import connected_settings

    from sentiment.reviews.watch import Inbox

    settings, session = connected_settings()
    return Inbox(settings, session=session)
