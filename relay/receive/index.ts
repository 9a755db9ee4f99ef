// Receive: listeners, sessions, limits. The way of a message: listen.ts → receiver.ts → session.ts → wire.ts (bytes) → commands.ts and
// transaction.ts (MAIL, RCPT, DATA; decide says who passes) → incoming.ts (DATA as it comes) → accept-message.ts (the queue's answer is the reply).
export { startReceiving, type ReceiveOptions, type Receiving } from './listen.ts'
