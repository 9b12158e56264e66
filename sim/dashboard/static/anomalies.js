// Episodes of the choice, and the readings around one of them.

const SEVERITIES = ["critical", "warning", "notice"];
const FIRST_EPISODES = 40;
let allEpisodes = false;

function showAnomalies() {
  const { episodes } = page;
  const found = episodesOfChoice();
  const counts = Object.fromEntries(
    SEVERITIES.map((name) => [
      name,
      found.filter((place) => episodes.severity[place] === name).length,
    ]),
  );
  fill(
    "severities",
    chip(`All ${decimal(found.length)}`, choice.severity === null, () => set({ severity: null })),
    SEVERITIES.map((name) =>
      chip(
        [h("i", { class: `dot ${name}` }), `${plain(name)} ${decimal(counts[name])}`],
        choice.severity === name,
        () => set({ severity: choice.severity === name ? null : name }),
      ),
    ),
  );
  const listed =
    choice.severity === null
      ? found
      : found.filter((place) => episodes.severity[place] === choice.severity);
  if (!listed.length) {
    const kind = choice.severity ? `No ${choice.severity} anomaly` : "No anomaly";
    fill("episodes", h("p", { class: "nothing" }, `${kind} of this choice lies in the period.`));
    return showFocus(null);
  }
  const seen = allEpisodes ? listed : listed.slice(0, FIRST_EPISODES);
  const open = listed.includes(choice.episode) ? choice.episode : listed[0];
  fill(
    "episodes",
    h(
      "ol",
      { class: "episodes" },
      seen.map((place) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              class: "episode",
              "aria-pressed": String(place === open),
              onclick: () => {
                set({ episode: place });
                if (innerWidth < 1000) byId("focus").scrollIntoView({ block: "start" });
              },
            },
            h("span", { class: `tag ${episodes.severity[place]}` }, episodes.severity[place]),
            h("b", {}, episodes.turbine_id[place] ?? "no name"),
            h(
              "span",
              {
                class: "what",
                title: `${episodes.kind[place]}, ${many(episodes.rows[place], kindOfSign(episodes.kind[place]))}`,
              },
              kindText(episodes.kind[place]),
            ),
            h(
              "span",
              { class: "span" },
              `${moment(episodes.first_us[place])}, ${lasting(episodes.last_us[place] - episodes.first_us[place])}`,
            ),
          ),
        ),
      ),
    ),
    listed.length > seen.length &&
      h(
        "button",
        {
          type: "button",
          class: "plain more",
          onclick: () => {
            allEpisodes = true;
            showAnomalies();
          },
        },
        `Show all ${decimal(listed.length)}`,
      ),
    page.episodes_in_all > episodes.kind.length &&
      h(
        "p",
        { class: "lead" },
        `The page holds the gravest ${decimal(episodes.kind.length)} of ${decimal(page.episodes_in_all)} episodes.`,
      ),
  );
  showFocus(open);
}

const kindOfSign = (kind) =>
  kind === "vibration_level" || kind.startsWith("rejected.") ? "row" : "window";

// Readings around an episode: in full where the page has them, else by step.
function readings(place) {
  const span = page.focus.find((each) => each.place === page.episodes.place[place]);
  if (span) {
    const of = (name) =>
      Array.from(page.columns[`focus.${name}`].subarray(span.at, span.at + span.points), (each) =>
        Number.isNaN(each) ? null : each,
      );
    return {
      length: span.point_us,
      times: Array.from(
        { length: span.points },
        (_, at) => (span.from_us + at * span.point_us) / 1e6,
      ),
      power: of("power"),
      wind: of("wind"),
      vibration: of("vibration"),
      gearbox: of("gearbox"),
      generator: of("generator"),
    };
  }
  const unit = page.unitOf(page.episodes.farm_id[place], page.episodes.turbine_id[place]);
  if (unit === undefined) return null;
  const step = (us) => Math.floor((us - page.grid.origin_us) / page.grid.step_us);
  const from = Math.max(0, step(page.episodes.first_us[place]) - 6);
  const to = Math.min(page.grid.steps, step(page.episodes.last_us[place]) + 7);
  const of = (name) =>
    Array.from({ length: to - from }, (_, at) => {
      const value = page.columns[name][unit * page.grid.steps + from + at];
      return Number.isNaN(value) ? null : value;
    });
  return {
    length: page.grid.step_us,
    times: Array.from({ length: to - from }, (_, at) => stepStart(from + at) / 1e6),
    power: of("power"),
    wind: of("wind"),
    vibration: of("vibration"),
  };
}

function showFocus(place) {
  for (const id of ["focus-power", "focus-vibration", "focus-heat"]) {
    shown.get(id)?.destroy();
    shown.delete(id);
  }
  if (place === null) return fill("focus");
  const { episodes } = page;
  const found = readings(place);
  const unit = page.unitOf(episodes.farm_id[place], episodes.turbine_id[place]);
  const heading = h(
    "header",
    {},
    h("h3", {}, `${episodes.turbine_id[place] ?? "no name"}: ${kindText(episodes.kind[place])}`),
    h(
      "span",
      { class: "aside" },
      `${dated(episodes.first_us[place])} to ${dated(episodes.last_us[place])}`,
    ),
  );
  if (!found || !found.power.some(known)) {
    return fill(
      "focus",
      heading,
      h(
        "p",
        { class: "nothing" },
        "The lake holds no valid row of this turbine around the episode.",
      ),
    );
  }
  const only =
    unit !== undefined &&
    choice.unit !== unit &&
    h(
      "button",
      { type: "button", class: "plain", onclick: () => chooseUnit(unit) },
      `Show ${episodes.turbine_id[place]} alone`,
    );
  const charts = [
    ["focus-power", "Power output and wind speed", true],
    ["focus-vibration", "Vibration", true],
    ["focus-heat", "Temperatures", Boolean(found.gearbox)],
  ].filter((each) => each[2]);
  fill(
    "focus",
    heading,
    h(
      "p",
      { class: "lead" },
      `One point per ${lasting(found.length)}; the episode is shaded. `,
      only || "",
    ),
    charts.map(([id, text]) => [
      h("h4", {}, text),
      h("ul", { class: "legend", id: `${id}-legend` }),
      h("div", { class: "chart", id }),
    ]),
  );
  const span = [
    [
      episodes.first_us[place] / 1e6,
      Math.max(episodes.last_us[place], episodes.first_us[place] + found.length) / 1e6,
    ],
  ];
  const [output, wind, vibration, gearbox, generator] = [
    "data",
    "wind",
    "fault",
    "stopped",
    "maintenance",
  ].map(colour);
  const one = (id, unitText, entries, properties = {}) => {
    draw(
      id,
      {
        height: 150,
        cursor: { sync: { key: "focus" } },
        scales: {
          x: {},
          left: {
            range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1.15 * (high ?? 0), 0.1)],
            ...properties.left,
          },
          right: { range: (_, low, high) => [0, Math.max(5, 1.2 * (high ?? 0))] },
        },
        series: [
          {},
          ...entries.map(([paint, , , , scale]) =>
            line(paint, scale || "left", { dash: scale ? [4, 4] : undefined }),
          ),
        ],
        axes: [
          timeAxis(),
          numberAxis(unitText, { scale: "left", size: 44, space: 24 }),
          entries.some((each) => each[4])
            ? numberAxis("m/s", { scale: "right", side: 1, grid: { show: false }, size: 30 })
            : axis({
                scale: "left",
                side: 1,
                size: 30,
                labelSize: 18,
                label: " ",
                values: () => [],
                grid: { show: false },
              }),
        ],
        plugins: [
          marks({ spans: span, lines: properties.lines }),
          tip((_, at) => [
            [null, moment(found.times[at] * 1e6)],
            ...entries.map(([paint, name, values, text]) => [
              paint,
              `${name}: ${decimal(values[at], text === "MW" ? 2 : 1)} ${text}`,
            ]),
          ]),
        ],
      },
      [found.times, ...entries.map((each) => each[2])],
    );
    legend(`${id}-legend`, [
      ...entries.map(([paint, name, , , scale]) => [paint, name, scale ? "dashed" : ""]),
      ...(properties.lines || []).map(({ paint, text }) => [paint, text, "dashed thin"]),
    ]);
  };
  one("focus-power", "MW", [
    [output, "power", found.power, "MW"],
    [wind, "wind speed", found.wind, "m/s", "right"],
  ]);
  one("focus-vibration", "mm/s", [[vibration, "vibration", found.vibration, "mm/s"]], {
    left: {
      range: (_, low, high) => [0, Math.max(1.15 * (high ?? 0), 1.2 * page.vibration_alarm)],
    },
    lines: [
      {
        value: page.vibration_alarm,
        scale: "left",
        paint: colour("soft"),
        text: `alarm, ${page.vibration_alarm} mm/s`,
      },
    ],
  });
  if (found.gearbox)
    one("focus-heat", "°C", [
      [gearbox, "gearbox", found.gearbox, "°C"],
      [generator, "generator", found.generator, "°C"],
    ]);
}
