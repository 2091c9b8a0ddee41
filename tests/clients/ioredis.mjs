// What ioredis does against three servers of Niagara: basic, pubsub, sentinel or cluster.

import assert from "node:assert/strict";
import { Cluster, Redis } from "ioredis";
import { HOST, PORTS, keeps, kill, run, until } from "./trial.mjs";

const connect = (port, options) => new Redis(port, HOST, options);

async function basic() {
    const r = connect(PORTS[0]);
    const other = connect(PORTS[1]);
    await r.flushall();
    assert.equal(await r.set("k", "v", "EX", 100), "OK");
    assert.equal(await other.get("k"), "v");
    const pipeline = r.pipeline();
    for (let i = 0; i < 1000; i++) pipeline.incr("n").get("n");
    assert.deepEqual((await pipeline.exec()).at(-1), [null, "1000"]);
    assert.deepEqual(await r.multi().incr("n").get("n").exec(), [[null, 1001], [null, "1001"]]);
    await r.watch("n");
    await other.incr("n");
    assert.equal(await r.multi().set("n", 0).exec(), null);
    const keys = [];
    for await (const page of r.scanStream({ match: "k*" })) keys.push(...page);
    assert.deepEqual(keys, ["k"]);
}

async function pubsub() {
    const heard = [];
    for (const port of PORTS) {
        const subscriber = connect(port);
        const messages = [];
        heard.push(messages);
        subscriber.on("message", (_, message) => messages.push(message));
        subscriber.on("pmessage", (pattern, _, message) => messages.push(`${pattern} ${message}`));
        assert.equal(await subscriber.subscribe("news"), 1);
        assert.equal(await subscriber.psubscribe("n?ws"), 2);
    }
    const publishers = PORTS.map((port) => connect(port));
    assert.deepEqual(await publishers[0].pubsub("CHANNELS"), ["news"]);
    await Promise.all(
        publishers.flatMap((client, name) => Array.from({ length: 100 }, (_, i) => client.publish("news", `${name} ${i}`))),
    );
    await until("all messages", () => heard.every((messages) => messages.length === 600));
    assert.deepEqual(heard[1], heard[0]);
    assert.deepEqual(heard[2], heard[0]);
}

async function sentinel() {
    const sentinels = PORTS.map((port) => ({ host: HOST, port }));
    const options = { sentinels, name: "mymaster", failoverDetector: true };
    const master = new Redis(options);
    // A connection to a replica must not ask for its role: every server here calls itself the master.
    const replica = new Redis({ ...options, role: "slave", enableReadyCheck: false });
    master.on("error", () => {});
    replica.on("error", () => {});
    await master.set("kept", "before");
    assert.equal(await replica.get("kept"), "before");
    const port = master.stream.remotePort;
    kill(port);
    await keeps(() => master.set("kept", "after"));
    assert.notEqual(master.stream.remotePort, port);
    assert.equal(await keeps(() => replica.get("kept")), "after");
}

async function cluster() {
    const c = new Cluster(PORTS.map((port) => ({ host: HOST, port })), { scaleReads: "all" });
    c.on("error", () => {});
    for (let i = 0; i < 100; i++) await c.set(`key:${i}`, i);
    // Reads may go to what it takes for replicas, and are strong nevertheless.
    for (let i = 0; i < 100; i++) assert.equal(await c.get(`key:${i}`), `${i}`);
    assert.equal(c.nodes("master").length, 1);
    assert.equal(c.nodes("slave").length, 2);
    kill(c.nodes("master")[0].options.port);
    for (let i = 0; i < 100; i++) await keeps(() => c.set(`key:${i}`, i + 1));
    for (let i = 0; i < 100; i++) assert.equal(await keeps(() => c.get(`key:${i}`)), `${i + 1}`);
}

await run({ basic, pubsub, sentinel, cluster });
