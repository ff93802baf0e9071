// Draws a small picture as PNG, so that no file has to be kept for it.

import * as zlib from 'node:zlib';

// zlib.crc32 came with Node 20.15; older ones get the same by hand.
const table = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});
const checksum =
  zlib.crc32 ?? ((bytes) => (bytes.reduce((sum, byte) => table[(sum ^ byte) & 255] ^ (sum >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0);

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(checksum(body) >>> 0);
  return Buffer.concat([length, body, sum]);
}

/** A curve over a grid: something that a desk would paste into a room. */
export function picture(width, height) {
  const rows = [];
  for (let y = 0; y < height; y++) {
    const row = Buffer.alloc(1 + width * 3);
    for (let x = 0; x < width; x++) {
      const curve = height * (0.82 - 0.6 * (1 - Math.exp((-3.2 * x) / width)) + 0.03 * Math.sin(x / 17));
      const near = Math.abs(y - curve) < 2.2;
      const under = y > curve;
      const grid = x % 40 === 0 || y % 40 === 0;
      const colour = near ? [10, 102, 110] : grid ? [222, 228, 232] : under ? [226, 241, 241] : [255, 255, 255];
      row.set(colour, 1 + x * 3);
    }
    rows.push(row);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', zlib.deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
