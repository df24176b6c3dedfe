// Programs that the tests start. None remains when the process of the tests ends.
import { spawn } from "node:child_process";

const children = new Set();

// Kills the programs that have not ended.
export const killChildren = () => children.forEach((child) => child.kill("SIGKILL"));

// Starts a program, with the parameters of `spawn`.
export function startChild(...parameters) {
  const child = spawn(...parameters);
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

process.on("exit", killChildren);
// By default, a signal ends the process without the event "exit". The test runner sends SIGTERM at
// a timeout.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
