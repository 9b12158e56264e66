// The charts of a report, from their description (sim/report/chart.py).

const NARROW = 520;
const LANE = 24; // height of a strip above a chart: its text, and below it its spans
const STRIP = 7;
const ALIGNED = 58; // width of the y axis of charts that share their x axis
const MARK = 17; // room for the texts of upright lines

const charts = JSON.parse(byId("charts").textContent);
const paintOf = (name) => colour(name) || name;
const finite = (values) => values.filter((each) => known(each));

// Places of the x axis at the ends of what the chart shows.
function ends(chart) {
  const [low, high] = [chart.xs[0], chart.xs[chart.xs.length - 1]];
  const pad = chart.series.some((each) => each.form === "points") && !chart.x.log ? 0.03 * (high - low || 1) : 0;
  return [chart.x.low ?? low - pad, chart.x.high ?? high + pad];
}

// Values as they are drawn: those of a stack lie on top of each other.
function drawn(chart) {
  let base = null;
  return chart.series.map((each) => {
    if (each.form !== "stack") return each.values;
    base = each.values.map((value, place) => (value ?? 0) + (base ? base[place] : 0));
    return base;
  });
}

function reach(chart, values) {
  const all = finite([
    ...values.flat(),
    ...chart.series.flatMap((each) => [...(each.low || []), ...(each.high || [])]),
    ...(chart.lines || []).map((each) => each.at),
    ...(chart.heat ? [chart.heat.y[0], chart.heat.y[chart.heat.y.length - 1]] : []),
  ]);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  if (chart.y.log) return [chart.y.low ?? low, chart.y.high ?? high];
  const room = 0.12 * (high - Math.min(low, 0) || 1);
  return [chart.y.low ?? Math.min(0, low < 0 ? low - room : 0), chart.y.high ?? high + room];
}

function ticks(axisOf, narrow) {
  const few = (axisOf.ticks || []).filter((_, place, all) => !narrow || all.length < 7 || place % 2 === 0);
  return few.length
    ? { splits: () => few.map(([at]) => at), values: (plot) => apart(plot, few), filter: undefined }
    : { values: (_, found) => found.map((at) => (at === null ? "" : axisText(axisOf, at))) };
}

// Texts of ticks. One that would touch the next one is left out.
function apart(plot, ticksOf) {
  let free = Infinity;
  return ticksOf
    .map(([at, text]) => [plot.valToPos(at, "x"), text])
    .reverse()
    .map(([middle, text]) => {
      const half = textWidth(plot, text) / 2;
      if (middle + half > free) return "";
      free = middle - half - 6;
      return text;
    })
    .reverse();
}

// Round steps of time, in seconds.
const STEPS = [
  ...[-6, -5, -4, -3, -2, -1].flatMap((power) => [1, 2, 5].map((step) => Number(`${step}e${power}`))),
  ...[1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200],
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((days) => 86400 * days),
];
const axisText = (axisOf, at) =>
  axisOf.kind === "number" || axisOf.kind === undefined ? plainNumber(at) : valueText(axisOf, at);

// Round places on a logarithmic axis, far enough from each other.
const logSplits = (axisOf, most) => (chart, place, low, high) => {
  const round =
    axisOf.kind === "duration"
      ? STEPS
      : [-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((step) => Number(`${step}e${power}`)));
  const apart = (high / low) ** (1 / most);
  const found = [];
  for (const at of round)
    if (at >= low * 0.999 && at <= high * 1.001 && (!found.length || at >= found[found.length - 1] * apart)) found.push(at);
  return found;
};

function options(chart, values, narrow) {
  const [low, high] = ends(chart);
  const [bottom, top] = reach(chart, values);
  const lanes = chart.lanes || [];
  const room = (chart.uprights || []).some((each) => each.label) ? MARK : 0;
  const scale = (fixed, log) => ({ time: false, distr: log ? 3 : 1, log: 10, range: () => fixed });
  const logOf = (axisOf, most) =>
    axisOf.log ? { splits: logSplits(axisOf, most), filter: (_, all) => all } : axisOf.kind === "duration" ? { incrs: STEPS } : {};
  return {
    height: chart.height - (narrow ? 10 : 0) + LANE * lanes.length + room,
    padding: [8 + LANE * lanes.length + room, rightRoom, 0, 0],
    scales: { x: scale([low, high], chart.x.log), y: scale([bottom, top], chart.y.log) },
    series: [{}, ...chart.series.map((each) => look(each))],
    axes: [
      axis({ space: narrow ? 62 : 74, size: 30, label: narrow ? chart.x.short || chart.x.label : chart.x.label, labelSize: 18, ...logOf(chart.x, narrow ? 4 : 9), ...ticks(chart.x, narrow) }),
      axis({ space: 30, size: (plot, texts) => Math.max(chart.sync ? ALIGNED : 0, sized(plot, texts)), ...logOf(chart.y, 6), ...ticks(chart.y, false), grid: { show: !chart.heat, stroke: colour("line"), width: 1 } }),
    ],
    cursor: chart.sync ? { sync: { key: chart.sync, setSeries: false } } : {},
    plugins: [cells(chart), marked(chart), tip((_, place) => lines(chart, place), heatLines(chart))],
  };
}

function look({ form, paint, dashed }) {
  const ink = paintOf(paint);
  const steps = uPlot.paths.stepped({ align: 1 });
  if (form === "points") return line(ink, "y", { width: 0, paths: () => null, points: { show: true, size: 8, fill: ink, stroke: colour("card"), width: 1 } });
  if (form === "joined") return line(ink, "y", { spanGaps: true, points: { show: true, size: 6, fill: ink } });
  if (form === "stack") return line(ink, "y", { width: 0, paths: steps, fill: ink });
  if (form === "area") return line(ink, "y", { paths: steps, fill: faded(ink, 0.2) });
  return line(ink, "y", { paths: form === "steps" ? steps : undefined, dash: dashed ? [6, 4] : undefined, spanGaps: form === "line" });
}

// Heading and lines of the tooltip.
function lines(chart, place) {
  const found = chart.series
    .map((each) => [each, each.values[place]])
    .filter(([, value]) => known(value))
    .map(([each, value]) => [paintOf(each.paint), [each.label, valueText(chart.y, value)].filter(Boolean).join(" ")]);
  if (chart.series.some((each) => each.form === "stack")) found.reverse();
  const at = chart.xs[place];
  const inside = (chart.lanes || []).flatMap((lane) =>
    lane.spans
      .filter((span) => at >= span.start && at < Math.max(span.end, span.start + (chart.xs[1] - chart.xs[0] || 0)))
      .map((span) => [paintOf(lane.paint), span.label]),
  );
  const phase = (chart.uprights || []).filter((each) => each.at <= at).pop();
  const head = [valueText(chart.x, at), phase?.label].filter(Boolean).join(" · ");
  return found.length || inside.length ? [[null, head], ...found, ...inside] : [];
}

// Lines of the tooltip for the cell under the cursor.
const heatLines = (chart) => (plot) => {
  if (!chart.heat) return [];
  const at = plot.posToVal(plot.cursor.top, "y");
  const row = chart.heat.y.findIndex((edge) => edge > at) - 1;
  const count = chart.heat.counts[row]?.[plot.cursor.idx];
  if (!count) return [];
  const range = `${valueText(chart.y, chart.heat.y[row])} to ${valueText(chart.y, chart.heat.y[row + 1])}`;
  return [[null, `${decimal(count)} ${chart.heat.noun}, ${range}`]];
};

const HEAT = ["#9fc9e6", "#4a97c9", "#0b5c94", "#e0a100", "#d55e00"];

function cells(chart) {
  if (!chart.heat) return { hooks: {} };
  const { y, counts } = chart.heat;
  const most = Math.log1p(Math.max(1, ...counts.flat()));
  return {
    hooks: {
      drawClear: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        const across = chart.xs.map((at) => Math.round(plot.valToPos(at, "x", true)));
        const up = y.map((at) => Math.round(plot.valToPos(at, "y", true)));
        counts.forEach((row, i) =>
          row.forEach((count, j) => {
            if (!count || j + 1 >= across.length) return;
            const shade = Math.floor((Math.log1p(count) / most) * (HEAT.length - 0.01));
            ctx.fillStyle = HEAT[shade];
            ctx.fillRect(across[j], up[i + 1], across[j + 1] - across[j], up[i] - up[i + 1]);
          }),
        );
        ctx.restore();
      },
    },
  };
}

// Lanes and texts above the chart, upright and level lines in it, error bars.
function marked(chart) {
  const write = (ctx, text, x, y, most, paint) => {
    if (ctx.measureText(text).width > most) return;
    ctx.fillStyle = paint;
    ctx.fillText(text, x, y);
  };
  return {
    hooks: {
      draw: (plot) => {
        const { ctx, bbox } = plot;
        const ratio = devicePixelRatio;
        const x = (at) => Math.min(Math.max(plot.valToPos(at, "x", true), bbox.left), bbox.left + bbox.width);
        const y = (at) => plot.valToPos(at, "y", true);
        ctx.save();
        ctx.font = FONT.replace("12px", `${11 * ratio}px`);
        ctx.textBaseline = "middle";
        ctx.textAlign = "left";
        const uprights = chart.uprights || [];
        uprights.forEach((each, place) => {
          const [left, right] = [x(each.at), x(uprights[place + 1]?.at ?? Infinity)];
          ctx.fillStyle = colour("rule");
          if (place) ctx.fillRect(left, bbox.top - MARK * ratio, ratio, bbox.height + MARK * ratio);
          if (each.label) write(ctx, each.label, left + 4 * ratio, bbox.top - 8 * ratio, right - left - 6 * ratio, colour("soft"));
        });
        const room = uprights.some((each) => each.label) ? MARK : 0;
        (chart.lanes || []).forEach((lane, place) => {
          const top = bbox.top - (room + LANE * place + STRIP + 2) * ratio;
          for (const span of lane.spans) {
            ctx.fillStyle = faded(paintOf(lane.paint), 0.16);
            ctx.fillRect(x(span.start), top, Math.max(2 * ratio, x(span.end) - x(span.start)), bbox.top + bbox.height - top);
            ctx.fillStyle = paintOf(lane.paint);
            ctx.fillRect(x(span.start), top, Math.max(3 * ratio, x(span.end) - x(span.start)), STRIP * ratio);
          }
          write(ctx, lane.label, bbox.left, top - 7 * ratio, bbox.width, paintOf(lane.paint));
        });
        for (const { at, label, paint } of chart.lines || []) {
          ctx.strokeStyle = paintOf(paint);
          ctx.lineWidth = 1.4 * ratio;
          ctx.setLineDash([5 * ratio, 4 * ratio]);
          ctx.beginPath();
          ctx.moveTo(bbox.left, y(at));
          ctx.lineTo(bbox.left + bbox.width, y(at));
          ctx.stroke();
          ctx.setLineDash([]);
          ctx.textAlign = "right";
          ctx.strokeStyle = colour("card");
          ctx.lineWidth = 3 * ratio;
          ctx.strokeText(label, bbox.left + bbox.width - 4 * ratio, y(at) - 8 * ratio);
          write(ctx, label, bbox.left + bbox.width - 4 * ratio, y(at) - 8 * ratio, bbox.width, paintOf(paint));
          ctx.textAlign = "left";
        }
        chart.series.forEach((each) =>
          (each.low || []).forEach((low, place) => {
            if (!known(low) || !known(each.high[place])) return;
            ctx.fillStyle = paintOf(each.paint);
            ctx.fillRect(x(chart.xs[place]) - 0.75 * ratio, y(each.high[place]), 1.5 * ratio, y(low) - y(each.high[place]));
          }),
        );
        ctx.restore();
      },
    },
  };
}

function keys(host, plot, length) {
  host.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Escape: 0 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const place = step ? Math.min(Math.max((plot.cursor.idx ?? -1) + step, 0), length - 1) : null;
    plot.setCursor(place === null ? { left: -10, top: -10 } : { left: plot.valToPos(plot.data[0][place], "x"), top: 20 });
  };
}

// Draw one chart into its place on the page, with a legend before it.
function place(host) {
  const chart = charts[host.dataset.chart];
  host.id ||= `chart-${host.dataset.chart}`;
  host.style.minHeight = "";
  const values = drawn(chart);
  const order = chart.series.map((_, at) => at);
  if (chart.series.some((each) => each.form === "stack")) order.reverse(); // the lowest is drawn last
  const made = options(chart, values, host.clientWidth < NARROW);
  made.series = [{}, ...order.map((at) => look(chart.series[at]))];
  keys(host, draw(host.id, made, [chart.xs, ...order.map((at) => values[at])]), chart.xs.length);
  if (host.previousElementSibling?.matches(".legend")) host.previousElementSibling.remove();
  if (chart.series.length < 2) return;
  host.before(
    h(
      "ul",
      { class: "legend" },
      chart.series.map(({ label, paint, dashed, form }) =>
        h("li", {}, h("i", { class: dashed ? "dashed" : form === "points" ? "round" : "", style: { "--paint": paintOf(paint) } }), label),
      ),
    ),
  );
}

const places = () => document.querySelectorAll("[data-chart]");
const placeAll = () => places().forEach(place);
