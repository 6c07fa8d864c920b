'use strict';
// Starts the shop and prints one line of JSON ({"port": n}) when it answers. Ends on SIGTERM, or when stdin
// closes: a shop never outlives the test run that started it.
require('reflect-metadata');
const { bootstrap } = require('@vendure/core');
const { config } = require('./config');

async function main() {
    const app = await bootstrap(config(process.env));
    const stop = async () => {
        await app.close();
        process.exit(0);
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    if (process.env.SHOP_STOP_WITH_STDIN === '1') {
        process.stdin.resume();
        process.stdin.once('end', stop);
    }
    process.stdout.write(JSON.stringify({ port: app.getHttpServer().address().port }) + '\n');
}

main().catch(error => {
    process.stderr.write(`${error.stack || error}\n`);
    process.exit(1);
});
