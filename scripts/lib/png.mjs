// Makes a PNG smaller: 256 colours, of which a picture of flat areas and text needs no more. Reads what Chromium writes
// (8 bits a channel, RGB or RGBA, not interlaced).

import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = 8;
const COLOURS = 256;
/** By the header's colour type. */
const CHANNELS = { 2: 3, 6: 4 };

/** @param {Buffer} png */
export function smaller(png) {
  const { width, height, pixels } = read(png);
  const counts = new Map();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const palette = [...counts]
    .sort(([, one], [, other]) => other - one)
    .slice(0, COLOURS)
    .map(([colour]) => colour);
  const indices = new Map([...counts.keys()].map((colour) => [colour, nearest(palette, colour)]));
  const lines = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) lines[y * (width + 1) + 1 + x] = indices.get(pixels[y * width + x]);
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 3, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const colours = Buffer.from(palette.flatMap(channels));
  return Buffer.concat([
    png.subarray(0, SIGNATURE),
    chunk("IHDR", header),
    chunk("PLTE", colours),
    chunk("IDAT", deflateSync(lines, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** @param {Buffer} png */
function read(png) {
  const parts = [];
  /** @type {Buffer} */
  let header = Buffer.alloc(0);
  for (let at = SIGNATURE; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const data = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
    const type = png.toString("latin1", at + 4, at + 8);
    if (type === "IHDR") header = data;
    if (type === "IDAT") parts.push(data);
  }
  const [width, height, size] = [header.readUInt32BE(0), header.readUInt32BE(4), CHANNELS[header[9]]];
  const lines = unfiltered(inflateSync(Buffer.concat(parts)), width * size, height, size);
  const pixels = Array.from({ length: width * height }, (_, index) => lines.readUIntBE(index * size, 3));
  return { width, height, pixels };
}

/** The bytes of the lines, without the filters of PNG (9.2 of its specification). */
function unfiltered(data, stride, height, size) {
  const lines = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y += 1) {
    const filter = data[y * (stride + 1)];
    for (let x = 0; x < stride; x += 1) {
      const at = y * stride + x;
      const left = x >= size ? lines[at - size] : 0;
      const up = y > 0 ? lines[at - stride] : 0;
      const corner = x >= size && y > 0 ? lines[at - stride - size] : 0;
      lines[at] = data[y * (stride + 1) + 1 + x] + predicted(filter, left, up, corner);
    }
  }
  return lines;
}

function predicted(filter, left, up, corner) {
  if (filter === 4) {
    const [byLeft, byUp, byCorner] = [up - corner, left - corner, left + up - 2 * corner].map(Math.abs);
    if (byLeft <= byUp && byLeft <= byCorner) return left;
    return byUp <= byCorner ? up : corner;
  }
  return [0, left, up, (left + up) >> 1][filter];
}

const channels = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];

/** The index of the colour of a palette that is nearest. */
function nearest(palette, colour) {
  const [red, green, blue] = channels(colour);
  const distances = palette.map((other) => {
    const [r, g, b] = channels(other);
    return (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
  });
  return distances.indexOf(Math.min(...distances));
}

/**
 * @param {string} type
 * @param {Buffer} data
 */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
