// The contents of the page: base64, deflate, directory, columns (sim/dashboard/columns.py).

async function inflated(text) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error(
      "This browser cannot unpack the page. Use Chrome 103, Firefox 113, Safari 16.4 or newer.",
    );
  }
  const packed = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).arrayBuffer();
}

// Differences in planes of bytes to numbers; NaN for no value.
function column(bytes, { bytes: width, shape: [lines, length], scale, at }) {
  const count = lines * length;
  const steps = new { 1: Int8Array, 2: Int16Array, 4: Int32Array }[width](count);
  const raw = new Uint8Array(steps.buffer);
  for (let plane = 0; plane < width; plane++) {
    for (let place = 0; place < count; place++)
      raw[place * width + plane] = bytes[at + plane * count + place];
  }
  const values = new Float64Array(count);
  const missing = -(2 ** (8 * width - 1));
  const sum = new steps.constructor(1); // wraps around, as the differences did
  for (let line = 0, place = 0; line < lines; line++) {
    sum[0] = 0;
    for (let step = 0; step < length; step++, place++) {
      sum[0] += steps[place];
      values[place] = sum[0] === missing ? NaN : sum[0] * scale;
    }
  }
  return values;
}

async function contents() {
  const whole = await inflated(byId("block").textContent.trim());
  const head = new DataView(whole).getUint32(0, true);
  const bytes = new Uint8Array(whole, 4 + head);
  const { columns, facts } = JSON.parse(new TextDecoder().decode(new Uint8Array(whole, 4, head)));
  const grid = Object.fromEntries(
    Object.entries(columns).map(([name, each]) => [name, column(bytes, each)]),
  );
  return { ...facts, columns: grid };
}
