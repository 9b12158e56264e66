// Charts of the dashboard: times on their axis, periods chosen by a drag.

const timeAxis = () =>
  axis({
    space: 78,
    values: [
      [86400 * 365, "{YYYY}", null, null, null, null, null, null, 1],
      [86400 * 28, "{MMM} {YYYY}", null, null, null, null, null, null, 1],
      [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
      [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
      [1, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
    ],
    size: 40,
  });

const selects = {
  hooks: {
    setSelect: (chart) => {
      const { left, width } = chart.select;
      if (width < 8) return;
      const [from, to] = [left, left + width].map((at) => chart.posToVal(at, "x") * 1e6);
      chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      choosePeriod(from, to);
    },
    ready: (chart) => chart.over.addEventListener("dblclick", wholeTime),
  },
};

function empty(id, text) {
  shown.get(id)?.destroy();
  shown.delete(id);
  fill(id, h("p", { class: "nothing" }, text));
}

function legend(id, entries) {
  fill(
    id,
    entries.map(([paint, text, form]) =>
      h("li", {}, h("i", { class: form || "", style: { "--paint": paint } }), text),
    ),
  );
}
