// Processes of the browser.
import { readFileSync, readdirSync } from "node:fs";

const RENDERER = "WebKitWebProces"; // the system shortens names to 15 letters

// Returns the name, the parent and the processor time of a process.
const readStat = (id) => {
  const [, name, rest] = /\((.*)\) (.*)/s.exec(readFileSync(`/proc/${id}/stat`, "utf8"));
  const fields = rest.split(" ");
  return { id, name, parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
};

const readAll = () => readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
  try {
    return [readStat(Number(name))];
  } catch {
    return []; // it has ended since
  }
});

// Returns the renderers that this process has started.
const renderers = () => {
  const all = new Map(readAll().map((stat) => [stat.id, stat]));
  const isOurs = ({ id, parent }) => id === process.pid || (all.has(parent) && isOurs(all.get(parent)));
  return [...all.values()].filter((stat) => stat.name === RENDERER && isOurs(stat));
};

// Returns the process that a page keeps busy. Several tabs may share it.
export async function processOf(page) {
  const before = new Map(renderers().map(({ id, ticks }) => [id, ticks]));
  await page.evaluate(() => { for (const end = performance.now() + 700; performance.now() < end;); });
  const used = renderers().map(({ id, ticks }) => ({ id, ticks: ticks - (before.get(id) ?? 0) }));
  return used.sort((a, b) => b.ticks - a.ticks)[0].id;
}
