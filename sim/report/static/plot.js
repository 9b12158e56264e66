// uPlot charts in the page's colours, with a tooltip.

const shown = new Map(); // host id -> uPlot
const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC");
const FONT = '12px system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", Arial, sans-serif';

function axis(properties) {
  return {
    stroke: colour("soft"),
    font: FONT,
    labelFont: FONT,
    labelSize: 18,
    labelGap: 2,
    gap: 6,
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    ...properties,
  };
}
const numberAxis = (label, properties) =>
  axis({
    label,
    size: 46,
    space: 34,
    values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : tick.toLocaleString("en-US"))),
    ...properties,
  });

// Width of a text on an axis or beside it.
function textWidth(chart, text) {
  chart.ctx.font = FONT.replace("12px", `${12 * devicePixelRatio}px`);
  return chart.ctx.measureText(text || "").width / devicePixelRatio;
}

// Width of the y axis: that of its longest text.
const sized = (chart, texts) =>
  texts ? Math.ceil(Math.max(22, ...texts.map((text) => textWidth(chart, text)))) + 12 : 40;

// Room on the right: half of the last text of the x axis stands beyond the chart.
const rightRoom = (chart) => {
  const last = (chart.axes[0]._values || []).filter(Boolean).pop();
  return Math.max(14, Math.ceil(textWidth(chart, last) / 2) + 2);
};

// A tooltip that follows the cursor. `lines`: (chart, place) -> [[colour, text]], the first a heading;
// `more`: lines that depend on the height of the cursor, too.
function tip(lines, more = () => []) {
  let box;
  return {
    hooks: {
      init: (chart) => {
        box = h("div", { class: "tip", hidden: true });
        chart.over.append(box);
        chart.over.addEventListener("mouseleave", () => {
          box.hidden = true;
        });
      },
      setCursor: (chart) => {
        const { idx, left, top } = chart.cursor;
        const found = idx === null || idx === undefined || left < 0 ? [] : [...lines(chart, idx), ...more(chart)];
        box.hidden = !found.length;
        if (!found.length) return;
        box.replaceChildren(
          ...found.map(([paint, text], place) =>
            h(
              "div",
              { class: place ? "" : "head" },
              paint ? h("i", { class: "dot", style: { background: paint } }) : null,
              text,
            ),
          ),
        );
        const right = left > chart.over.clientWidth / 2;
        box.style.left = right ? "auto" : `${left + 14}px`;
        box.style.right = right ? `${chart.over.clientWidth - left + 14}px` : "auto";
        box.style.top = `${Math.max(0, Math.min(top - 20, chart.over.clientHeight - box.offsetHeight))}px`;
      },
    },
  };
}

// Spans and horizontal lines behind and over the series.
function marks({ spans = [], lines = [] }) {
  return {
    hooks: {
      drawClear: (chart) => {
        const { ctx, bbox } = chart;
        ctx.save();
        ctx.fillStyle = colour("span");
        for (const [from, to] of spans) {
          const left = Math.max(bbox.left, chart.valToPos(from, "x", true));
          const right = Math.min(
            bbox.left + bbox.width,
            Math.max(left + 2, chart.valToPos(to, "x", true)),
          );
          if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
        }
        ctx.restore();
      },
      draw: (chart) => {
        const { ctx, bbox } = chart;
        ctx.save();
        for (const { value, scale, paint } of lines) {
          ctx.lineWidth = devicePixelRatio;
          ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
          const at = chart.valToPos(value, scale, true);
          if (!(at > bbox.top && at < bbox.top + bbox.height)) continue;
          ctx.strokeStyle = paint;
          ctx.beginPath();
          ctx.moveTo(bbox.left, at);
          ctx.lineTo(bbox.left + bbox.width, at);
          ctx.stroke();
          ctx.font = FONT.replace("12px", `${12 * devicePixelRatio}px`);
        }
        ctx.restore();
      },
    },
  };
}

function draw(id, options, data) {
  const host = byId(id);
  shown.get(id)?.destroy();
  host.replaceChildren();
  const made = new uPlot(
    {
      width: Math.max(host.clientWidth, 100),
      height: 220,
      tzDate: utc,
      legend: { show: false },
      ...options,
      cursor: { drag: { x: false, y: false }, points: { size: 7 }, y: false, ...options.cursor },
    },
    data,
    host,
  );
  shown.set(id, made);
  return made;
}

const faded = (paint, share) =>
  paint +
  Math.round(255 * share)
    .toString(16)
    .padStart(2, "0");
const line = (paint, scale, properties) => ({
  stroke: paint,
  width: 1.6,
  scale,
  points: { show: false },
  ...properties,
});

window.addEventListener("resize", () => {
  for (const [id, chart] of shown) {
    const width = byId(id)?.clientWidth;
    if (width && width !== chart.width) chart.setSize({ width, height: chart.height });
  }
});
