'use strict';
// Which of Vendure's events are told, and what each names. They are thin: ids only, so no personal data leaves the shop
// by this way, and what is fetched by an id is never older than the event.
const {
    CustomerAddressEvent,
    CustomerEvent,
    Fulfillment,
    FulfillmentEvent,
    FulfillmentStateTransitionEvent,
    OrderEvent,
    OrderPlacedEvent,
    OrderStateTransitionEvent,
    PaymentStateTransitionEvent,
    ProductChannelEvent,
    ProductEvent,
    ProductVariantChannelEvent,
    ProductVariantEvent,
    RefundEvent,
    RefundStateTransitionEvent,
    StockMovementEvent,
} = require('@vendure/core');

const list = value => (Array.isArray(value) ? value : [value]);
const ids = values => [...new Set(values.filter(id => id != null).map(String))];

// Carts are nobody's business yet.
const BEFORE_PLACED = ['Created', 'Draft', 'AddingItems', 'ArrangingPayment'];
const placed = order => order != null && order.orderPlacedAt != null;
const ofOrder = (order, more) => (placed(order) ? { orders: ids([order.id]), ...more } : null);

const STOCK_ONLY = ['id', 'stockLevels', 'stockOnHand'];
const onlyStock = event =>
    event.type === 'updated' &&
    Array.isArray(event.input) &&
    event.input.every(input => Object.keys(input).every(field => STOCK_ONLY.includes(field)));

const variants = (event, change) => ({
    variants: ids(list(event.entity).map(variant => variant.id)),
    products: change === 'deleted' ? [] : ids(list(event.entity).map(variant => variant.productId)),
    change,
});

async function ofFulfillment({ ctx, fulfillment, toState }, connection) {
    const found = await connection
        .getRepository(ctx, Fulfillment)
        .findOne({ where: { id: fulfillment.id }, relations: { orders: true } });
    return { orders: ids(((found && found.orders) || []).map(order => order.id)), state: toState };
}

/**
 * [event, its name, the topic it belongs to, what it names (null: nothing worth telling)]
 *
 * Topics: orders, products (with their variants), stock, customers.
 */
const KINDS = [
    [OrderPlacedEvent, 'OrderPlaced', 'orders', e => ({ orders: ids([e.order.id]), state: e.toState })],
    [
        OrderStateTransitionEvent,
        'OrderStateTransition',
        'orders',
        e =>
            placed(e.order) || !BEFORE_PLACED.includes(e.toState)
                ? { orders: ids([e.order.id]), state: e.toState }
                : null,
    ],
    [OrderEvent, 'Order', 'orders', e => (e.type === 'updated' ? ofOrder(e.entity, { change: e.type }) : null)],
    [PaymentStateTransitionEvent, 'PaymentStateTransition', 'orders', e => ofOrder(e.order, { state: e.toState })],
    [RefundEvent, 'Refund', 'orders', e => ofOrder(e.order, { change: e.type })],
    [RefundStateTransitionEvent, 'RefundStateTransition', 'orders', e => ofOrder(e.order, { state: e.toState })],
    [
        FulfillmentEvent,
        'Fulfillment',
        'orders',
        e => ({ orders: ids(list((e.input && e.input.orders) || []).map(order => order.id)) }),
    ],
    [FulfillmentStateTransitionEvent, 'FulfillmentStateTransition', 'orders', ofFulfillment],
    [
        StockMovementEvent,
        'StockMovement',
        'stock',
        e => ({ stock: ids(e.stockMovements.map(movement => movement.productVariant.id)), movement: e.type }),
    ],
    [ProductEvent, 'Product', 'products', e => ({ products: ids([e.entity.id]), change: e.type })],
    [ProductChannelEvent, 'ProductChannel', 'products', e => ({ products: ids([e.product.id]), change: e.type })],
    // A stock level written through a variant is told by its StockMovement.
    [ProductVariantEvent, 'ProductVariant', 'products', e => (onlyStock(e) ? null : variants(e, e.type))],
    [
        ProductVariantChannelEvent,
        'ProductVariantChannel',
        'products',
        e => variants({ entity: e.productVariant }, e.type),
    ],
    [CustomerEvent, 'Customer', 'customers', e => ({ customers: ids([e.entity.id]), change: e.type })],
    [
        CustomerAddressEvent,
        'CustomerAddress',
        'customers',
        // A deleted address is a change of its customer.
        e => ({ customers: ids([e.entity.customer && e.entity.customer.id]), change: 'updated' }),
    ],
];
const TOPICS = [...new Set(KINDS.map(([, , topic]) => topic))];
const NAMES = ['orders', 'products', 'variants', 'stock', 'customers'];

/** Whether the data of an event names anything at all. */
const names = data => data != null && NAMES.some(name => (data[name] || []).length > 0);

module.exports = { KINDS, TOPICS, names };
