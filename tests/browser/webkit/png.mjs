// Pixels of an image in the format PNG, with 8 bits per channel and without interlacing.
import { inflateSync } from "node:zlib";

const SIGNATURE_LENGTH = 8;
const CHANNELS = { 2: 3, 6: 4 };

function* chunks(image) {
  for (let at = SIGNATURE_LENGTH; at < image.length;) {
    const length = image.readUInt32BE(at);
    yield [image.toString("latin1", at + 4, at + 8), image.subarray(at + 8, at + 8 + length)];
    at += length + 12;
  }
}

const paeth = (left, up, corner) => {
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
  return a <= b && a <= c ? left : b <= c ? up : corner;
};

const PREDICTORS = [
  () => 0,
  (left) => left,
  (left, up) => up,
  (left, up) => (left + up) >> 1,
  paeth,
];

// Undoes the filter of each row (PNG specification, section 9).
const unfilter = (data, rowLength, pixelLength) => {
  const rows = [];
  for (let at = 0; at < data.length; at += rowLength + 1) {
    const predict = PREDICTORS[data[at]];
    const row = Buffer.from(data.subarray(at + 1, at + 1 + rowLength));
    const above = rows.at(-1) ?? Buffer.alloc(rowLength);
    for (let n = 0; n < rowLength; n += 1) row[n] += predict(row[n - pixelLength] ?? 0, above[n], above[n - pixelLength] ?? 0);
    rows.push(row);
  }
  return rows;
};

// Returns the pixels of a part of an image.
export function crop(image, { x, y, width, height }) {
  const parts = [...chunks(image)];
  const [, header] = parts.find(([type]) => type === "IHDR");
  const pixelLength = CHANNELS[header[9]];
  const data = inflateSync(Buffer.concat(parts.filter(([type]) => type === "IDAT").map(([, part]) => part)));
  const rows = unfilter(data, header.readUInt32BE(0) * pixelLength, pixelLength);
  return Buffer.concat(rows.slice(y, y + height).map((row) => row.subarray(x * pixelLength, (x + width) * pixelLength)));
}
