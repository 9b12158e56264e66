// Age of the newest rows, by farm.

function showFreshness() {
  const clock = clockUs();
  const places = chosenFarms();
  const groups = places.map((place) => [
    choice.unit !== null ? unitNames[choice.unit] : farms[place].id,
    choice.unit !== null ? [choice.unit] : farms[place].units,
    farms[place].colour,
  ]);
  if (places.length === 1 && choice.unit === null) {
    const age = new Map(
      groups[0][1].map((unit) => [
        unit,
        [
          newestRow(unit, choice.to) ?? -1,
          performance([unit], choice.from, choice.to).arrived ?? 0,
        ],
      ]),
    );
    const worst = [...age.keys()]
      .sort((a, b) => age.get(a)[0] - age.get(b)[0] || age.get(a)[1] - age.get(b)[1])
      .slice(0, 6);
    groups.push(...worst.map((unit) => [unitNames[unit], [unit], null]));
  }
  const rows = groups.map(([name, units, paint]) => {
    const newest = units.map((unit) => newestRow(unit, choice.to)).filter(known);
    const arrived = performance(units, choice.from, choice.to).arrived;
    return {
      name,
      units,
      paint,
      newest: newest.length ? newest.reduce((a, b) => Math.max(a, b)) : null,
      oldest: newest.length ? newest.reduce((a, b) => Math.min(a, b)) : null,
      silent: units.filter(isSilent),
      arrived,
    };
  });
  const age = (us) => (us === null ? "no row" : lasting(Math.max(0, clock - us)));
  fill(
    "ages",
    h(
      "table",
      { class: "ages" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h(
            "th",
            { scope: "col" },
            choice.unit !== null ? "Turbine" : places.length === 1 ? "Farm, then its oldest turbines" : "Farm",
          ),
          h("th", { scope: "col", class: "n wide" }, "Newest row"),
          h("th", { scope: "col", class: "n" }, "Age"),
          h("th", { scope: "col", class: "n" }, "Oldest unit"),
          h("th", { scope: "col", class: "n" }, "Silent"),
          h("th", { scope: "col" }, "Arrived"),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(({ name, units, paint, newest, oldest, silent, arrived }) =>
          h(
            "tr",
            {},
            h(
              "th",
              { scope: "row" },
              paint ? h("i", { class: "dot", style: { background: paint } }) : null,
              name,
            ),
            h("td", { class: "n wide" }, moment(newest)),
            h("td", { class: "n" }, age(newest)),
            h("td", { class: "n" }, units.length > 1 ? age(oldest) : ""),
            h(
              "td",
              {
                class: silent.length ? "n bad" : "n zero",
                title: silent
                  .slice(0, 20)
                  .map((unit) => unitNames[unit])
                  .join(", "),
              },
              decimal(silent.length),
            ),
            h(
              "td",
              { class: "share" },
              h(
                "span",
                { class: "track" },
                h("span", { style: { width: `${100 * Math.min(1, arrived ?? 0)}%` } }),
              ),
              h("span", {}, percent(arrived)),
            ),
          ),
        ),
      ),
    ),
  );
  fill("freshness-clock", `at ${dated(clock)}`);
}
