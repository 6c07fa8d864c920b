'use strict';
// A Vendure plugin that tells the hub what happened in the shop, by signed webhooks. Vendure sends none of its own.
//
//   plugins: [SignedEventsPlugin.init({
//       url: 'https://hub.example.jp/webhooks/shop-main',
//       secret: process.env.TSUNAGI_EVENTS_SECRET,     // the connection's webhook_secret
//       topics: ['orders', 'customers', 'products'],   // all when left out; "stock" only where this shop counts stock
//   })]
//
// How to install it in a shop: docs/connectors/vendure.md.
const { randomUUID } = require('node:crypto');
const { EventBus, Logger, PluginCommonModule, TransactionalConnection, VendurePlugin } = require('@vendure/core');
const { Courier } = require('./courier');
const { KINDS, TOPICS, names } = require('./kinds');
const { OutboxEvent } = require('./outbox');

const LOCAL = ['127.0.0.1', '[::1]', 'localhost'];

function checked({ url, secret, topics = TOPICS }) {
    const { protocol, hostname } = new URL(url);
    if (protocol !== 'https:' && !(protocol === 'http:' && LOCAL.includes(hostname))) {
        throw new Error(`signed events: ${url} must begin with https://`);
    }
    const secrets = String(secret || '').split(/\s+/).filter(Boolean);
    if (!secrets.length || secrets.some(each => each.length < 16)) {
        throw new Error('signed events: set a secret of 16 characters or more');
    }
    const unknown = topics.filter(topic => !TOPICS.includes(topic));
    if (unknown.length) {
        throw new Error(`signed events: unknown topics ${unknown.join(', ')}; known: ${TOPICS.join(', ')}`);
    }
    return { url, secrets, topics };
}

class SignedEventsPlugin {
    constructor(bus, connection) {
        this.bus = bus;
        this.connection = connection;
        this.courier = new Courier(connection, () => SignedEventsPlugin.options);
    }

    /** `null` keeps the table and tells nothing. */
    static init(options) {
        SignedEventsPlugin.options = options ? checked(options) : null;
        return SignedEventsPlugin;
    }

    async onApplicationBootstrap() {
        // A missing table would break every checkout; it must break the start instead.
        await this.courier.rows.count();
        for (const [type, name, topic, describe] of KINDS) {
            // In the transaction that publishes the event: both are kept, or neither.
            this.bus.registerBlockingEventHandler({
                event: type,
                id: `tsunagi-outbox-${name}`,
                handler: event => this.write(event, name, topic, describe),
            });
            // After its commit.
            this.bus.ofType(type).subscribe(() => this.courier.wake());
        }
        this.courier.start();
        this.courier.wake();
    }

    async onApplicationShutdown() {
        await this.courier.stop();
    }

    async write(event, name, topic, describe) {
        const options = SignedEventsPlugin.options;
        if (!options || !options.topics.includes(topic)) {
            return;
        }
        let data = null;
        try {
            data = await describe(event, this.connection);
        } catch (error) {
            // An event of a shape we do not know must not stop what the shop is doing; the polls see the change.
            Logger.error(`event ${name} is not told: ${error.message}`, 'SignedEvents');
        }
        if (!names(data)) {
            return;
        }
        const body = JSON.stringify({ id: randomUUID(), type: name, occurredAt: event.createdAt, data });
        await this.connection.getRepository(event.ctx, OutboxEvent).insert({ body, createdAt: Date.now() });
    }
}

Reflect.defineMetadata('design:paramtypes', [EventBus, TransactionalConnection], SignedEventsPlugin);
VendurePlugin({ imports: [PluginCommonModule], entities: [OutboxEvent], compatibility: '^3.0.0' })(SignedEventsPlugin);

module.exports = { SignedEventsPlugin };
