'use strict';
// The outbox: an event is a row, written in the transaction it tells of. What is rolled back is never told, and what is
// committed is told even if this process dies before it could.
const { Column, Entity, Index, PrimaryGeneratedColumn } = require('typeorm');

class OutboxEvent {}
OutboxEvent.prototype.constructor = OutboxEvent;
PrimaryGeneratedColumn()(OutboxEvent.prototype, 'id');
Column({ type: 'text' })(OutboxEvent.prototype, 'body');
Column({ type: 'bigint' })(OutboxEvent.prototype, 'createdAt');
// Up to when a courier has it in hand, and which; a courier that died lets go of it by that.
Column({ type: 'bigint', default: 0 })(OutboxEvent.prototype, 'claimedUntil');
Column({ type: 'varchar', length: 36, nullable: true })(OutboxEvent.prototype, 'claim');
Index()(OutboxEvent.prototype, 'claim');
Entity('tsunagi_outbox')(OutboxEvent);

module.exports = { OutboxEvent };
