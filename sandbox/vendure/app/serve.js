'use strict';
// Starts the shop and prints one line of JSON ({"port": n}) when it answers. Ends on SIGTERM, or when stdin
// closes: a shop never outlives the test run that started it. A line of JSON on stdin says where events go from now on
// ({"url", "secret"}, null: nowhere), answered by {"events": url}; tests share one shop and bring a hub of their own.
require('reflect-metadata');
const { bootstrap } = require('@vendure/core');
const { createInterface } = require('node:readline');
const { config } = require('./config');
const { SignedEventsPlugin } = require('./signed_events');

const say = what => process.stdout.write(JSON.stringify(what) + '\n');

function take(app, line) {
    const options = JSON.parse(line);
    SignedEventsPlugin.init(options);
    app.get(SignedEventsPlugin).courier.hurry();
    say({ events: options && options.url });
}

async function main() {
    const app = await bootstrap(config(process.env));
    const stop = async () => {
        await app.close();
        process.exit(0);
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    if (process.env.SHOP_STOP_WITH_STDIN === '1') {
        const lines = createInterface({ input: process.stdin });
        lines.on('line', line => take(app, line));
        lines.once('close', stop);
    }
    say({ port: app.getHttpServer().address().port });
}

main().catch(error => {
    process.stderr.write(`${error.stack || error}\n`);
    process.exit(1);
});
