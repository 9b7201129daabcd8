"""Coinbase's own SDK reads fills over REST and receives running totals over its user socket, with either kind of key."""

import json
import threading
from importlib.metadata import version

import requests
from coinbase.rest import RESTClient
from coinbase.websocket import WSUserClient
from setting import PLACES, SECONDS, account, check


class PlainHttp(requests.adapters.HTTPAdapter):
    """The SDK always says https; the simulator speaks http."""

    def send(self, request, **kwargs):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **kwargs)


def story(who):
    keys = {"api_key": who["key"], "api_secret": who["secret"]}
    rest = RESTClient(base_url=PLACES["coinbase"]["rest"].removeprefix("http://"), **keys)
    rest.session.mount("https://", PlainHttp())
    rights = rest.get_api_key_permissions()
    check(rights.can_view and not rights.can_transfer, f"odd rights: {rights}")
    first = rest.get_fills(limit=20)
    check(len(first.fills) == 20 and first.cursor, "no second page of fills")
    second = rest.get_fills(limit=20, cursor=first.cursor)
    ids = [row.trade_id for row in first.fills + second.fills]
    check(len(set(ids)) == 40, "the second page repeats the first")

    got, totals, numbers = threading.Event(), [], []

    def heard(text):
        message = json.loads(text)
        if "sequence_num" in message:
            numbers.append(message["sequence_num"])
        if message.get("channel") != "user":
            return
        for event in message["events"]:
            for order in event.get("orders", []):
                if event["type"] == "update" and float(order["cumulative_quantity"]) > 0:
                    totals.append(order)
                    got.set()

    socket = WSUserClient(base_url=PLACES["coinbase"]["ws_user"], on_message=heard, **keys)
    socket.open()
    socket.subscribe([], ["user", "heartbeats"])
    check(got.wait(SECONDS), "a filled order did not come")
    socket.close()
    check(numbers == list(range(len(numbers))), f"sequence numbers have holes: {numbers}")
    order = totals[0]
    fills = rest.get_fills(order_ids=[order["order_id"]]).fills
    check(len(fills) > 0, "List Fills does not know the order that was told")
    check(abs(sum(float(row.size) for row in fills) - float(order["cumulative_quantity"])) < 1e-9, "the totals differ")


print("coinbase-advanced-py", version("coinbase-advanced-py"))
story(account("coinbase", role="dca", ed25519=False))
print("fine: ES256 key", flush=True)
story(account("coinbase", role="dca", ed25519=True))
print("fine: EdDSA key", flush=True)
