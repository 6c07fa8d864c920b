'use strict';
// How the sandbox's shop is set up: yen without decimals, prices with consumption tax, one language (ja).
const {
    DefaultLogger,
    DefaultMoneyStrategy,
    LanguageCode,
    LogLevel,
    OrderLevelTaxCalculationStrategy,
    dummyPaymentHandler,
} = require('@vendure/core');
const { SignedEventsPlugin } = require('./signed_events');

class YenStrategy extends DefaultMoneyStrategy {
    constructor() {
        super();
        this.precision = 0;
    }
}

const text = (name, label) => ({
    name,
    type: 'string',
    nullable: true,
    label: [{ languageCode: LanguageCode.ja, value: label }],
});

function config(env) {
    return {
        apiOptions: {
            hostname: '127.0.0.1',
            port: Number(env.SHOP_PORT || 0),
            cors: false,
            adminApiPath: 'admin-api',
            shopApiPath: 'shop-api',
        },
        authOptions: {
            tokenMethod: ['bearer'],
            requireVerification: false,
            superadminCredentials: { identifier: env.SHOP_USER, password: env.SHOP_PASSWORD },
        },
        defaultLanguageCode: LanguageCode.ja,
        dbConnectionOptions: {
            type: 'better-sqlite3',
            database: env.SHOP_DATABASE,
            synchronize: env.SHOP_SYNCHRONIZE === '1',
            logging: false,
        },
        entityOptions: { moneyStrategy: new YenStrategy() },
        // One rounding per order and rate, as an invoice in Japan asks for.
        taxOptions: { orderTaxCalculationStrategy: new OrderLevelTaxCalculationStrategy() },
        paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
        customFields: {
            Customer: [text('lastNameKana', '姓カナ'), text('firstNameKana', '名カナ')],
            Order: [text('externalReference', '外部受注番号')],
            ProductVariant: [text('gtin', 'JANコード')],
        },
        logger: new DefaultLogger({ level: LogLevel.Warn, timestamp: false }),
        plugins: [
            SignedEventsPlugin.init(
                env.SHOP_EVENTS_URL ? { url: env.SHOP_EVENTS_URL, secret: env.SHOP_EVENTS_SECRET } : null,
            ),
        ],
    };
}

module.exports = { config };
