// The live page: asks for the state each second, and draws it.

const EVERY_MS = 1000;
const STAGES = {
  waiting: "Waiting for a run",
  preparing: "Preparing",
  delivering: "Simulating and delivering",
  loading: "Load test running",
  judging: "Judging the lake",
  ended: "Ended",
  stopped: "Killed: no result",
};
const PREFIX = "expanso-databricks-";
let state = null;

const sum = (list, of) => list.reduce((total, each) => total + each[of], 0);
const share = (part, whole) => (whole ? Math.min(1, part / whole) : 0);
const percent = (part) => `${decimal(100 * part, part > 0 && part < 0.1 ? 1 : 0)} %`;
const clock = (seconds) => new Date(seconds * 1e3).toISOString().slice(11, 19);
const rate = (value) => decimal(value, value > 0 && value < 10 ? 1 : 0);
const last = (list) => [...(list || [])].reverse().find((each) => known(each));
const show = (id, on) => {
  byId(id).hidden = !on;
};

function bar(part) {
  return h("div", { class: "progress" }, h("i", { style: { width: `${100 * part}%` } }));
}

function card(label, value, unit, note) {
  return h(
    "div",
    { class: "card" },
    h("div", { class: "label" }, label),
    h("div", { class: "value" }, value, unit ? h("small", {}, ` ${unit}`) : null),
    note ? h("div", { class: "aside" }, note) : null,
  );
}

// Sums of the whole run.
function totals(now) {
  const load = now.command === "load";
  const list = load ? now.phases : now.farms;
  const planned = load
    ? sum(list.filter((each) => each.planned !== null), "planned")
    : sum(list, "rows_planned");
  return { load, done: load ? sum(list, "done") : sum(list, "rows"), planned };
}

function cards(now) {
  const { load, done, planned } = totals(now);
  const series = now.series || {};
  const errors = sum(
    now.operations.filter((each) => !["ok", "exists", "missing"].includes(each.outcome)),
    "count",
  );
  const tail = `latest; p50 ${duration(last(series.p50))}, p99 ${duration(last(series.p99))}`;
  const shown = [];
  if (load) {
    const failed = sum(now.phases, "failed");
    shown.push(
      card("Requests", decimal(done), null, `${decimal(failed)} failed`),
      card("Requests per second", rate(now.rates.requests), known(now.rates.requests) ? "/s" : null),
      card("Latency p95, from the intended start", duration(last(series.p95)), null, tail),
      card("Backlog", decimal(now.backlog), null, `due and not started; ${decimal(now.under_way)} under way`),
    );
  } else {
    const left = planned - done;
    const speed = now.rates.rows;
    const eta = speed > 0 && left > 0 ? `about ${duration(left / speed)} at this rate` : null;
    const waits = sum(now.farms, "under_way");
    shown.push(
      card("Rows durable", decimal(done), `of ${decimal(planned)}`, eta),
      card("Rows per second", rate(speed), known(speed) ? "/s" : null, `${decimal(waits)} rows under way`),
      card("PUT p95", duration(last(series.p95)), null, tail),
      card("Behind, in fleet time", duration(Math.max(0, ...now.farms.map((farm) => farm.lag_s))), null, "the slowest farm"),
    );
  }
  shown.push(
    card("Store operations", decimal(sum(now.operations, "count")), null, known(now.rates.operations) ? `${rate(now.rates.operations)} per second` : null),
    card("Errors of the store", decimal(errors), null, `${decimal(now.retries)} retries`),
  );
  byId("cards").replaceChildren(...shown);
}

function plot(id, series, xs, unit, log) {
  const there = series.filter(({ values }) => values && values.some((each) => each));
  byId(`${id}-legend`).replaceChildren(
    ...there.map(({ label, paint }) => h("li", {}, h("i", { style: { "--paint": colour(paint) } }), label)),
  );
  const text = (value) => (unit === "s" ? duration(value) : `${rate(value)}${unit ? ` ${unit}` : ""}`);
  const clean = there.map(({ values }) => (log ? values.map((each) => each || null) : values));
  const all = clean.flat().filter(known);
  const scale = log
    ? { distr: 3, log: 10, range: () => [10 ** Math.floor(Math.log10(Math.min(...all, 1))), 10 ** Math.ceil(Math.log10(Math.max(...all, 1e-3)))] }
    : { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.1] };
  draw(
    id,
    {
      height: 210,
      padding: [8, rightRoom, 0, 0],
      scales: { x: { time: true }, y: scale },
      series: [{}, ...there.map(({ paint }) => line(colour(paint), "y", { spanGaps: true }))],
      axes: [
        axis({ space: 70, size: 30, values: (_, ticks) => ticks.map((tick) => clock(tick)) }),
        axis({ space: 30, size: sized, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : text(tick))) }),
      ],
      cursor: { sync: { key: "watch", setSeries: false } },
      plugins: [
        tip((_, place) => [
          [null, `${clock(xs[place])} UTC`],
          ...there
            .map((each, row) => [colour(each.paint), clean[row][place], each.label])
            .filter(([, value]) => known(value))
            .map(([paint, value, label]) => [paint, `${label} ${text(value)}`]),
        ]),
      ],
    },
    [xs, ...clean],
  );
}

function charts(now) {
  const { x, ...series } = now.series || { x: [] };
  show("charts", x.length > 1);
  if (x.length < 2) return;
  const load = now.command === "load";
  byId("slot").textContent = now.series.width_s > 1 ? `each point: ${duration(now.series.width_s)}` : "";
  byId("flow-title").textContent = load ? "Requests that ended, per second" : "Durable rows per second";
  byId("latency-title").textContent = load ? "Latency from the intended start" : "Duration of a PUT";
  plot("rate", [
    { label: "PUT", paint: "data", values: series.put },
    { label: "GET", paint: "running", values: series.get },
    { label: "LIST", paint: "maintenance", values: series.list },
  ], x, "/s");
  plot("flow", [{ label: load ? "requests" : "rows", paint: "running", values: load ? series.requests : series.rows }], x, "/s");
  plot("latency", [
    { label: "p50", paint: "data", values: series.p50 },
    { label: "p95", paint: "curtailed", values: series.p95 },
    { label: "p99", paint: "fault", values: series.p99 },
  ], x, "s", true);
  byId("backlog-title").textContent = load ? "Backlog" : "Durable rows of all planned";
  if (!load) {
    const { planned } = totals(now);
    let rows = 0;
    const parts = series.rows.map((each) => share((rows += each * now.series.width_s), planned) * 100);
    plot("backlog", [{ label: "durable", paint: "running", values: parts }], x, "%");
  } else plot("backlog", [
    { label: "due, not started", paint: "fault", values: series.backlog },
    { label: "under way", paint: "data", values: series.under_way },
  ], x, "");
}

const cell = (value, quiet) => h("td", { class: quiet ? "n zero" : "n" }, value);

function farms(now) {
  show("farms", now.farms);
  if (!now.farms) return;
  byId("farm-rows").replaceChildren(
    ...now.farms.map((farm) => {
      const part = share(farm.rows, farm.rows_planned);
      const age = known(farm.last_s) && !["ended", "stopped"].includes(now.stage) ? `${duration(Math.max(0, Math.round(now.now_s - farm.last_s)))} ago` : known(farm.last_s) ? clock(farm.last_s) : NONE;
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, `${farm.name} `, h("span", { class: "aside" }, percent(part))),
        h("td", {}, bar(part)),
        cell(decimal(farm.rows)),
        cell(decimal(farm.rows_planned), true),
        cell(decimal(farm.batches)),
        cell(decimal(farm.batches_planned), true),
        cell(decimal(farm.under_way), !farm.under_way),
        cell(duration(farm.lag_s), !farm.lag_s),
        cell(age),
      );
    }),
  );
}

function phases(now) {
  show("phases", now.phases && now.phases.length);
  if (!now.phases) return;
  byId("phase-rows").replaceChildren(
    ...now.phases.map((phase) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, phase.name),
        cell(decimal(phase.done)),
        cell(phase.planned === null ? NONE : decimal(phase.planned), true),
        h("td", { class: phase.failed ? "n bad" : "n zero" }, decimal(phase.failed)),
        h("td", {}, phase.running ? bar(share(phase.done, phase.planned)) : "over"),
      ),
    ),
  );
}

function operations(now) {
  show("operations", now.operations.length);
  const outcomes = [...new Set(now.operations.map((each) => each.outcome))].sort((a, b) => (b === "ok") - (a === "ok") || (a < b ? -1 : 1));
  byId("operation-head").replaceChildren(
    h("tr", {}, h("th", {}, "Kind"), h("th", {}, "Bucket"), ...outcomes.map((each) => h("th", { class: "n" }, each))),
  );
  const rows = new Map();
  for (const each of now.operations) {
    const key = `${each.kind} ${each.bucket}`;
    rows.set(key, { ...(rows.get(key) || { kind: each.kind, bucket: each.bucket }), [each.outcome]: each.count });
  }
  byId("operation-rows").replaceChildren(
    ...[...rows.values()].map((row) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, row.kind.toUpperCase()),
        h("td", { class: "key" }, row.bucket.replace(PREFIX, "")),
        ...outcomes.map((each) => cell(decimal(row[each] || 0), !row[each])),
      ),
    ),
  );
}

function faults(now) {
  const kinds = Object.entries(now.faults);
  show("faults", kinds.length);
  byId("fault-at").textContent = known(now.fault_at_s) ? `last change ${clock(now.fault_at_s)} UTC` : "";
  byId("fault-rows").replaceChildren(
    ...kinds.map(([kind, count]) => h("tr", {}, h("th", { scope: "row" }, kind), cell(decimal(count)))),
  );
}

function ending(now) {
  const end = now.ending;
  byId("ending").replaceChildren(
    ...(end
      ? [
          h(
            "div",
            { class: `banner ${end.verdict}` },
            h(
              "div",
              { class: "words" },
              h("h1", {}, end.heading),
              ...end.errors.map((text) => h("p", {}, text)),
              h("p", {}, `Report: ${now.folder}/report.html`),
            ),
          ),
        ]
      : []),
  );
}

function problem(text) {
  byId("problem").textContent = text || "";
  show("problem", text);
}

function render(now) {
  byId("stage").textContent = STAGES[now.stage];
  byId("run").textContent = now.command
    ? `${now.scenario}, seed ${now.seed}, ${decimal(now.turbines)} turbines, in ${now.folder}`
    : `in ${now.folder}`;
  problem(now.trouble);
  if (!now.command) {
    for (const id of ["bar", "charts", "farms", "phases", "operations", "faults"]) show(id, false);
    for (const id of ["cards", "ending"]) byId(id).replaceChildren();
    document.title = "windfleet live";
    return;
  }
  const { done, planned, load } = totals(now);
  const part = share(done, planned);
  const known_ = planned > 0 && (!load || now.phases.every((each) => each.planned !== null));
  show("bar", known_ && !load);
  byId("bar").setAttribute("aria-valuenow", Math.round(100 * part));
  byId("bar").firstElementChild.style.setProperty("width", `${100 * part}%`);
  document.title = `${load || now.ending ? STAGES[now.stage] : percent(part)} · ${now.scenario} · windfleet live`;
  ending(now);
  cards(now);
  charts(now);
  farms(now);
  phases(now);
  operations(now);
  faults(now);
}

// The state, or null if the server does not give one.
async function asked() {
  try {
    const answer = await fetch("/state.json", { cache: "no-store" });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

async function poll() {
  if (document.hidden && state) return;
  const found = await asked();
  if (!found) {
    const kept = state ? ` Figures are those of ${clock(state.now_s)} UTC.` : "";
    problem(`The server of this page does not answer; it ends with its run.${kept}`);
    return;
  }
  state = found;
  render(state);
  byId("when").textContent = `${clock(state.now_s)} UTC`;
  document.documentElement.dataset.ready = "yes";
}

async function forever() {
  await poll().finally(() => setTimeout(forever, EVERY_MS));
}

startTheme(() => state && state.command && charts(state));
forever();
