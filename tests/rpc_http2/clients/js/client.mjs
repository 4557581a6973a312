// A grpc-js client that plays every call shape against the carrier and prints one JSON object per case.
//
// Usage: node client.mjs host:port. Messages are raw bytes; the Python side of the test knows what each method does.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import grpc from "@grpc/grpc-js";

const OPTIONS = {
  "grpc.keepalive_time_ms": 100,
  "grpc.keepalive_timeout_ms": 5000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_receive_message_length": 5 * 1024 * 1024,
  // Otherwise all clients of one process share a connection.
  "grpc.use_local_subchannel_pool": 1,
};
const GZIP = { "grpc.default_compression_algorithm": 2 };

const connect = (more = {}) =>
  new grpc.Client(process.argv[2], grpc.credentials.createInsecure(), { ...OPTIONS, ...more });
const client = connect();
const same = (bytes) => bytes;
const path = (method) => `/test.Carrier/${method}`;

const unary = (method, message, { metadata = new grpc.Metadata(), deadline, on = client } = {}) =>
  new Promise((resolve, reject) => {
    const answered = (error, answer) => (error ? reject(error) : resolve(answer));
    on.makeUnaryRequest(path(method), same, same, message, metadata, deadline ? { deadline } : {}, answered);
  });
const open = (method) => client.makeBidiStreamRequest(path(method), same, same, new grpc.Metadata(), {});
const code = (failing) => failing.then(() => grpc.status.OK).catch((error) => error.code);

async function echo(size, on) {
  const message = Buffer.alloc(size, "0123456789abcdef");
  assert.ok(message.equals(await unary("Echo", message, { on })));
}

const cases = {
  unary: () => echo(100),
  empty: () => echo(0),
  gzip: async () => {
    const zipping = connect(GZIP);
    await echo(1_000_000, zipping);
    zipping.close();
  },
  largest: () => echo(4 * 1024 * 1024),
  "server stream": async () => {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(1000);
    const stream = client.makeServerStreamRequest(path("Count"), same, same, count, new grpc.Metadata(), {});
    let received = 0;
    for await (const message of stream) assert.equal(message.readUInt32BE(), received++);
    assert.equal(received, 1000);
  },
  "client stream": async () => {
    const answer = await new Promise((resolve, reject) => {
      const answered = (error, value) => (error ? reject(error) : resolve(value));
      const stream = client.makeClientStreamRequest(path("Collect"), same, same, new grpc.Metadata(), {}, answered);
      for (let n = 0; n < 500; n++) stream.write(Buffer.alloc(10_000));
      stream.end();
    });
    assert.equal(answer.toString(), "500 messages, 5000000 bytes");
  },
  bidi: async () => {
    const stream = open("Chat");
    const answers = stream[Symbol.asyncIterator]();
    for (let n = 0; n < 50; n++) {
      stream.write(Buffer.from(`m${n}`));
      assert.equal((await answers.next()).value.toString(), `m${n}`);
    }
    stream.end();
    assert.equal((await answers.next()).value.toString(), "bye");
    assert.ok((await answers.next()).done);
  },
  failure: async () => {
    const error = await unary("Fail", Buffer.alloc(0)).catch((failure) => failure);
    assert.equal(error.code, grpc.status.FAILED_PRECONDITION);
    assert.equal(error.details, "naïve: 100 % \u{1fa93}\n");
    assert.deepEqual(error.metadata.get("detail-bin"), [Buffer.from([0, 255, 16])]);
  },
  "failure in stream": async () => {
    const stream = open("FailLater");
    stream.end();
    const answers = stream[Symbol.asyncIterator]();
    assert.equal((await answers.next()).value.toString(), "one");
    assert.equal(await code(answers.next()), grpc.status.FAILED_PRECONDITION);
  },
  metadata: async () => {
    const metadata = new grpc.Metadata();
    metadata.set("authorization", "bearer t");
    metadata.set("trace-bin", Buffer.from([0, 255]));
    assert.equal((await unary("Metadata", Buffer.alloc(0), { metadata })).toString(), "bearer t 00ff");
  },
  "unknown method": async () => {
    assert.equal(await code(unary("NoSuchMethod", Buffer.alloc(0))), grpc.status.UNIMPLEMENTED);
  },
  deadline: async () => {
    const deadline = Date.now() + 200;
    assert.equal(await code(unary("Hang", Buffer.alloc(0), { deadline })), grpc.status.DEADLINE_EXCEEDED);
  },
  cancellation: async () => {
    const stream = open("HangStream");
    const answers = stream[Symbol.asyncIterator]();
    assert.equal((await answers.next()).value.toString(), "started");
    stream.cancel();
    assert.equal(await code(answers.next()), grpc.status.CANCELLED);
  },
  "2000 at once": async () => {
    // All are open at once: none is answered before the last has arrived.
    await Promise.all(Array.from({ length: 2000 }, () => unary("Rendezvous", Buffer.alloc(0))));
  },
  "idle with pings": async () => {
    // Time itself is what is tested: twenty keepalive pings and not a call.
    await sleep(2000);
    await echo(100);
  },
};

for (const [name, run] of Object.entries(cases)) {
  let failure = "";
  try {
    await run();
  } catch (error) {
    failure = String(error?.stack ?? error);
  }
  console.log(JSON.stringify({ case: name, failure }));
}
client.close();
