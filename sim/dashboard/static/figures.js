// Figures of chosen units over chosen steps, by the definitions of the views.

let page; // the contents
const farms = []; // {id, region, types, units: [places], colour}
const unitNames = [];
const COLOURS = [
  "#0072b2",
  "#e69f00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#d55e00",
  "#8c6bb1",
  "#8a7f5c",
];

function arrange(found) {
  page = found;
  const seen = new Map();
  page.units.turbine_id.forEach((name, unit) => {
    const id = page.units.farm_id[unit];
    if (!seen.has(id)) {
      seen.set(id, farms.length);
      farms.push({
        id,
        units: [],
        region: page.units.region[unit],
        types: new Set(),
        colour: COLOURS[farms.length % COLOURS.length],
      });
    }
    const farm = farms[seen.get(id)];
    farm.units.push(unit);
    farm.types.add(page.units.turbine_type[unit] || "unknown type");
    unitNames.push(name);
  });
  page.farmOf = page.units.farm_id.map((id) => seen.get(id));
  const place = new Map(
    page.units.turbine_id.map((name, unit) => [`${page.units.farm_id[unit]}\0${name}`, unit]),
  );
  page.unitOf = (farm, turbine) => place.get(`${farm}\0${turbine}`);
  page.performanceOf = [];
  page.performance.turbine_id.forEach((name, row) => {
    page.performanceOf[page.unitOf(page.performance.farm_id[row], name)] = row;
  });
}

const stepStart = (step) => page.grid.origin_us + step * page.grid.step_us;

// Samples that a unit makes in a step: fewer at both ends of the time.
function expected(step) {
  const { first_us: first, last_us: last, sample_us: sample } = page.extent;
  const from = Math.max(stepStart(step), first);
  const to = Math.min(stepStart(step + 1) - 1, last);
  return to < from ? 0 : Math.floor((to - from) / sample) + 1;
}

function sums(units, from, to) {
  const { rows, available, power, promised, unjudged, wind } = page.columns;
  const found = {
    rows: 0,
    available: 0,
    power: 0,
    rated: 0,
    promised: 0,
    judged: 0,
    wind: 0,
    expected: 0,
  };
  for (const unit of units) {
    const rated = page.units.rated_power[unit];
    for (let at = unit * page.grid.steps + from; at < unit * page.grid.steps + to; at++) {
      const count = rows[at];
      if (!(count > 0)) continue;
      found.rows += count;
      found.available += available[at];
      found.power += power[at] * count;
      found.rated += rated * count;
      found.wind += wind[at] * count;
      if (promised[at] > 0) {
        found.promised += promised[at] * count;
        found.judged += (power[at] - unjudged[at]) * count;
      }
    }
  }
  for (let step = from; step < to; step++) found.expected += expected(step) * units.length;
  return found;
}

const over = (part, whole) => (whole > 0 ? part / whole : null);

// The performance view's columns, from the grid.
function performance(units, from, to) {
  const all = sums(units, from, to);
  return {
    energy_mwh: (all.power * page.extent.sample_us) / 3600e6,
    capacity_factor: over(all.power, all.rated),
    time_availability: over(all.available, all.rows),
    energy_availability: null,
    efficiency: over(all.judged, all.promised),
    mean_wind_speed: over(all.wind, all.rows),
    arrived: over(all.rows, all.expected),
  };
}

// The performance view's own row of a unit, for the whole time.
function viewRow(unit) {
  const row = page.performanceOf[unit];
  if (row === undefined) return performance([unit], 0, 0);
  return Object.fromEntries(
    Object.entries(page.performance).map(([name, values]) => [name, values[row]]),
  );
}

// Steps in groups: a chart cannot show more points than it has pixels.
function timeline(groups, from, to, most = 900) {
  const width = Math.max(1, Math.ceil((to - from) / most));
  const { rows, available, power, wind } = page.columns;
  const found = { times: [], power: groups.map(() => []), wind: [], available: [], arrived: [] };
  for (let first = from; first < to; first += width) {
    const end = Math.min(first + width, to);
    const totals = { wind: 0, rows: 0, available: 0, expected: 0 };
    groups.forEach((units, group) => {
      let sum = 0;
      let any = false;
      for (const unit of units) {
        for (let step = first; step < end; step++) {
          const at = unit * page.grid.steps + step;
          if (!(rows[at] > 0)) continue;
          any = true;
          sum += power[at];
          totals.rows += rows[at];
          totals.available += available[at];
          totals.wind += wind[at] * rows[at];
        }
      }
      found.power[group].push(any ? sum / (end - first) : null);
      for (let step = first; step < end; step++) totals.expected += expected(step) * units.length;
    });
    found.times.push((stepStart(first) + ((end - first) * page.grid.step_us) / 2) / 1e6);
    found.wind.push(totals.rows ? totals.wind / totals.rows : null);
    found.available.push(totals.rows ? (100 * totals.available) / totals.rows : null);
    found.arrived.push(
      totals.expected ? Math.min(100, (100 * totals.rows) / totals.expected) : null,
    );
  }
  return found;
}

// The last step with rows before `to`; -1 for none.
function lastStep(unit, to) {
  for (let step = to - 1; step >= 0; step--) {
    if (page.columns.rows[unit * page.grid.steps + step] > 0) return step;
  }
  return -1;
}

function lastState(unit, to) {
  const step = lastStep(unit, to);
  return step < 0 ? null : page.states[page.columns.state[unit * page.grid.steps + step]];
}

function newestRow(unit, to) {
  if (to === page.grid.steps) {
    const row = page.performanceOf[unit];
    return row === undefined ? null : page.performance.newest_row[row];
  }
  const step = lastStep(unit, to);
  return step < 0 ? null : stepStart(step + 1) - page.extent.sample_us;
}
