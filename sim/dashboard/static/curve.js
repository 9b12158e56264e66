// The power curve against measured points.

const MOST_POINTS = 5000;
const CURVES = ["#0072b2", "#cc79a7", "#8c6bb1", "#56b4e9", "#8a7f5c"]; // after the first

function showCurve() {
  const units = chosenUnits();
  const { wind, power, state, rows } = page.columns;
  const running = page.states.indexOf("running");
  const cells = [];
  for (const unit of units) {
    if (!(page.units.rated_power[unit] > 0)) continue;
    for (let step = choice.from; step < choice.to; step++) {
      const at = unit * page.grid.steps + step;
      if (rows[at] > 0)
        cells.push([
          wind[at],
          (100 * power[at]) / page.units.rated_power[unit],
          state[at] === running,
        ]);
    }
  }
  if (!cells.length) {
    empty("scatter", "No row of this choice lies in the period.");
    fill("curve-legend");
    fill("curve-count");
    return;
  }
  const stride = Math.ceil(cells.length / MOST_POINTS);
  const points = cells.filter((_, place) => place % stride === 0);
  const types = new Set(units.map((unit) => page.units.turbine_type[unit] || ""));
  const curves = page.curves.filter((each) => types.has(each.type) && each.wind.length > 1);
  for (const each of curves) each.wind.forEach((at) => points.push([at, null, null]));
  points.sort((a, b) => a[0] - b[0]);
  const winds = points.map((each) => each[0]);
  const measured = (kind) => points.map(([, load, runs]) => (runs === kind ? load : null));
  const data = [
    winds,
    measured(false),
    measured(true),
    ...curves.map((each) => winds.map((at) => interpolated(each, at))),
  ];
  // Points have colours that no curve has, and the legend shows them as they are drawn.
  const [good, bad] = [faded(colour("running"), 0.6), faded(colour("fault"), 0.6)];
  const inks = curves.map((_, place) =>
    place ? CURVES[(place - 1) % CURVES.length] : colour("ink"),
  );
  const dots = (paint) => ({
    scale: "load",
    paths: () => null,
    points: { show: true, size: 3.5, width: 0, fill: paint, stroke: paint },
  });
  draw(
    "scatter",
    {
      height: 330,
      scales: {
        x: { time: false, range: (_, low, high) => [0, Math.max(15, Math.ceil(high + 0.5))] },
        load: { range: (_, low, high) => [Math.min(-4, low), Math.max(110, high + 4)] },
      },
      series: [
        {},
        dots(bad),
        dots(good),
        ...inks.map((ink) => line(ink, "load", { width: 2.2 })),
      ],
      axes: [
        numberAxis("wind speed, m/s", { size: 30, space: 50 }),
        numberAxis("% of rated power", { scale: "load", size: 44 }),
      ],
      plugins: [
        tip((_, at) => [
          [null, `${decimal(winds[at], 1)} m/s`],
          ...(points[at][1] === null
            ? []
            : [[points[at][2] ? good : bad, `measured: ${decimal(points[at][1], 1)} %`]]),
          ...curves.map((each, place) => [
            inks[place],
            `${each.type || "curve"}: ${decimal(data[3 + place][at], 1)} %`,
          ]),
        ]),
      ],
    },
    data,
  );
  legend("curve-legend", [
    [good, "running", "round"],
    [bad, "other states", "round"],
    ...curves.map((each, place) => [inks[place], `curve, ${each.type || "unknown type"}`]),
  ]);
  fill(
    "curve-count",
    stride > 1
      ? `a sample of ${decimal(cells.filter((_, place) => place % stride === 0).length)} of ${decimal(cells.length)} points`
      : many(cells.length, "point"),
  );
}

function interpolated({ wind, load }, at) {
  const next = wind.findIndex((each) => each >= at);
  if (next < 0 || (next === 0 && wind[0] > at)) return null;
  if (wind[next] === at) return 100 * load[next];
  const share = (at - wind[next - 1]) / (wind[next] - wind[next - 1]);
  return 100 * (load[next - 1] + share * (load[next] - load[next - 1]));
}
