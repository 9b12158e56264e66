// Output and availability over time.

const sync = uPlot.sync("time");

function showProduction() {
  const places = chosenFarms();
  const groups = choice.unit !== null ? [[choice.unit]] : places.map((farm) => farms[farm].units);
  const names =
    choice.unit !== null
      ? [unitNames[choice.unit]]
      : places.map((farm) => `Farm ${farms[farm].id}`);
  const paints = places.map((farm) => farms[farm].colour);
  const series = timeline(groups, choice.from, choice.to);
  if (!series.power.some((each) => each.some(known))) {
    for (const id of ["output", "availability"])
      empty(id, "No row of this choice lies in the period.");
    for (const id of ["production-legend", "availability-legend"]) fill(id);
    return;
  }
  const range = [stepStart(choice.from) / 1e6, stepStart(choice.to) / 1e6];
  const rated = chosenUnits().reduce((sum, unit) => sum + (page.units.rated_power[unit] || 0), 0);
  showOutput(series, names, paints, range, rated);
  showAvailability(series, range);
}

function showOutput(series, names, paints, range, rated) {
  const windPaint = colour("wind");
  const stacked = [];
  series.power.forEach((values, group) =>
    stacked.push(values.map((value, at) => (value ?? 0) + (group ? stacked[group - 1][at] : 0))),
  );
  const missing = series.times.map((_, at) => series.power.every((values) => values[at] === null));
  const data = [
    series.times,
    ...stacked.map((values) => values.map((value, at) => (missing[at] ? null : value))).reverse(),
    series.wind,
  ];
  const count = stacked.length;
  const layers = [...paints].reverse();
  const reached = rated <= 1.08 * Math.max(...stacked[count - 1]); // else the line is above the chart
  draw(
    "output",
    {
      height: 240,
      cursor: { sync: { key: sync.key }, drag: { x: true, y: false, setScale: false } },
      scales: {
        x: { range: () => range },
        mw: { range: (_, low, high) => [Math.min(0, low), Math.max(1.08 * high, 0.01)] },
        wind: { range: (_, low, high) => [0, Math.max(12, 1.6 * high)] },
      },
      series: [
        {},
        ...layers.map((paint) =>
          line(paint, "mw", {
            fill: count === 1 ? faded(paint, 0.16) : faded(paint, 0.85),
            width: count === 1 ? 1.8 : 0.5,
          }),
        ),
        line(windPaint, "wind", { dash: [4, 4], width: 1.3 }),
      ],
      bands: layers
        .slice(1)
        .map((_, at) => ({ series: [at + 1, at + 2], fill: faded(layers[at], 0.85) })),
      axes: [
        timeAxis(),
        numberAxis("MW", { scale: "mw", size: 54 }),
        numberAxis("wind, m/s", { scale: "wind", side: 1, grid: { show: false }, size: 34 }),
      ],
      plugins: [
        marks({ lines: reached ? [{ value: rated, scale: "mw", paint: colour("soft") }] : [] }),
        selects,
        tip((_, at) =>
          missing[at]
            ? []
            : [
                [null, moment(series.times[at] * 1e6)],
                ...(count > 1 ? [[null, `${decimal(stacked[count - 1][at], 1)} MW in all`]] : []),
                ...series.power.map((values, group) => [
                  paints[group],
                  `${names[group]}: ${decimal(values[at], count > 1 ? 1 : 2)} MW`,
                ]),
                [windPaint, `mean wind: ${decimal(series.wind[at], 1)} m/s`],
              ],
        ),
      ],
    },
    data,
  );
  legend("production-legend", [
    ...names.map((name, group) => [paints[group], name]),
    [windPaint, "mean wind speed", "dashed"],
    ...(reached ? [[colour("soft"), `rated power, ${decimal(rated, rated < 10 ? 2 : rated < 100 ? 1 : 0)} MW`, "dashed thin"]] : []),
  ]);
}

function showAvailability(series, range) {
  const [available, arrived] = [colour("running"), colour("data")];
  const low = Math.min(...series.available.filter(known), ...series.arrived.filter(known));
  const floor = low >= 90 ? 88 : low >= 60 ? 50 : 0;
  draw(
    "availability",
    {
      height: 170,
      cursor: { sync: { key: sync.key }, drag: { x: true, y: false, setScale: false } },
      scales: { x: { range: () => range }, share: { range: () => [floor, 101.5] } },
      series: [
        {},
        line(available, "share", { fill: floor ? undefined : faded(available, 0.12), width: 1.8 }), // an area would begin at zero
        line(arrived, "share", { dash: [4, 4] }),
      ],
      axes: [
        timeAxis(),
        numberAxis("%", { scale: "share", size: 54 }),
        axis({
          scale: "share",
          side: 1,
          size: 34,
          label: " ",
          values: () => [],
          grid: { show: false },
        }),
      ],
      plugins: [
        selects,
        tip((_, at) =>
          series.available[at] === null
            ? []
            : [
                [null, moment(series.times[at] * 1e6)],
                [available, `available: ${decimal(series.available[at], 1)} %`],
                [arrived, `data arrived: ${decimal(series.arrived[at], 1)} %`],
              ],
        ),
      ],
    },
    [series.times, series.available, series.arrived],
  );
  legend("availability-legend", [
    [available, "rows in an available state, % of rows"],
    [arrived, "data arrived, % of expected rows", "dashed"],
  ]);
}
