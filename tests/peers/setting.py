"""What every client script needs: where the simulator answers, with which keys, and how long to wait."""

import asyncio
import json
import os

WORLD = json.loads(os.environ["FILLGUARD_SIMULATOR"])
PLACES = WORLD["places"]
SECONDS = float(os.environ.get("FILLGUARD_PEER_SECONDS", "25"))


def account(venue, **wanted):
    """The first ordinary account of a venue that has the wanted properties."""
    for row in WORLD["accounts"]:
        if row["venue"] == venue and all(row[name] == value for name, value in wanted.items()):
            return row
    raise SystemExit(f"the scenario has no {venue} account with {wanted}")


def accounts(venue, **wanted):
    """Every account of a venue that has the wanted properties."""
    return [row for row in WORLD["accounts"] if row["venue"] == venue
            and all(row[name] == value for name, value in wanted.items())]


async def within(awaitable, what):
    """Waits a bounded time and says what did not come."""
    try:
        return await asyncio.wait_for(awaitable, SECONDS)
    except asyncio.TimeoutError:
        raise SystemExit(f"{what} did not come within {SECONDS:.0f} s") from None


def check(condition, what):
    """Fails with a sentence."""
    if not condition:
        raise SystemExit(what)
