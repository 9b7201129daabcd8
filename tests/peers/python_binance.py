"""python-binance signs in with its user sockets and receives fills of spot and of futures."""

import asyncio
from importlib.metadata import version

from binance import AsyncClient, BinanceSocketManager
from binance.base_client import BaseClient
from setting import PLACES, account, check, within


async def futures(client):
    """Trades a contract while the private stream is open, and finds the fill in userTrades."""
    manager = BinanceSocketManager(client)
    async with manager.futures_user_socket() as stream:
        async def fill():
            while True:
                event = await stream.recv()
                if event.get("e") == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE":
                    return event["o"]
        placed = await client.futures_create_order(symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.01")
        order = await within(fill(), "a fill of a contract")
    check(order["i"] == placed["orderId"] and float(order["l"]) > 0, f"another order's fill: {order}")
    trades = await client.futures_account_trades(symbol="BTCUSDT")
    check(order["t"] in [row["id"] for row in trades], "the pushed fill is not in userTrades")
    held = [row for row in await client.futures_position_information() if row["symbol"] == "BTCUSDT"]
    check(held and float(held[0]["positionAmt"]) < 0, f"no short position: {held}")
    margin = await client.get_margin_account()
    check(any(float(row["free"]) > 0 for row in margin["userAssets"]), "nothing in the margin wallet")


async def main():
    print("python-binance", version("python-binance"))
    BaseClient.API_URL = PLACES["binance"]["rest"] + "/api"
    BaseClient.MARGIN_API_URL = PLACES["binance"]["rest"] + "/sapi"
    BaseClient.FUTURES_URL = PLACES["binance"]["futures_rest"] + "/fapi"
    BinanceSocketManager.FSTREAM_URL = PLACES["binance"]["futures_stream"] + "/"
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
        await futures(client)
    finally:
        await client.close_connection()
    print("fine: python-binance")


asyncio.run(main())
