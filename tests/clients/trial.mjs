// What the clients in JavaScript share: the servers, how to kill one, and how to wait.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export const HOST = "127.0.0.1";
export const PORTS = process.env.NIAGARA_PORTS.split(" ").map(Number);
// Longer than a failover takes on any machine, in milliseconds.
const LONG = 60_000;

export function kill(port) {
    process.kill(Number(readFileSync(`${process.env.NIAGARA_PIDS}/${port}`, "utf8")), "SIGKILL");
}

export async function until(what, look) {
    for (const end = Date.now() + LONG; Date.now() < end; await sleep(50)) {
        const found = await look();
        if (found) return found;
    }
    assert.fail(`waited in vain for ${what}`);
}

// Calls until it succeeds, as a program does whose server has gone.
export async function keeps(action) {
    const attempt = async () => {
        try {
            return [await action()];
        } catch (error) {
            const isReply = error.name === "ReplyError" || error.constructor.name === "SimpleError";
            assert(!isReply || /^(CLUSTERDOWN|NOQUORUM|LOADING|UNKNOWN)/.test(error.message), error);
            return null;
        }
    };
    return (await until("the other servers", attempt))[0];
}

// Runs the part that the command line names.
export async function run(parts) {
    await parts[process.argv[2]]();
    process.exit(0);
}
