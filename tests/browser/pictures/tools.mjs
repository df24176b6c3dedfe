// Fonts and encoders for the pictures, from Debian packages.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newFolder } from "../site.mjs";

const run = (command, options, folder) => execFileSync(command, options, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });

const asRoot = (...command) => (process.getuid() === 0 ? run(command[0], command.slice(1)) : run("sudo", command));

// Installs the WebP encoders if they are missing.
export function installEncoders() {
  if (existsSync("/usr/bin/img2webp")) return;
  asRoot("apt-get", "update", "-qq");
  asRoot("apt-get", "install", "-y", "-qq", "--no-install-recommends", "webp");
}

const families = (name, list) =>
  `<alias binding="same"><family>${name}</family><prefer>${list.map((family) => `<family>${family}</family>`).join("")}</prefer></alias>`;

// Gives later browsers the same fonts on every machine. Downloads the fonts, but installs nothing.
export function useFonts() {
  const folder = newFolder();
  run("apt-get", ["download", "-qq", "-o", "APT::Sandbox::User=root", "fonts-inter", "fonts-noto-core", "fonts-dejavu-core"], folder);
  run("sh", ["-c", "for package in *.deb; do dpkg -x \"$package\" .; done"], folder);
  mkdirSync(join(folder, "cache"));
  const file = join(folder, "fonts.conf");
  writeFileSync(file, `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
    <dir>${folder}/usr/share/fonts</dir><cachedir>${folder}/cache</cachedir>
    ${["system-ui", "sans-serif"].map((name) => families(name, ["Inter", "Noto Sans Arabic"])).join("")}
    ${["monospace", "ui-monospace"].map((name) => families(name, ["DejaVu Sans Mono"])).join("")}
  </fontconfig>`);
  process.env.FONTCONFIG_FILE = file;
}

// Writes pictures to an animation that plays once: a browser has no control to pause it (WCAG 2.2.2).
// Each frame has a picture (PNG) and a duration in milliseconds.
export function writeAnimation(path, frames) {
  const folder = newFolder();
  const options = frames.flatMap(({ picture, duration }, index) => {
    const file = join(folder, `${index}.png`);
    writeFileSync(file, picture);
    return ["-d", String(duration), "-lossless", "-m", "6", file];
  });
  run("img2webp", ["-loop", "1", "-min_size", ...options, "-o", path]);
}

// Writes a picture (PNG) to a file.
export function writePicture(path, picture) {
  const file = join(newFolder(), "picture.png");
  writeFileSync(file, picture);
  run("cwebp", ["-quiet", "-lossless", "-z", "9", file, "-o", path]);
}
