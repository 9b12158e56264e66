// The performance view as a table: turbines, or farms.

const FIRST_ROWS = 25;
const TABLE = [
  ["energy_mwh", "Energy, MWh", (value) => decimal(value, 1)],
  ["capacity_factor", "Capacity factor", percent],
  ["time_availability", "Time availability", percent],
  ["energy_availability", "Energy availability", percent, "wide"],
  ["efficiency", "Efficiency", percent],
  ["mean_wind_speed", "Wind, m/s", (value) => decimal(value, 1), "wide"],
  ["arrived", "Arrived", percent, "wide"],
];
const table = { level: null, by: null, down: true, all: false };

function showPerformance() {
  const places = chosenFarms();
  const level =
    choice.unit !== null ? "turbines" : table.level || (places.length > 1 ? "farms" : "turbines");
  fill(
    "levels",
    choice.unit === null &&
      [
        ["farms", "By farm"],
        ["turbines", "By turbine"],
      ].map(([each, text]) =>
        chip(text, level === each, () => {
          table.level = each;
          showPerformance();
        }),
      ),
  );
  const rows =
    level === "farms"
      ? places.map((place) => ({
          name: `Farm ${farms[place].id}`,
          farm: place,
          ...performance(farms[place].units, choice.from, choice.to),
          ...(whole()
            ? {
                energy_mwh: farms[place].units
                  .map(viewRow)
                  .reduce((sum, row) => sum + (row.energy_mwh || 0), 0),
              }
            : {}),
        }))
      : chosenUnits().map((unit) => ({
          name: unitNames[unit],
          unit,
          ...(whole() ? viewRow(unit) : performance([unit], choice.from, choice.to)),
        }));
  if (table.by)
    rows.sort(
      (a, b) => (table.down ? -1 : 1) * ((a[table.by] ?? -Infinity) - (b[table.by] ?? -Infinity)),
    );
  const columns = TABLE.filter(([name]) => rows.some((row) => known(row[name])));
  const seen = table.all ? rows : rows.slice(0, FIRST_ROWS);
  const sort = (name) => () => {
    table.down = table.by === name ? !table.down : true;
    table.by = name;
    showPerformance();
  };
  const go = (row) =>
    row.unit === undefined ? set({ farms: new Set([row.farm]) }) : chooseUnit(row.unit);
  fill(
    "table",
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, level === "farms" ? "Farm" : "Turbine"),
          columns.map(([name, text, , size]) =>
            h(
              "th",
              {
                scope: "col",
                class: `n ${size || ""}`,
                "aria-sort": table.by === name ? (table.down ? "descending" : "ascending") : "none",
              },
              h(
                "button",
                { type: "button", class: "plain", onclick: sort(name) },
                text,
                table.by === name ? (table.down ? " ↓" : " ↑") : "",
              ),
            ),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        seen.map((row) =>
          h(
            "tr",
            {},
            h(
              "th",
              { scope: "row" },
              h("button", { type: "button", class: "plain", onclick: () => go(row) }, row.name),
            ),
            columns.map(([name, , form, size]) =>
              h("td", { class: `n ${size || ""}` }, form(row[name])),
            ),
          ),
        ),
      ),
    ),
    rows.length > seen.length &&
      h(
        "button",
        {
          type: "button",
          class: "plain more",
          onclick: () => {
            table.all = true;
            showPerformance();
          },
        },
        `Show all ${decimal(rows.length)}`,
      ),
  );
  fill(
    "performance-source",
    whole() && level === "turbines"
      ? "Rows of the view wind_turbine_performance_view, for the whole time. Click a name to see it alone."
      : "The figures of wind_turbine_performance_view for this choice, from the page's steps. Energy availability is known only per turbine and for the whole period.",
  );
}
