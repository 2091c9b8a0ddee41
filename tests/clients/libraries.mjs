// What libraries on top of ioredis and node-redis do with servers of Niagara: redlock, rate-limiter, sessions, keyv,
// cache-manager and socket.io.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import KeyvRedis, { Keyv, createKeyv } from "@keyv/redis";
import { createAdapter } from "@socket.io/redis-adapter";
import { createCache } from "cache-manager";
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";
import { createClient } from "redis";
import Redlock from "redlock";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { HOST, PORTS, run, until } from "./trial.mjs";

const url = (number) => `redis://${HOST}:${PORTS[number]}`;
const connect = (number) => new Redis(PORTS[number], HOST);

async function emptied() {
    const client = connect(0);
    await client.flushall();
    return client;
}

async function redlock() {
    await emptied();
    // All servers have the same keys, so to Redlock they are one.
    const [one, other] = [0, 1].map((number) => new Redlock([connect(number)], { retryCount: 0 }));
    const lock = await one.lock("resource", 10_000);
    await assert.rejects(other.lock("resource", 10_000), { name: "LockError" });
    const longer = await lock.extend(20_000);
    await longer.unlock();
    const brief = await other.lock("resource", 500);
    await sleep(1000);
    const again = await one.lock("resource", 10_000);
    await assert.rejects(brief.unlock(), { name: "LockError" });
    await again.unlock();
}

async function rateLimiter() {
    await emptied();
    const limiter = (number) =>
        new RateLimiterRedis({ storeClient: connect(number), points: 10, duration: 2, blockDuration: 0 });
    const limiters = [limiter(0), limiter(1), limiter(2)];
    const tried = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => limiters[i % 3].consume("somebody")));
    assert.equal(tried.filter(({ status }) => status === "fulfilled").length, 10, "servers count together");
    const refused = tried.find(({ status }) => status === "rejected").reason;
    assert(refused.msBeforeNext > 0 && refused.msBeforeNext <= 2000, refused);
    assert.equal((await limiters[0].consume("somebody else")).remainingPoints, 9);
    await sleep(2500);
    assert.equal((await limiters[1].consume("somebody")).remainingPoints, 9);
    await limiters[0].penalty("somebody", 3);
    assert.equal((await limiters[2].get("somebody")).consumedPoints, 4);
    await limiters[0].delete("somebody");
    assert.equal(await limiters[1].get("somebody"), null);
}

async function sessions() {
    const store = async (number) => new RedisStore({ client: await createClient({ url: url(number) }).connect(), ttl: 100 });
    await emptied();
    const stores = [await store(0), await store(1)];
    const listen = (store) => {
        const app = express();
        app.use(session({ store, secret: "secret", resave: false, saveUninitialized: false }));
        app.get("/count", (request, response) => {
            request.session.count = (request.session.count ?? 0) + 1;
            response.json(request.session.count);
        });
        app.get("/leave", (request, response) => request.session.destroy(() => response.json("left")));
        const server = createServer(app).listen(0, HOST);
        return new Promise((resolve) => server.on("listening", () => resolve(server.address().port)));
    };
    const ports = [await listen(stores[0]), await listen(stores[1])];
    const first = await fetch(`http://${HOST}:${ports[0]}/count`);
    const headers = { cookie: first.headers.get("set-cookie").split(";")[0] };
    const get = async (number, path) => (await fetch(`http://${HOST}:${ports[number]}/${path}`, { headers })).json();
    assert.equal(await get(1, "count"), 2, "the other server knows the session");
    assert.equal(await stores[0].length(), 1);
    assert.equal((await stores[1].all())[0].count, 2);
    assert.equal(await get(0, "leave"), "left");
    assert.equal(await get(1, "count"), 1);
    await stores[0].clear();
    assert.deepEqual(await stores[1].ids(), []);
}

async function keyv() {
    await emptied();
    const [one, other] = [0, 1].map((number) => new Keyv({ store: new KeyvRedis(url(number)), namespace: "trial" }));
    assert(await one.set("k", { a: 1 }, 100_000));
    assert.deepEqual(await other.get("k"), { a: 1 });
    await one.set("brief", "x", 500);
    await until("the end of a key", async () => (await other.get("brief")) === undefined);
    await one.setMany([
        { key: "a", value: 1 },
        { key: "b", value: 2 },
    ]);
    assert.deepEqual(await other.getMany(["a", "b", "c"]), [1, 2, undefined]);
    assert(await one.has("a"));
    assert(await one.delete("a"));
    const keys = [];
    for await (const [key] of one.iterator()) keys.push(key);
    assert.deepEqual(keys.sort(), ["b", "k"]);
    await one.clear();
    assert.equal(await other.get("k"), undefined);
}

async function cacheManager() {
    await emptied();
    const [one, other] = [0, 1].map((number) => createCache({ stores: [createKeyv(url(number))], ttl: 100_000 }));
    let calls = 0;
    const compute = (cache) => cache.wrap("k", async () => ({ calls: ++calls }), 100_000);
    assert.deepEqual([await compute(one), await compute(other)], [{ calls: 1 }, { calls: 1 }]);
    await one.mset([
        { key: "a", value: 1 },
        { key: "b", value: 2 },
    ]);
    assert.deepEqual(await other.mget(["a", "b"]), [1, 2]);
    await one.set("brief", "x", 500);
    await until("the end of a key", async () => (await other.get("brief")) === undefined);
    await other.del("a");
    assert.equal(await one.get("a"), undefined);
    await one.clear();
    assert.equal(await other.get("b"), undefined);
}

// Three web servers that know each other by a name, each with a client in a room.
async function webServers(key, numbers) {
    const listen = async (number) => {
        const http = createServer();
        await new Promise((resolve) => http.listen(0, HOST, resolve));
        const server = new Server(http, { adapter: createAdapter(connect(number), connect(number), { key }) });
        server.on("connection", (socket) => {
            socket.join("room");
            socket.on("say", (text) => server.to("room").emit("said", text));
        });
        return server;
    };
    const servers = await Promise.all(numbers.map(listen));
    const clients = servers.map((server) =>
        io(`http://${HOST}:${server.httpServer.address().port}`, { transports: ["websocket"] }),
    );
    await until("connections", async () => clients.every(({ connected }) => connected));
    return { servers, clients };
}

async function socketIo() {
    const { clients } = await webServers("apart", [0, 1, 2]);
    const heard = clients.map((client) => {
        const texts = [];
        client.on("said", (text) => texts.push(text));
        return texts;
    });
    // Each message goes to whoever subscribes at that moment.
    await until("all messages", async () => {
        clients.forEach((client, number) => client.emit("say", `from ${number}`));
        await sleep(100);
        return heard.every((texts) => [0, 1, 2].every((number) => texts.includes(`from ${number}`)));
    });
    // Web servers that ask each other count who subscribes, so all of them have to use one server.
    const { servers, clients: others } = await webServers("together", [0, 0, 0]);
    await until("all sockets", async () => (await servers[0].in("room").fetchSockets()).length === 3);
    const greeted = new Promise((resolve) => servers[0].on("hello", resolve));
    servers[1].serverSideEmit("hello", "servers");
    assert.equal(await greeted, "servers");
    others.forEach((client) => client.once("ask", (answer) => answer("here")));
    const answers = await servers[0].timeout(30_000).to("room").emitWithAck("ask");
    assert.deepEqual(answers, ["here", "here", "here"]);
}

await run({ redlock, "rate-limiter": rateLimiter, sessions, keyv, "cache-manager": cacheManager, "socket.io": socketIo });
