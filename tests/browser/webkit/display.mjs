// A virtual X display with a window manager.
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startChild } from "../children.mjs";

// With its usual toolbar, MiniBrowser cannot be narrower than 447 pixels.
const STYLE = `
headerbar, toolbar, headerbar *, toolbar *, entry, button {
  min-width: 0; min-height: 0; padding: 0; margin: 0; border-width: 0; font-size: 1px;
}
image { -gtk-icon-transform: scale(0.1); }
`;

async function startServer() {
  const args = ["-displayfd", "3", "-screen", "0", "1600x1400x24", "-nolisten", "tcp"];
  const server = startChild("Xvfb", args, { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const failed = once(server, "exit").then(() => { throw new Error("Xvfb did not start"); });
  const [number] = await Promise.race([once(server.stdio[3], "data"), failed]);
  failed.catch(() => {});
  return { server, name: `:${String(number).trim()}` };
}

// Starts a display. Returns the environment of its programs and a function that stops it.
export async function startDisplay() {
  const folder = mkdtempSync(join(tmpdir(), "session-expire-display-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["gtk-3.0", "locales"]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "gtk-3.0", "gtk.css"), STYLE);
  const { server, name } = await startServer();
  const env = {
    ...process.env,
    DISPLAY: name,
    GDK_BACKEND: "x11",
    LANGUAGE: "en_US",
    LOCPATH: join(folder, "locales"),
    NO_AT_BRIDGE: "1",
    WEBKIT_DISABLE_COMPOSITING_MODE: "1", // compositing is slow without a graphics card
    XDG_CONFIG_HOME: folder,
  };
  const manager = startChild("openbox", [], { env, stdio: "ignore" });
  return { env, stop: () => { manager.kill(); server.kill(); } };
}
