"""Ways in which systems sign their webhooks, as small pure functions for a connector's webhook function.

    @connector.webhook
    def events(headers, body, config):
        hmac_header(headers, body, [config.webhook_secret], header="x-shop-signature")
        ...

Each returns when the call is genuine. `Misconfigured`: no secret is set, the door is shut. `Refused`: the signature
is missing, wrong or too old. Give several secrets while one is being replaced: any of them opens. All comparisons
take the same time whatever was given, and no message holds a secret or a signature.
"""

from connectors.webhooks.hmacs import (
    ec_cube,
    github,
    hmac_header,
    line,
    shopify,
    square,
    stripe,
    woocommerce,
)
from connectors.webhooks.jws import PublicKeys, jws_detached
from connectors.webhooks.secrets import Secrets, opened_by
from connectors.webhooks.standard import standard_webhooks
from connectors.webhooks.tokens import header_token, smaregi
from connectors.webhooks.window import DEFAULT_WINDOW, Clock, clock_at, within_window

__all__ = [
    "DEFAULT_WINDOW",
    "Clock",
    "PublicKeys",
    "Secrets",
    "clock_at",
    "ec_cube",
    "github",
    "header_token",
    "hmac_header",
    "jws_detached",
    "line",
    "opened_by",
    "shopify",
    "smaregi",
    "square",
    "standard_webhooks",
    "stripe",
    "within_window",
    "woocommerce",
]
