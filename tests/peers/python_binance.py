"""python-binance signs in with its user socket and receives an executionReport."""

import asyncio
from importlib.metadata import version

from binance import AsyncClient, BinanceSocketManager
from binance.base_client import BaseClient
from setting import PLACES, account, check, within


async def main():
    print("python-binance", version("python-binance"))
    BaseClient.API_URL = PLACES["binance"]["rest"] + "/api"
    BaseClient.MARGIN_API_URL = PLACES["binance"]["rest"] + "/sapi"
    BaseClient.WS_API_URL = PLACES["binance"]["ws_api"]
    who = account("binance", role="dca", ed25519=False)
    client = AsyncClient(who["key"], who["secret"])
    client.API_URL = BaseClient.API_URL
    try:
        status = await client.get_account()
        check(status["canTrade"], "the account may not trade")
        rights = await client.get_account_api_permissions()
        check(rights["enableReading"] and not rights["enableWithdrawals"], f"odd rights: {rights}")
        manager = BinanceSocketManager(client)
        async def fill():
            async with manager.user_socket() as stream:
                while True:
                    event = await stream.recv()
                    event = event.get("event", event)
                    if event.get("e") == "executionReport" and event.get("x") == "TRADE":
                        return event
        event = await within(fill(), "a fill")
        check(float(event["l"]) > 0 and float(event["L"]) > 0, f"an empty fill: {event}")
        trades = await client.get_my_trades(symbol=event["s"])
        check(event["t"] in [row["id"] for row in trades], "the pushed fill is not in myTrades")
    finally:
        await client.close_connection()
    print("fine: python-binance")


asyncio.run(main())
