// The head of the page: what needs attention, and the figures of the choice.

function rankedNow() {
  const clock = clockUs();
  return page.rankings.find((each) => each.now_us <= clock) || null; // the newest first
}

function episodesOfChoice() {
  const { episodes } = page;
  const units = new Set(chosenUnits());
  const all = choice.unit === null && !choice.farms.size;
  const ids = new Set(chosenFarms().map((farm) => farms[farm].id));
  const [from, to] = [stepStart(choice.from), stepStart(choice.to)];
  const found = [];
  episodes.turbine_id.forEach((turbine, place) => {
    if (episodes.last_us[place] < from || episodes.first_us[place] >= to) return;
    const unit = page.unitOf(episodes.farm_id[place], turbine);
    const stranger =
      unit === undefined && (all || (choice.unit === null && ids.has(episodes.farm_id[place])));
    if (units.has(unit) || stranger) found.push(place);
  });
  return found;
}

const SILENT = 3600e6;
const silentAfter = () => Math.max(SILENT, 2 * page.extent.window_us);
const isSilent = (unit) => {
  const newest = newestRow(unit, choice.to);
  return newest === null || clockUs() - newest > silentAfter();
};

// The operating state at the end of the period; none for a silent turbine.
const stateNow = (unit) => (isSilent(unit) ? null : lastState(unit, choice.to));

function showAttention() {
  const found = [];
  const units = new Set(chosenUnits());
  const ranking = rankedNow();
  if (ranking?.turbine_id) {
    ranking.turbine_id.forEach((turbine, row) => {
      const unit = page.unitOf(ranking.farm_id[row], turbine);
      if (found.length || ranking.component[row] === null || !units.has(unit)) return;
      found.push([
        "wear",
        h("b", {}, turbine),
        ` is likely to need its ${plain(ranking.component[row]).toLowerCase()} looked at: score ${decimal(ranking.score[row], 1)}`,
        () => {
          set({ rank: unit });
          byId("trend").scrollIntoView({ block: "nearest" });
        },
      ]);
    });
  }
  const critical = episodesOfChoice().filter(
    (place) => page.episodes.severity[place] === "critical",
  );
  if (critical.length) {
    const turbines = new Set(critical.map((place) => page.episodes.turbine_id[place]));
    const latest = critical.reduce((a, b) =>
      page.episodes.last_us[b] > page.episodes.last_us[a] ? b : a,
    );
    found.push([
      "critical",
      h("b", {}, many(critical.length, "critical anomaly", "critical anomalies")),
      ` at ${many(turbines.size, "turbine")}, the latest at ${page.episodes.turbine_id[latest]}`,
      () => {
        set({ severity: "critical", episode: latest });
        byId("anomalies").scrollIntoView();
      },
    ]);
  }
  const silent = chosenUnits().filter(isSilent);
  if (silent.length) {
    found.push([
      "silent",
      h("b", {}, many(silent.length, "silent turbine")),
      `: ${silent
        .slice(0, 4)
        .map((unit) => unitNames[unit])
        .join(", ")}${silent.length > 4 ? " and more" : ""}`,
      () => byId("freshness").scrollIntoView(),
    ]);
  }
  fill(
    "attention",
    found.length
      ? found.map(([kind, name, text, go]) =>
          h("li", { class: kind }, h("button", { type: "button", onclick: go }, name, text)),
        )
      : h("li", { class: "calm" }, h("span", {}, "No critical anomaly and no silent turbine in this choice.")),
  );
}

function card(label, value, unit, title) {
  return h(
    "div",
    { class: "card", title },
    h("div", { class: "label" }, label),
    h("div", { class: "value" }, value, " ", h("small", {}, unit)),
  );
}

function showCards() {
  const units = chosenUnits();
  const figures = performance(units, choice.from, choice.to);
  if (whole()) {
    const own = units
      .map(viewRow)
      .map((row) => row.energy_mwh)
      .filter(known);
    figures.energy_mwh = own.reduce((sum, each) => sum + each, 0);
    if (units.length === 1) Object.assign(figures, viewRow(units[0]));
  }
  const running = units.filter((unit) => stateNow(unit) === "running").length;
  const large = figures.energy_mwh >= 10000;
  fill(
    "cards",
    card(
      "Energy",
      decimal(large ? figures.energy_mwh / 1000 : figures.energy_mwh, large ? 2 : 1),
      large ? "GWh" : "MWh",
    ),
    card("Capacity factor", ...percent(figures.capacity_factor).split(" ")),
    card("Time availability", ...percent(figures.time_availability).split(" ")),
    card(
      "Efficiency",
      ...percent(figures.efficiency).split(" "),
      "energy over the promise of the power curve",
    ),
    card("Running at the end", decimal(running), `of ${decimal(units.length)}`),
    card("Data arrived", ...percent(figures.arrived).split(" ")),
  );
}
