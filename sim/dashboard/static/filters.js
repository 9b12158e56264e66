// The filters: farms, turbine and time. All parts of the page show the same choice.

const choice = {
  farms: new Set(),
  unit: null,
  from: 0,
  to: 0,
  severity: null,
  episode: null,
  rank: null,
  sign: null,
};
let changed = () => {};

const whole = () => choice.from === 0 && choice.to === page.grid.steps;
const clockUs = () => (choice.to === page.grid.steps ? page.now_us : stepStart(choice.to));

function chosenFarms() {
  const all = farms.map((_, place) => place);
  if (choice.unit !== null) return [page.farmOf[choice.unit]];
  return choice.farms.size ? all.filter((place) => choice.farms.has(place)) : all;
}
const chosenUnits = () =>
  choice.unit !== null ? [choice.unit] : chosenFarms().flatMap((farm) => farms[farm].units);

function set(changes) {
  Object.assign(choice, changes);
  choice.from = Math.max(0, Math.min(choice.from, page.grid.steps - 1));
  choice.to = Math.max(choice.from + 1, Math.min(choice.to, page.grid.steps));
  const { unit } = choice;
  if (
    "farms" in changes &&
    unit !== null &&
    choice.farms.size &&
    !choice.farms.has(page.farmOf[unit])
  )
    choice.unit = null;
  if (
    "unit" in changes &&
    unit !== null &&
    choice.farms.size &&
    !choice.farms.has(page.farmOf[unit])
  )
    choice.farms = new Set();
  history.replaceState(null, "", address());
  changed();
}

const chooseUnit = (unit) => set({ unit: choice.unit === unit ? null : unit });
function choosePeriod(fromUs, toUs) {
  const step = (us) => (us - page.grid.origin_us) / page.grid.step_us;
  set({ from: Math.floor(step(fromUs) + 1e-6), to: Math.ceil(step(toUs) - 1e-6) });
}
const wholeTime = () => set({ from: 0, to: page.grid.steps });

function toggled(place) {
  const next = new Set(choice.farms);
  if (!next.delete(place)) next.add(place);
  return next.size === farms.length ? new Set() : next;
}

// The choice as the part of the address after #, so that a view can be kept as a link.
function address() {
  const parts = new URLSearchParams();
  for (const place of choice.farms) parts.append("farm", farms[place].id);
  if (choice.unit !== null) parts.set("turbine", unitNames[choice.unit]);
  if (!whole()) {
    parts.set("from", new Date(stepStart(choice.from) / 1000).toISOString());
    parts.set("to", new Date(stepStart(choice.to) / 1000).toISOString());
  }
  return `#${parts}`;
}

function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  choice.farms = new Set(
    parts
      .getAll("farm")
      .map((id) => farms.findIndex((farm) => farm.id === id))
      .filter((place) => place >= 0),
  );
  const unit = unitNames.indexOf(parts.get("turbine"));
  choice.unit = unit < 0 ? null : unit;
  choice.from = 0;
  choice.to = page.grid.steps;
  const [from, to] = ["from", "to"].map((name) => Date.parse(parts.get(name)) * 1000);
  if (from < to) choosePeriod(from, to);
}

const DAY = 86400e6;
const PERIODS = [
  ["24 h", DAY],
  ["7 days", 7 * DAY],
  ["6 h", DAY / 4],
  ["1 h", DAY / 24],
];

function chip(text, pressed, onclick, properties) {
  return h(
    "button",
    { type: "button", class: "chip", "aria-pressed": String(pressed), onclick, ...properties },
    text,
  );
}

function showFilters() {
  fill(
    "farms",
    chip("All", !choice.farms.size, () => set({ farms: new Set() })),
    farms.map((farm, place) =>
      chip(
        [h("i", { class: "dot", style: { background: farm.colour } }), farm.id],
        choice.farms.has(place),
        () => set({ farms: toggled(place) }),
        { title: `${many(farm.units.length, "turbine")}, ${farm.region || "no region"}` },
      ),
    ),
  );
  const end = Math.min(page.now_us, stepStart(page.grid.steps));
  const length = stepStart(page.grid.steps) - stepStart(0);
  const usable = PERIODS.filter(([, us]) => us < length && us >= 2 * page.grid.step_us)
    .slice(0, 3)
    .sort((a, b) => b[1] - a[1]);
  fill(
    "periods",
    chip("Whole time", whole(), wholeTime),
    usable.map(([text, us]) => {
      const from = Math.max(0, Math.round((end - us - page.grid.origin_us) / page.grid.step_us));
      const pressed = !whole() && choice.to === page.grid.steps && choice.from === from;
      return chip(`Last ${text}`, pressed, () => set({ from, to: page.grid.steps }));
    }),
  );
  byId("turbine").value = choice.unit === null ? "" : unitNames[choice.unit];
  const local = (us) => new Date(us / 1000).toISOString().slice(0, 16);
  for (const [id, step] of [
    ["from", choice.from],
    ["to", choice.to],
  ]) {
    byId(id).value = local(stepStart(step));
    byId(id).min = local(stepStart(0));
    byId(id).max = local(stepStart(page.grid.steps));
  }
  const units = chosenUnits();
  const names = chosenFarms().map((place) => farms[place].id);
  const filtered = !whole() || choice.farms.size || choice.unit !== null;
  byId("clear").disabled = !filtered;
  const subject =
    choice.unit !== null
      ? `Turbine ${unitNames[choice.unit]} of farm ${names[0]}`
      : `${many(units.length, "turbine")} of ${names.length === 1 ? `farm ${names[0]}` : many(names.length, "farm")}`;
  fill(
    "chosen",
    h("b", {}, subject),
    `, ${dated(stepStart(choice.from))} to ${dated(stepStart(choice.to))}`,
  );
}

function startFilters() {
  fill(
    "turbines",
    unitNames.map((name) => h("option", { value: name })),
  );
  byId("turbine").addEventListener("change", (event) => {
    const text = event.target.value.trim();
    const unit = unitNames.findIndex((name) => name.toLowerCase() === text.toLowerCase());
    event.target.setCustomValidity(text && unit < 0 ? `There is no turbine ${text}.` : "");
    event.target.reportValidity();
    if (!text || unit >= 0) set({ unit: text ? unit : null });
  });
  const chosen = () => {
    const [from, to] = ["from", "to"].map((id) => Date.parse(`${byId(id).value}Z`) * 1000);
    if (from < to) choosePeriod(from, to);
    else showFilters();
  };
  byId("from").addEventListener("change", chosen);
  byId("to").addEventListener("change", chosen);
  byId("clear").addEventListener("click", () =>
    set({ farms: new Set(), unit: null, from: 0, to: page.grid.steps }),
  );
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => {
    readAddress();
    changed();
  });
}
