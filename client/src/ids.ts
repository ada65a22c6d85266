let lastTime = 0;
let counter = 0;

/** A new id, a UUID of version 7: later ones are greater, also within a millisecond. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const now = Date.now();
  if (now > lastTime) {
    lastTime = now;
    counter = (bytes[6]! & 0x07) * 256 + bytes[7]!; // the upper half is left to count up in
  } else if (++counter > 0xfff) {
    lastTime += 1;
    counter = 0;
  }
  new DataView(bytes.buffer).setUint32(2, lastTime); // the lower 32 of 48 bits
  bytes[0] = lastTime / 2 ** 40;
  bytes[1] = lastTime / 2 ** 32;
  bytes[6] = 0x70 | (counter >> 8);
  bytes[7] = counter;
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
