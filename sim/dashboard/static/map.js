// Farms with their units, coloured by state.

const UNKNOWN = "silent";

function showMap() {
  const units = new Set(chosenUnits());
  const ringed = new Set(
    episodesOfChoice()
      .filter((place) => page.episodes.severity[place] === "critical")
      .map((place) => page.unitOf(page.episodes.farm_id[place], page.episodes.turbine_id[place])),
  );
  const counts = new Map();
  const places = chosenFarms();
  const few = places.reduce((sum, place) => sum + farms[place].units.length, 0) <= 120;
  byId("units").className = places.length === 1 ? "one" : "";
  const square = (unit) => {
    const state = stateNow(unit) || UNKNOWN;
    if (units.has(unit)) counts.set(state, (counts.get(state) || 0) + 1);
    const text = `${unitNames[unit]}: ${state}${ringed.has(unit) ? ", critical anomaly" : ""}`;
    const label = few ? unitNames[unit].replace(`${page.units.farm_id[unit]}-`, "").slice(-4) : "";
    return h(
      "button",
      {
        type: "button",
        class: `unit ${state}${ringed.has(unit) ? " ringed" : ""}`,
        title: text,
        "aria-label": text,
        "aria-pressed": String(choice.unit === unit),
        onclick: () => chooseUnit(unit),
      },
      label,
    );
  };
  fill(
    "units",
    places.map((place) => {
      const farm = farms[place];
      const at = farm.units[0];
      const { latitude, longitude } = page.units;
      const where = known(latitude[at])
        ? `${Math.abs(latitude[at])}° ${latitude[at] < 0 ? "S" : "N"}, ${Math.abs(longitude[at])}° ${longitude[at] < 0 ? "W" : "E"}`
        : "";
      return h(
        "div",
        { class: "farm" },
        h(
          "div",
          { class: "farm-head" },
          h(
            "button",
            {
              type: "button",
              class: "plain",
              onclick: () => set({ farms: new Set([place]), unit: null }),
            },
            h("i", { class: "dot", style: { background: farm.colour } }),
            `Farm ${farm.id}`,
          ),
          h("span", {}, [farm.region, where].filter(Boolean).join(" · ")),
        ),
        h(
          "div",
          { class: "farm-type" },
          `${decimal(farm.units.length)} × ${[...farm.types].join(", ")}`,
        ),
        h("div", { class: few ? "units few" : "units" }, farm.units.map(square)),
      );
    }),
  );
  fill(
    "states",
    [...page.states, UNKNOWN]
      .filter((state) => counts.has(state))
      .map((state) =>
        h("li", {}, h("i", { class: `unit ${state}` }), `${state} ${decimal(counts.get(state))}`),
      ),
  );
  fill("map-clock", `at ${dated(clockUs())}`);
}
