// Age of the newest rows, by farm.

function showFreshness() {
  const clock = clockUs();
  const rows = chosenFarms().map((place) => {
    const farm = farms[place];
    const units = choice.unit !== null ? [choice.unit] : farm.units;
    const newest = units.map((unit) => newestRow(unit, choice.to)).filter(known);
    const arrived = performance(units, choice.from, choice.to).arrived;
    return { farm, units, newest: newest.length ? newest.reduce((a, b) => Math.max(a, b)) : null,
      oldest: newest.length ? newest.reduce((a, b) => Math.min(a, b)) : null, silent: units.filter(isSilent), arrived };
  });
  const age = (us) => (us === null ? "no row" : lasting(Math.max(0, clock - us)));
  fill("ages", h("table", { class: "ages" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Farm"), h("th", { scope: "col", class: "n wide" }, "Newest row"), h("th", { scope: "col", class: "n" }, "Age"),
      h("th", { scope: "col", class: "n" }, "Slowest unit"), h("th", { scope: "col", class: "n" }, "Silent"), h("th", { scope: "col" }, "Arrived"))),
    h("tbody", {}, rows.map(({ farm, newest, oldest, silent, arrived }) => h("tr", {},
      h("th", { scope: "row" }, h("i", { class: "dot", style: { background: farm.colour } }), farm.id),
      h("td", { class: "n wide" }, moment(newest)), h("td", { class: "n" }, age(newest)), h("td", { class: "n" }, age(oldest)),
      h("td", { class: silent.length ? "n bad" : "n zero", title: silent.slice(0, 20).map((unit) => unitNames[unit]).join(", ") }, decimal(silent.length)),
      h("td", { class: "share" }, h("span", { class: "track" }, h("span", { style: { width: `${100 * Math.min(1, arrived ?? 0)}%` } })), h("span", {}, percent(arrived))))))));
  fill("freshness-clock", `at ${dated(clock)}`);
}
