"""Binance's own SDK subscribes by signature and by log-on, and receives fills."""

import asyncio
import os
import tempfile
from importlib.metadata import version

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI
from binance_sdk_spot.spot import Spot
from setting import PLACES, account, check, within


def client_of(who):
    if not who["ed25519"]:
        keys = {"api_key": who["key"], "api_secret": who["secret"]}
    else:
        handle, path = tempfile.mkstemp(suffix=".pem")
        os.write(handle, who["secret"].encode())
        os.close(handle)
        keys = {"api_key": who["key"], "private_key": path}
    return Spot(
        config_rest_api=ConfigurationRestAPI(base_path=PLACES["binance"]["rest"], **keys),
        config_ws_api=ConfigurationWebSocketAPI(stream_url=PLACES["binance"]["ws_api"], **keys),
    )


def word(value, name):
    """A field of an event, whether the library hands out a dictionary or an object."""
    while hasattr(value, "actual_instance"):
        value = value.actual_instance
    if isinstance(value, dict):
        value = value.get("event", value)
        return value.get(name)
    return getattr(value, name, None)


async def fill_of(who, log_on):
    client = client_of(who)
    rest = client.rest_api.get_account().data()
    check(rest.can_trade, "the account may not trade")
    connection = await client.websocket_api.create_connection()
    got = asyncio.get_running_loop().create_future()

    def heard(event):
        if word(event, "x") == "TRADE" and not got.done():
            got.set_result(event)

    try:
        if log_on:
            await connection.session_logon()
            stream = await connection.user_data_stream_subscribe()
        else:
            stream = await connection.user_data_stream_subscribe_signature()
        stream.stream.on("message", heard)
        event = await within(got, "a fill")
        check(float(word(event, "l")) > 0 and float(word(event, "L")) > 0, f"an empty fill: {event}")
    finally:
        await connection.close_connection(close_session=True)


async def main():
    print("binance-sdk-spot", version("binance-sdk-spot"))
    await fill_of(account("binance", role="dca", ed25519=False), log_on=False)
    print("fine: HMAC key, subscription by signature", flush=True)
    await fill_of(account("binance", role="dca", ed25519=True), log_on=False)
    print("fine: Ed25519 key, subscription by signature", flush=True)
    await fill_of(account("binance", role="dca", ed25519=True), log_on=True)
    print("fine: Ed25519 key, subscription after a log-on", flush=True)


asyncio.run(main())
