"""ccxt (pro) logs in at all three venues, reads fills over REST and receives private events."""

import asyncio
import re

import ccxt
import ccxt.pro
from setting import PLACES, account, check, within


def moved(tree, base):
    """The same addresses with another scheme and host."""
    if isinstance(tree, dict):
        return {name: moved(value, base) for name, value in tree.items()}
    return re.sub(r"^\w+://[^/]+", base, tree) if isinstance(tree, str) else tree


async def binance(ed25519):
    who = account("binance", role="dca", ed25519=ed25519)
    client = ccxt.pro.binance({"apiKey": who["key"], "secret": who["secret"]})
    client.has["fetchCurrencies"] = False
    client.options.update({"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False})
    client.urls["api"] = moved(client.urls["api"], PLACES["binance"]["rest"])
    client.urls["api"]["ws"]["ws-api"]["spot"] = PLACES["binance"]["ws_api"]
    client.urls["api"]["ws"]["spot"] = PLACES["binance"]["stream"] + "/ws"
    try:
        await client.load_markets()
        balance = await client.fetch_balance()
        check(balance["total"]["BTC"] > 0, "binance: no BTC in the balance")
        past = await client.fetch_my_trades("BTC/USDT") + await client.fetch_my_trades("ETH/USDT")
        past += await client.fetch_my_trades("SOL/USDT")
        check(len(past) > 10, f"binance: only {len(past)} earlier fills")
        candles = await client.fetch_ohlcv("BTC/USDT", "1m", limit=1000)
        check(len(candles) == 1000, f"binance: {len(candles)} candles")
        trades = await within(client.watch_my_trades(), "binance: a fill")
        check(trades[0]["amount"] > 0 and trades[0]["price"] > 0, "binance: an empty fill")
        check(trades[0]["fee"]["cost"] > 0, "binance: a fill without fee")
        seen = [row["id"] for row in await client.fetch_my_trades(trades[0]["symbol"])]
        check(trades[0]["id"] in seen, "binance: the pushed fill is not in myTrades")
        public = await within(client.watch_trades("BTC/USDT"), "binance: a public trade")
        check(public[0]["price"] > 0, "binance: an empty public trade")
    finally:
        await client.close()


async def binance_futures():
    who = account("binance", role="dca", ed25519=False)
    client = ccxt.pro.binanceusdm({"apiKey": who["key"], "secret": who["secret"]})
    client.has["fetchCurrencies"] = False
    client.options.update({"fetchMarkets": {"types": ["linear"]}, "fetchMargins": False})
    client.urls["api"] = moved(client.urls["api"], PLACES["binance"]["futures_rest"])
    # The client itself puts /private and /market in front of /ws.
    client.urls["api"]["ws"]["linear"] = PLACES["binance"]["futures_stream"] + "/ws"
    try:
        await client.load_markets()
        balance = await client.fetch_balance()
        check(balance["total"]["USDT"] > 0, "binanceusdm: no USDT in the balance")
        heard = asyncio.ensure_future(client.watch_my_trades("BTC/USDT:USDT"))
        # The stream tells what happens from its beginning on, so orders are sent until one is heard of.
        for _ in range(20):
            order = await client.create_order("BTC/USDT:USDT", "market", "buy", 0.01)
            check(order["filled"] > 0, "binanceusdm: an order that was not filled")
            done, _ = await asyncio.wait([heard], timeout=1.0)
            if done:
                break
        trades = await within(heard, "binanceusdm: a fill")
        check(trades[0]["symbol"] == "BTC/USDT:USDT", f"binanceusdm: a fill of {trades[0]['symbol']}")
        check(trades[0]["amount"] > 0 and trades[0]["price"] > 0, "binanceusdm: an empty fill")
        check(trades[0]["fee"]["cost"] > 0, "binanceusdm: a fill without fee")
        seen = [row["id"] for row in await client.fetch_my_trades("BTC/USDT:USDT")]
        check(trades[0]["id"] in seen, "binanceusdm: the pushed fill is not in userTrades")
        positions = await client.fetch_positions(["BTC/USDT:USDT"])
        check(positions and positions[0]["contracts"] > 0, "binanceusdm: no position after a buy")
    finally:
        await client.close()


async def binance_refuses():
    who = account("binance", ed25519=False)
    client = ccxt.pro.binance({"apiKey": who["key"], "secret": "x" * 64})
    client.has["fetchCurrencies"] = False
    client.options.update({"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False})
    client.urls["api"] = moved(client.urls["api"], PLACES["binance"]["rest"])
    try:
        try:
            await client.fetch_balance()
        except ccxt.BaseError as why:
            check("-1022" in str(why), f"binance: refused for another reason: {why}")
        else:
            check(False, "binance: a wrong secret was accepted")
    finally:
        await client.close()


def kucoin_of(keys):
    client = ccxt.pro.kucoin(keys)
    base = PLACES["kucoin"]["rest"]
    client.urls["api"] = moved(client.urls["api"], base)
    client.urls["api"]["ws"]["private"] = PLACES["kucoin"]["uta_push"]
    client.has["fetchCurrencies"] = False
    client.options.update({"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False})
    # Whether the account is a unified one is for the client to ask.
    client.options["uta"] = None
    return client


async def kucoin(unified):
    who = account("kucoin", role="dca", unified=unified)
    client = kucoin_of({"apiKey": who["key"], "secret": who["secret"], "password": who["passphrase"]})
    try:
        stranger = kucoin_of({})
        stranger.options["uta"] = False
        markets = await stranger.fetch_markets()
        await stranger.close()
        client.open()
        client.set_markets(markets)
        if not unified:
            balance = await client.fetch_balance({"type": "trade"})
            check(balance["total"]["BTC"] > 0, "kucoin: no BTC in the balance")
            past = []
            for symbol in ("BTC/USDT", "ETH/USDT", "SOL/USDT"):
                past += await client.fetch_my_trades(symbol, params={"hf": True, "uta": False})
            check(len(past) > 10, f"kucoin: only {len(past)} earlier fills")
        trades = await within(client.watch_my_trades(), "kucoin: a fill")
        check(trades[0]["amount"] > 0 and trades[0]["price"] > 0, "kucoin: an empty fill")
        if not unified:
            public = await within(client.watch_trades("BTC/USDT"), "kucoin: a public trade")
            check(public[0]["price"] > 0, "kucoin: an empty public trade")
    finally:
        await client.close()


async def coinbase(ed25519):
    who = account("coinbase", role="dca", ed25519=ed25519)
    client = ccxt.pro.coinbase({"apiKey": who["key"], "secret": who["secret"]})
    client.urls["api"]["rest"] = PLACES["coinbase"]["rest"]
    client.urls["api"]["ws"] = PLACES["coinbase"]["ws_user"]
    client.has["fetchCurrencies"] = False
    try:
        symbol, past = None, []
        client.open()
        client.set_markets(await client.fetch_markets_v3())
        for candidate in ("BTC/USD", "ETH/USD", "SOL/USD"):
            rows = await client.fetch_my_trades(candidate)
            if rows:
                symbol, past = candidate, rows
        check(len(past) > 10, f"coinbase: only {len(past)} earlier fills")
        balance = await client.fetch_balance({"v3": True})
        check(balance["total"]["USD"] > 0, "coinbase: no USD in the balance")
        if ed25519:
            return  # over its socket this client signs with ES256 keys only

        async def filled():
            while True:
                orders = await client.watch_orders(symbol)
                if any(order["filled"] for order in orders):
                    return orders
        orders = await within(filled(), "coinbase: a filled order")
        check(orders[-1]["average"] > 0, "coinbase: an order without average price")
    finally:
        await client.close()


async def coinbase_exchange():
    who = account("coinbase", role="dca")
    keys = who["exchange"]
    client = ccxt.pro.coinbaseexchange(
        {"apiKey": keys["key"], "secret": keys["secret"], "password": keys["passphrase"]})
    client.urls["api"] = {"public": PLACES["coinbase"]["exchange_rest"], "private": PLACES["coinbase"]["exchange_rest"],
                          "ws": PLACES["coinbase"]["exchange_ws"]}
    try:
        await client.load_markets()
        balance = await client.fetch_balance()
        check(balance["total"]["USD"] > 0, "coinbase exchange: no USD in the balance")
        symbol, past = None, []
        for candidate in ("BTC/USD", "ETH/USD", "SOL/USD"):
            rows = await client.fetch_my_trades(candidate)
            if rows:
                symbol, past = candidate, rows
        check(len(past) > 10, f"coinbase exchange: only {len(past)} earlier fills")
        trades = await within(client.watch_my_trades(symbol), "coinbase exchange: a fill")
        check(trades[0]["amount"] > 0 and trades[0]["price"] > 0, "coinbase exchange: an empty fill")
        check(trades[0]["takerOrMaker"] == "taker", "coinbase exchange: a market order that rested")
        seen = [row["id"] for row in await client.fetch_my_trades(symbol)]
        check(trades[0]["id"] in seen, "coinbase exchange: the pushed fill is not in the list")
        client.password = "wrong"
        try:
            await client.fetch_balance()
        except ccxt.BaseError as why:
            check("Invalid Passphrase" in str(why), f"coinbase exchange: refused for another reason: {why}")
        else:
            check(False, "coinbase exchange: a wrong passphrase was accepted")
    finally:
        await client.close()


async def main():
    print("ccxt", ccxt.__version__)
    for name, story in (
        ("binance, HMAC key", binance(False)), ("binance, Ed25519 key", binance(True)),
        ("binance, USDⓈ-M futures", binance_futures()), ("binance, wrong secret", binance_refuses()), ("kucoin, classic", kucoin(False)),
        ("kucoin, unified", kucoin(True)), ("coinbase, ES256 key", coinbase(False)),
        ("coinbase, EdDSA key", coinbase(True)), ("coinbase exchange", coinbase_exchange()),
    ):
        await story
        print("fine:", name, flush=True)


asyncio.run(main())
