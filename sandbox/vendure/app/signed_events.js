'use strict';
// Vendure has no webhooks of its own. This plugin POSTs what its event bus says, signed, at most once:
// a call that fails is not repeated, as with many shops. Events are thin: they name what to fetch.
//   X-Shop-Event-Id, X-Shop-Timestamp (seconds), X-Shop-Signature: sha256=<hex HMAC of "timestamp.body">
const { createHmac, randomUUID } = require('node:crypto');
const {
    CustomerAddressEvent,
    CustomerEvent,
    EventBus,
    FulfillmentEvent,
    FulfillmentStateTransitionEvent,
    Logger,
    OrderPlacedEvent,
    OrderStateTransitionEvent,
    PluginCommonModule,
    ProductEvent,
    ProductVariantEvent,
    StockMovementEvent,
    VendurePlugin,
} = require('@vendure/core');

const list = value => (Array.isArray(value) ? value : [value]);
const ids = values => [...new Set(values.filter(id => id != null).map(String))];

const KINDS = [
    [OrderPlacedEvent, 'OrderPlaced', e => ({ orders: ids([e.order.id]), state: e.toState })],
    [OrderStateTransitionEvent, 'OrderStateTransition', e => ({ orders: ids([e.order.id]), state: e.toState })],
    [FulfillmentEvent, 'Fulfillment', e => ({ orders: ids(list(e.input.orders || []).map(o => o.id)) })],
    [
        FulfillmentStateTransitionEvent,
        'FulfillmentStateTransition',
        e => ({ fulfillments: ids([e.fulfillment.id]), state: e.toState }),
    ],
    [
        StockMovementEvent,
        'StockMovement',
        e => ({ variants: ids(e.stockMovements.map(m => m.productVariant.id)), movement: e.type }),
    ],
    [ProductEvent, 'Product', e => ({ products: ids([e.entity.id]), change: e.type })],
    [ProductVariantEvent, 'ProductVariant', e => ({ variants: ids(list(e.entity).map(v => v.id)), change: e.type })],
    [CustomerEvent, 'Customer', e => ({ customers: ids([e.entity.id]), change: e.type })],
    [
        CustomerAddressEvent,
        'CustomerAddress',
        e => ({ customers: ids([e.entity.customer && e.entity.customer.id]), change: e.type }),
    ],
];

class SignedEventsPlugin {
    constructor(bus) {
        this.bus = bus;
    }

    static init(options) {
        SignedEventsPlugin.options = options;
        return SignedEventsPlugin;
    }

    onApplicationBootstrap() {
        for (const [type, name, describe] of KINDS) {
            this.bus.ofType(type).subscribe(event => this.post(name, event.createdAt, describe(event)));
        }
    }

    async post(type, occurredAt, data) {
        const { url, secret } = SignedEventsPlugin.options;
        const id = randomUUID();
        const body = JSON.stringify({ id, type, occurredAt, data });
        const timestamp = String(Math.floor(Date.now() / 1000));
        const signature = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');
        try {
            await fetch(url, {
                method: 'POST',
                body,
                headers: {
                    'content-type': 'application/json',
                    'x-shop-event-id': id,
                    'x-shop-timestamp': timestamp,
                    'x-shop-signature': `sha256=${signature}`,
                },
                signal: AbortSignal.timeout(5000),
            });
        } catch (error) {
            Logger.warn(`event ${type} was not delivered: ${error.message}`, 'SignedEvents');
        }
    }
}

Reflect.defineMetadata('design:paramtypes', [EventBus], SignedEventsPlugin);
VendurePlugin({ imports: [PluginCommonModule], compatibility: '^3.0.0' })(SignedEventsPlugin);

module.exports = { SignedEventsPlugin };
