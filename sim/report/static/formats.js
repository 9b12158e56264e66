// Numbers of the charts as text, as sim/report/numbers.py has them.

function plainNumber(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 1000) return decimal(value);
  const digits = size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : size >= 0.01 ? 4 : 6;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits }).replace("-", "−");
}

function duration(seconds) {
  if (!known(seconds)) return NONE;
  if (seconds === 0) return "0 s";
  if (seconds < 1) {
    const ms = seconds * 1000;
    return `${ms.toFixed(ms >= 100 ? 0 : ms >= 10 ? 1 : 2).replace(/\.0+$/, "")} ms`;
  }
  if (seconds < 60) return `${plainNumber(Number(seconds.toFixed(seconds < 10 ? 2 : 1)))} s`;
  const whole = Math.round(seconds);
  for (const [big, bigName, small, smallName] of [
    [86400, "d", 3600, "h"],
    [3600, "h", 60, "min"],
    [60, "min", 1, "s"],
  ]) {
    if (whole < big) continue;
    const rest = Math.floor((whole % big) / small);
    return `${decimal(Math.floor(whole / big))} ${bigName}${rest ? ` ${rest} ${smallName}` : ""}`;
  }
  return NONE;
}

// The text of a value on an axis of a chart, with its unit.
function valueText(axisOf, value) {
  if (!known(value)) return NONE;
  const tick = (axisOf.ticks || []).find(([at]) => at === value);
  if (axisOf.kind === "words") return tick ? tick[1] : plainNumber(value);
  if (axisOf.kind === "duration") return duration(value);
  if (axisOf.kind === "percent") return `${plainNumber(value)} %`;
  return [plainNumber(value), axisOf.unit].filter(Boolean).join(" ");
}
