'use strict';
// Carries what is in the outbox to the hub: oldest first, many events in one call, until the hub says that it has them.
//
// A call is signed as Standard Webhooks says (standardwebhooks.com):
//   webhook-id, webhook-timestamp (unix seconds), webhook-signature: v1,<base64 HMAC-SHA256 of "id.timestamp.body">
const { createHash, createHmac, randomUUID } = require('node:crypto');
const { Logger } = require('@vendure/core');
const { OutboxEvent } = require('./outbox');

const CONTEXT = 'SignedEvents';
const TOGETHER = 50; // events in one call
const TIMEOUT_MS = 5000;
const LEASE_MS = 30000;
const LOOK_MS = 2000; // for rows of processes that died
const LONGEST_PAUSE_MS = 60000;
const GIVE_UP_MS = 72 * 3600 * 1000;
const NEVER_GOOD = [400, 413, 422]; // a repetition would be the same

const key = secret =>
    secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret, 'utf8');

/** Header values of one call; of several secrets (one being replaced) each signs. */
function signed(body, id, secrets, now = Date.now()) {
    const timestamp = String(Math.floor(now / 1000));
    const proof = secret => createHmac('sha256', key(secret)).update(`${id}.${timestamp}.${body}`).digest('base64');
    return {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': secrets.map(secret => `v1,${proof(secret)}`).join(' '),
    };
}

class Courier {
    /** `options()` gives {url, secrets}, or null while nothing is to be sent. */
    constructor(connection, options) {
        this.connection = connection;
        this.options = options;
        this.failures = 0;
        this.pausedUntil = 0;
        this.running = null;
        this.again = false;
        this.ended = false;
    }

    start() {
        this.looking = setInterval(() => this.wake(), LOOK_MS);
        this.looking.unref();
    }

    async stop() {
        this.ended = true;
        clearInterval(this.looking);
        clearTimeout(this.retry);
        await this.running;
    }

    /** Something may wait. Returns at once; a courier on its way looks again when it is back. */
    wake() {
        if (this.ended || !this.options() || Date.now() < this.pausedUntil) {
            return;
        }
        if (this.running) {
            this.again = true;
            return;
        }
        this.running = this.walk()
            .catch(error => this.pause(error.message))
            .finally(() => {
                this.running = null;
            });
    }

    /** The pause ends now: somebody knows that the hub is there again. */
    hurry() {
        this.failures = 0;
        this.pausedUntil = 0;
        this.wake();
    }

    async walk() {
        do {
            this.again = false;
            while (!this.ended && this.options() && (await this.round()));
        } while (this.again && !this.ended && Date.now() >= this.pausedUntil);
    }

    /** One call's worth of events; whether to look for more at once. */
    async round() {
        const rows = await this.claimed();
        if (!rows.length) {
            return false;
        }
        const answer = await this.post(rows);
        if (answer.ok) {
            this.failures = 0;
            await this.remove(rows);
            return true;
        }
        if (NEVER_GOOD.includes(answer.status)) {
            return this.oneByOne(rows, answer);
        }
        await this.putBack(rows);
        this.pause(answer.said, answer.after);
        return false;
    }

    /** One event the hub cannot read must not keep the others from it. */
    async oneByOne(rows, refused) {
        if (rows.length === 1) {
            Logger.error(`the hub refused an event (${refused.said}): ${rows[0].body}`, CONTEXT);
            await this.remove(rows);
            return true;
        }
        for (const [place, row] of rows.entries()) {
            const answer = await this.post([row]);
            if (!answer.ok && !NEVER_GOOD.includes(answer.status)) {
                await this.putBack(rows.slice(place));
                this.pause(answer.said, answer.after);
                return false;
            }
            if (!answer.ok) {
                Logger.error(`the hub refused an event (${answer.said}): ${row.body}`, CONTEXT);
            }
            await this.remove([row]);
        }
        return true;
    }

    async post(rows) {
        const { url, secrets } = this.options() || {};
        if (!url) {
            return { ok: false, said: 'switched off' };
        }
        const body = `{"events":[${rows.map(row => row.body).join(',')}]}`;
        // The same events are the same message, also when they are sent again.
        const id = `msg_${createHash('sha256').update(rows.map(row => row.id).join(',') + body).digest('hex').slice(0, 32)}`;
        try {
            const answer = await fetch(url, {
                method: 'POST',
                body,
                headers: signed(body, id, secrets),
                redirect: 'error',
                signal: AbortSignal.timeout(TIMEOUT_MS),
            });
            const text = (await answer.text()).slice(0, 200);
            const after = Number(answer.headers.get('retry-after')) * 1000 || 0;
            return { ok: answer.ok, status: answer.status, after, said: `HTTP ${answer.status} ${text}` };
        } catch (error) {
            return { ok: false, said: (error.cause && error.cause.message) || error.message };
        }
    }

    pause(said, after = 0) {
        this.failures += 1;
        const doubled = Math.min(1000 * 2 ** (this.failures - 1), LONGEST_PAUSE_MS);
        const milliseconds = Math.max(doubled * (0.8 + 0.4 * Math.random()), Math.min(after, 300000));
        this.pausedUntil = Date.now() + milliseconds;
        Logger.warn(`events wait ${(milliseconds / 1000).toFixed(1)} s for the hub: ${said}`, CONTEXT);
        clearTimeout(this.retry);
        this.retry = setTimeout(() => this.wake(), milliseconds + 1);
        this.retry.unref();
    }

    // ------------------------------------------------------------ rows

    get rows() {
        return this.connection.rawConnection.getRepository(OutboxEvent);
    }

    /** Rows nobody else has in hand, now in ours. Plain SQL: the same on PostgreSQL, MySQL and SQLite. */
    async claimed() {
        const now = Date.now();
        const table = this.rows;
        const free = await table
            .createQueryBuilder('o')
            .select(['o.id', 'o.createdAt'])
            .where('o.claimedUntil <= :now', { now })
            .orderBy('o.id')
            .limit(TOGETHER)
            .getMany();
        const old = free.filter(row => Number(row.createdAt) < now - GIVE_UP_MS);
        if (old.length) {
            Logger.error(`${old.length} events could not be delivered for 72 h and are given up`, CONTEXT);
            await this.remove(old);
        }
        const wanted = free.filter(row => !old.includes(row)).map(row => row.id);
        if (!wanted.length) {
            return [];
        }
        const claim = randomUUID();
        await table
            .createQueryBuilder()
            .update()
            .set({ claim, claimedUntil: now + LEASE_MS })
            .where('id IN (:...wanted)', { wanted })
            .andWhere('claimedUntil <= :now', { now })
            .execute();
        return table.find({ where: { claim }, order: { id: 'ASC' } });
    }

    async putBack(rows) {
        await this.rows.update(
            rows.map(row => row.id),
            { claim: null, claimedUntil: 0 },
        );
    }

    async remove(rows) {
        await this.rows.delete(rows.map(row => row.id));
    }
}

module.exports = { Courier, signed };
