// What node-redis does against three servers of Niagara: basic, pubsub, sentinel or cluster.

import assert from "node:assert/strict";
import { createClient, createCluster, createSentinel } from "redis";
import { HOST, PORTS, keeps, kill, run, until } from "./trial.mjs";

const connect = async (port) => {
    const client = createClient({ socket: { host: HOST, port } });
    client.on("error", () => {});
    return client.connect();
};

async function basic() {
    const r = await connect(PORTS[0]);
    const other = await connect(PORTS[1]);
    await r.flushAll();
    assert.equal(await r.set("k", "v", { EX: 100 }), "OK");
    assert.equal(await other.get("k"), "v");
    const replies = await Promise.all(Array.from({ length: 1000 }, () => r.incr("n")));
    assert.equal(replies.at(-1), 1000);
    assert.deepEqual(await r.multi().incr("n").get("n").exec(), [1001, "1001"]);
    await r.watch("n");
    await other.incr("n");
    await assert.rejects(r.multi().set("n", "0").exec(), /watched/);
    const keys = [];
    for await (const page of r.scanIterator({ MATCH: "k*" })) keys.push(...[page].flat());
    assert.deepEqual(keys, ["k"]);
}

async function pubsub() {
    const heard = [];
    for (const port of PORTS) {
        const subscriber = await connect(port);
        const messages = [];
        heard.push(messages);
        await subscriber.subscribe("news", (message) => messages.push(message));
        await subscriber.pSubscribe("n?ws", (message) => messages.push(`n?ws ${message}`));
        await subscriber.sSubscribe("news", (message) => messages.push(`shard ${message}`));
    }
    const publishers = await Promise.all(PORTS.map(connect));
    assert.deepEqual(await publishers[0].pubSubChannels(), ["news"]);
    await Promise.all(
        publishers.flatMap((client, name) => Array.from({ length: 100 }, (_, i) => client.publish("news", `${name} ${i}`))),
    );
    await publishers[0].sPublish("news", "last");
    await until("all messages", () => heard.every((messages) => messages.length === 601));
    assert.deepEqual(heard[1], heard[0]);
    assert.deepEqual(heard[2], heard[0]);
}

async function sentinel() {
    const s = createSentinel({
        name: "mymaster",
        sentinelRootNodes: PORTS.map((port) => ({ host: HOST, port })),
        replicaPoolSize: 1,
    });
    s.on("error", () => {});
    await s.connect();
    await s.set("kept", "before");
    assert.equal(await s.get("kept"), "before");
    const port = s.getMasterNode().port;
    kill(port);
    await keeps(() => s.set("kept", "after"));
    assert.equal(await keeps(() => s.get("kept")), "after");
    await until("another master", () => s.getMasterNode()?.port !== port);
}

async function cluster() {
    const c = createCluster({
        rootNodes: PORTS.map((port) => ({ socket: { host: HOST, port } })),
        useReplicas: true,
    });
    c.on("error", () => {});
    await c.connect();
    for (let i = 0; i < 100; i++) await c.set(`key:${i}`, `${i}`);
    // Reads may go to what it takes for replicas, and are strong nevertheless.
    for (let i = 0; i < 100; i++) assert.equal(await c.get(`key:${i}`), `${i}`);
    assert.equal(c.masters.length, 1);
    assert.equal(c.replicas.length, 2);
    kill(c.masters[0].port);
    for (let i = 0; i < 100; i++) await keeps(() => c.set(`key:${i}`, `${i + 1}`));
    for (let i = 0; i < 100; i++) assert.equal(await keeps(() => c.get(`key:${i}`)), `${i + 1}`);
}

await run({ basic, pubsub, sentinel, cluster });
