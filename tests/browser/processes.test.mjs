// Processes of the example site: restarts, and two processes with one registry.
import assert from "node:assert/strict";
import { once } from "node:events";
import { get } from "node:http";
import { test } from "./scenarios.mjs";
import { freePort, newFolder, startRedis, startSite, startSiteIn } from "./site.mjs";

const signIn = async (site, user = "alice") => {
  const response = await fetch(`${site.address}/login`, {
    method: "POST", redirect: "manual", body: new URLSearchParams({ username: user, password: user }),
  });
  assert.equal(response.status, 303);
  return response.headers.getSetCookie()[0].split(";")[0];
};

const reasonAt = async (site, cookie) => {
  const response = await fetch(`${site.address}/api/me`, { headers: { cookie } });
  return response.ok ? "signed in" : (await response.json()).reason;
};

test("killed site keeps its sessions after a restart", async () => {
  const folder = newFolder();
  const before = await startSiteIn(folder, "--max-sessions", "1");
  const [evicted, live] = [await signIn(before), await signIn(before)];
  await before.stop("SIGKILL");
  const after = await startSiteIn(folder, "--max-sessions", "1");
  try {
    assert.equal(await reasonAt(after, live), "signed in");
    assert.equal(await reasonAt(after, evicted), "evicted");
  } finally {
    after.stop();
  }
});

// Opens a WebSocket. Returns the connection.
const openSocket = (site, cookie) => new Promise((resolve, reject) => {
  const headers = {
    cookie, connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const request = get(`${site.address}/chat/socket`, { headers });
  request.on("upgrade", (response, socket) => resolve(socket)).on("error", reject);
});

test("SIGTERM closes open streams and sockets, and stops the site", async () => {
  const site = await startSite("--registry", "memory");
  const cookie = await signIn(site);
  const stream = await fetch(`${site.address}/session/events`, { headers: { cookie } });
  assert.equal(stream.headers.get("content-type"), "text/event-stream");
  const socket = await openSocket(site, cookie);
  const frame = once(socket, "data");
  const start = performance.now();
  const closed = site.stop("SIGTERM");
  assert.match(await stream.text(), /^data: {"state":"active"/m);
  const time = performance.now() - start;
  const [bytes] = await frame;
  assert.deepEqual([bytes[0], bytes.readUInt16BE(2), String(bytes.subarray(4))], [0x88, 1001, "shutting_down"]);
  assert.deepEqual(await closed, [0, null]);
  console.log(`the stream ended after ${Math.round(time)} ms, the site after ${Math.round(performance.now() - start)} ms`);
});

test("a wrong Redis password is a startup error that names the fix", async () => {
  const redis = await startRedis("--requirepass", "right");
  try {
    const url = redis.url.replace("//", "//:wr0ng@");
    await assert.rejects(startSite("--registry", url), ({ message }) => {
      assert.match(message, /^the site does not start: error: cannot use the Redis server at redis:.*check the user, the password/);
      assert.doesNotMatch(message, /wr0ng/);
      return true;
    });
  } finally {
    redis.stop();
  }
});

async function assertTwoProcessesShareSessions(folder, ...flags) {
  flags = [...flags, "--max-sessions", "1"];
  const sites = [await startSiteIn(folder, ...flags), await startSiteIn(folder, ...flags)];
  try {
    const first = await signIn(sites[0]);
    assert.equal(await reasonAt(sites[1], first), "signed in");
    const second = await signIn(sites[1]);
    assert.equal(await reasonAt(sites[0], first), "evicted");
    assert.equal(await reasonAt(sites[0], second), "signed in");
  } finally {
    sites.forEach((site) => site.stop());
  }
}

test("two processes with one SQLite file share sessions", async () => {
  await assertTwoProcessesShareSessions(newFolder());
});

test("two processes with one Redis share sessions", async () => {
  const redis = await startRedis();
  try {
    await assertTwoProcessesShareSessions(newFolder(), "--registry", redis.url);
  } finally {
    redis.stop();
  }
});

test("site without its Redis does not start and says why", async () => {
  await assert.rejects(startSite("--registry", `redis://127.0.0.1:${await freePort()}/0`), /check that it is running there/);
});
