'use strict';
// Fills an empty database from seed.json: channel in yen, tax, shipping, payment, products, customers.
require('reflect-metadata');
const {
    ChannelService,
    CustomerService,
    Importer,
    LanguageCode,
    PaymentMethodService,
    Populator,
    RequestContextService,
    ShippingMethodService,
    bootstrap,
    defaultShippingCalculator,
    defaultShippingEligibilityChecker,
    dummyPaymentHandler,
    manualFulfillmentHandler,
} = require('@vendure/core');
const { lastValueFrom } = require('rxjs');
const { config } = require('./config');
const seed = require('./seed.json');

const COLUMNS = [
    'name', 'slug', 'description', 'assets', 'facets', 'optionGroups', 'optionValues', 'sku', 'price',
    'taxCategory', 'stockOnHand', 'trackInventory', 'variantAssets', 'variantFacets', 'variant:gtin',
];

const cell = value => `"${String(value == null ? '' : value).replace(/"/g, '""')}"`;

/** The importer's CSV: a product's first row names it, its other rows are further variants. */
function productsCsv(products) {
    const lines = [COLUMNS.join(',')];
    for (const product of products) {
        product.variants.forEach((variant, index) => {
            const first = index === 0;
            const row = {
                name: first ? product.name : '',
                slug: first ? product.slug : '',
                description: first ? product.description : '',
                facets: first ? (product.facets || []).join('|') : '',
                optionGroups: first ? (product.options || []).join('|') : '',
                optionValues: (variant.options || []).join('|'),
                sku: variant.sku,
                // The importer multiplies by 100 whatever the currency; a yen has no hundredth.
                price: (variant.price / 100).toFixed(2),
                taxCategory: product.taxCategory,
                stockOnHand: variant.stockOnHand,
                trackInventory: 'true',
                'variant:gtin': variant.gtin,
            };
            lines.push(COLUMNS.map(column => cell(row[column])).join(','));
        });
    }
    return lines.join('\n');
}

const argument = (name, value) => ({ name, value: String(value) });
const named = name => [{ languageCode: LanguageCode.ja, name, description: '' }];

// Not left to the populator: it makes codes from names in decomposed form (NFD), which no client can type.
async function shippingAndPayment(app, ctx) {
    for (const { code, name, rate, taxRate } of seed.shippingMethods) {
        await app.get(ShippingMethodService).create(ctx, {
            code,
            translations: named(name),
            fulfillmentHandler: manualFulfillmentHandler.code,
            checker: { code: defaultShippingEligibilityChecker.code, arguments: [argument('orderMinimum', 0)] },
            calculator: {
                code: defaultShippingCalculator.code,
                arguments: [argument('rate', rate), argument('taxRate', taxRate), argument('includesTax', 'include')],
            },
        });
    }
    for (const { code, name, settled } of seed.paymentMethods) {
        await app.get(PaymentMethodService).create(ctx, {
            code,
            enabled: true,
            translations: named(name),
            handler: { code: dummyPaymentHandler.code, arguments: [argument('automaticSettle', settled)] },
        });
    }
}

async function main() {
    const app = await bootstrap(config({ ...process.env, SHOP_SYNCHRONIZE: '1', SHOP_PORT: '0' }));
    const contexts = app.get(RequestContextService);
    const channels = app.get(ChannelService);
    await app.get(Populator).populateInitialData(seed.initial);
    const { id } = await channels.getDefaultChannel();
    let ctx = await contexts.create({ apiType: 'admin', languageCode: LanguageCode.ja });
    await channels.update(ctx, {
        id,
        token: seed.channelToken,
        defaultCurrencyCode: 'JPY',
        availableCurrencyCodes: ['JPY'],
        pricesIncludeTax: true,
    });
    ctx = await contexts.create({
        apiType: 'admin', languageCode: LanguageCode.ja, channelOrToken: await channels.getDefaultChannel(),
    });
    await shippingAndPayment(app, ctx);
    const { errors } = await lastValueFrom(app.get(Importer).parseAndImport(productsCsv(seed.products), ctx));
    if (errors && errors.length) {
        throw new Error(errors.join('\n'));
    }
    const customers = app.get(CustomerService);
    for (const { addresses, ...input } of seed.customers) {
        const customer = await customers.create(ctx, input);
        for (const address of addresses) {
            await customers.createAddress(ctx, customer.id, address);
        }
    }
    await app.close();
}

main().then(
    () => process.exit(0),
    error => {
        process.stderr.write(`${error.stack || error}\n`);
        process.exit(1);
    },
);
