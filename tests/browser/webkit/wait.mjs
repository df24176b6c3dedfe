// Waits for conditions and events.
import { setTimeout as sleep } from "node:timers/promises";
import { urlMatcher } from "./glob.mjs";

const LIMIT = 30_000; // milliseconds, as in Playwright
const INTERVAL = 20;

// Calls a function until it returns a truthy value. Returns the value.
export async function poll(what, condition, { timeout = LIMIT } = {}) {
  for (const end = Date.now() + timeout; ; await sleep(INTERVAL)) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`Timeout ${timeout}ms exceeded: ${await (typeof what === "function" ? what() : what)}`);
  }
}

// Waits for an event that meets the condition.
export async function waitForEvent(emitter, name, condition = () => true, { timeout = LIMIT } = {}) {
  const seen = [];
  const add = (event) => seen.push(event);
  emitter.on(name, add);
  try {
    for (const end = Date.now() + timeout; ; await sleep(INTERVAL)) {
      while (seen.length) {
        const event = seen.shift();
        if (await condition(event)) return event;
      }
      if (Date.now() > end) throw new Error(`Timeout ${timeout}ms exceeded: no event "${name}"`);
    }
  } finally {
    emitter.off(name, add);
  }
}

// Returns a condition for a response: a function of it, or a pattern of its URL.
export const responseMatcher = (expected) => {
  if (typeof expected === "function") return expected;
  const matches = urlMatcher(expected);
  return (response) => matches(response.url());
};
