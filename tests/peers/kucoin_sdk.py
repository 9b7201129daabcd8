"""KuCoin's own SDK (key version 3) receives fills on the classic feed and on the unified one."""

import threading
from importlib.metadata import version

from kucoin_universal_sdk.api import DefaultClient
from kucoin_universal_sdk.generate.spot.order.model_get_trade_history_req import GetTradeHistoryReqBuilder
from kucoin_universal_sdk.generate.uta.privatews.api_uta_private_ws import UtaPrivateWS
from kucoin_universal_sdk.internal.infra.uta_push_ws_service import UtaPushWsService
from kucoin_universal_sdk.model import ClientOptionBuilder, TransportOptionBuilder, WebSocketClientOptionBuilder
from setting import PLACES, SECONDS, account, check


def option_of(who):
    base = PLACES["kucoin"]["rest"]
    return (
        ClientOptionBuilder().set_key(who["key"]).set_secret(who["secret"]).set_passphrase(who["passphrase"])
        .set_spot_endpoint(base).set_futures_endpoint(base).set_broker_endpoint(base)
        .set_transport_option(TransportOptionBuilder().build())
        .set_websocket_client_option(WebSocketClientOptionBuilder().build()).build()
    )


def classic():
    client = DefaultClient(option_of(account("kucoin", role="dca", unified=False)))
    info = client.rest_service().get_account_service().get_account_api().get_apikey_info()
    check("General" in info.permission and info.api_version == 3, f"odd key: {info}")
    got, seen = threading.Event(), []

    def heard(topic, subject, event):
        if event.type.value == "match":
            seen.append(event)
            got.set()

    feed = client.ws_service().new_spot_private_ws()
    feed.start()
    feed.order_v2(heard)
    check(got.wait(SECONDS), "a fill did not come on the classic feed")
    fill = seen[0]
    check(float(fill.match_price) > 0 and float(fill.match_size) > 0, f"an empty fill: {fill}")
    orders = client.rest_service().get_spot_service().get_order_api()
    page = orders.get_trade_history(GetTradeHistoryReqBuilder().set_symbol(fill.symbol).set_limit(50).build())
    check(fill.trade_id in [str(row.trade_id) for row in page.items], "the pushed fill is not in hf/fills")
    feed.stop()


def unified():
    UtaPushWsService.PRIVATE_ENDPOINT = PLACES["kucoin"]["uta_push"]
    service = UtaPushWsService(option_of(account("kucoin", unified=True)), private_channel=True)
    feed, got, seen = UtaPrivateWS(service), threading.Event(), []

    def heard(event):
        seen.append(event)
        got.set()

    feed.start()
    feed.execution(heard)
    check(got.wait(SECONDS), "a fill did not come on the unified feed")
    fill = seen[0].get("d", seen[0])
    check(float(fill["p"]) > 0 and float(fill["q"]) > 0 and fill["fC"] == "USDT", f"an empty fill: {fill}")
    feed.stop()


print("kucoin-universal-sdk", version("kucoin-universal-sdk"))
classic()
print("fine: classic feed", flush=True)
unified()
print("fine: unified feed", flush=True)
