// The maintenance ranking, and the daily trend behind a place.

const SIGNS = {
  gearbox: ["gearbox_k", "Gearbox temperature", "K", 1, 0.3],
  generator: ["generator_k", "Generator temperature", "K", 1, 0.6],
  nacelle: ["nacelle_k", "Nacelle temperature", "K", 1, 0.6],
  vibration: ["vibration_mm_s", "Vibration", "mm/s", 2, 0.06],
  output: ["output", "Output", "% of rated", 1, -0.02],
}; // column of the view, words, unit, digits, least usual deviation
const LEADING = {
  gearbox: "gearbox",
  main_bearing: "vibration",
  generator: "generator",
  cooling: "nacelle",
  rotor: "vibration",
  pitch: "vibration",
  yaw: "output",
};
const FIRST_PLACES = 8;
let allPlaces = false;

const shownValue = (sign, value) => (sign === "output" && known(value) ? 100 * value : value);
function leading(ranking, row) {
  const named = LEADING[ranking.component[row]];
  if (named) return named;
  const share = (sign) => (ranking[SIGNS[sign][0]][row] ?? 0) / SIGNS[sign][4];
  return Object.keys(SIGNS).reduce((a, b) => (share(b) > share(a) ? b : a));
}

function showRanking() {
  const ranking = rankedNow();
  shown.get("trend-chart")?.destroy();
  shown.delete("trend-chart");
  fill("trend");
  const rows = [];
  const units = new Set(chosenUnits());
  ranking?.turbine_id?.forEach((turbine, row) => {
    const unit = page.unitOf(ranking.farm_id[row], turbine);
    if (units.has(unit)) rows.push([row, unit]);
  });
  if (!rows.length) {
    const days = (Math.min(clockUs(), page.extent.last_us) - page.extent.first_us) / DAY;
    const text = ranking?.turbine_id?.length
      ? "No turbine of this choice is in the ranking."
      : `No ranking: it compares the last five days with the first third, and needs ten days of data. Before this clock the lake holds ${days < 1 ? "less than a day" : many(Math.round(days), "day")}.`;
    fill("places", h("p", { class: "nothing" }, text));
    fill("ranking-clock");
    return;
  }
  fill("ranking-clock", `as of ${dated(ranking.now_us)}`);
  const open = rows.some(([, unit]) => unit === choice.rank) ? choice.rank : rows[0][1];
  const most = Math.max(8, ...rows.map(([row]) => ranking.score[row]));
  const seen = allPlaces ? rows.slice(0, 400) : rows.slice(0, FIRST_PLACES);
  fill(
    "places",
    h(
      "ol",
      { class: "places" },
      seen.map(([row, unit]) => {
        const sign = leading(ranking, row);
        const [name, , unitText, digits] = SIGNS[sign];
        const component = ranking.component[row];
        return h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              class: "place",
              "aria-pressed": String(unit === open),
              onclick: () => set({ rank: unit, sign: null }),
            },
            h("span", { class: "number" }, decimal(ranking.place[row])),
            h("b", {}, ranking.turbine_id[row]),
            h(
              "span",
              { class: component ? "tag fail" : "quiet" },
              component ? plain(component) : "no finding",
            ),
            h(
              "span",
              { class: "score" },
              h(
                "span",
                { class: "track" },
                h("span", {
                  class: component ? "" : "low",
                  style: {
                    width: `${Math.max(2, (100 * Math.max(0, ranking.score[row])) / most)}%`,
                  },
                }),
              ),
              h("span", {}, decimal(ranking.score[row], 1)),
            ),
            h(
              "span",
              { class: "why" },
              `${sign} ${signed(shownValue(sign, ranking[name][row]), digits)} ${unitText}`,
            ),
          ),
        );
      }),
    ),
    rows.length > seen.length &&
      !allPlaces &&
      h(
        "button",
        {
          type: "button",
          class: "plain more",
          onclick: () => {
            allPlaces = true;
            showRanking();
          },
        },
        `Show all ${decimal(rows.length)}`,
      ),
  );
  showTrend(
    ranking,
    rows.find(([, unit]) => unit === open),
  );
}

function showTrend(ranking, [row, unit]) {
  const turbine = ranking.turbine_id[row];
  const trend = page.trends[turbine];
  if (!trend)
    return fill(
      "trend",
      h(
        "p",
        { class: "nothing" },
        `The page holds trends of each farm's first places only, not of ${turbine}.`,
      ),
    );
  const sign = choice.sign || leading(ranking, row);
  const [name, words, unitText, digits] = SIGNS[sign];
  const days = trend.date.map((date) => Date.parse(`${date}T12:00:00Z`) / 1000);
  const until = days.filter((at) => at * 1e6 <= ranking.now_us + DAY / 2).length;
  const values = trend[sign].slice(0, until).map((value) => shownValue(sign, value));
  const slope = shownValue(sign, ranking[`${sign}_per_week`][row]);
  fill(
    "trend",
    h(
      "header",
      {},
      h("h3", {}, `${turbine}: ${words.toLowerCase()} against its farm`),
      choice.unit !== unit &&
        h(
          "button",
          { type: "button", class: "plain", onclick: () => chooseUnit(unit) },
          `Show ${turbine} alone`,
        ),
    ),
    h(
      "div",
      { class: "chips" },
      Object.entries(SIGNS).map(([each, [, text]]) =>
        chip(text, each === sign, () => set({ rank: unit, sign: each })),
      ),
    ),
    h(
      "p",
      { class: "lead" },
      `Daily mean against the farm's running turbines, corrected for load; at zero it is like its farm. The median of the last five days lies ${signed(shownValue(sign, ranking[name][row]), digits)} ${unitText} from that of the first third; slope ${signed(slope, digits)} ${unitText} per week.`,
    ),
    h("div", { class: "chart", id: "trend-chart" }),
  );
  const paint = ranking.component[row] ? colour("fault") : colour("data");
  draw(
    "trend-chart",
    {
      height: 180,
      scales: {
        x: { range: (_, low, high) => [low - DAY / 1.4e6, high + DAY / 1.4e6] },
        sign: {
          range: (_, low, high) => {
            const pad = 0.15 * Math.max(high - low, SIGNS[sign][2] === "mm/s" ? 0.2 : 2);
            return [Math.min(0, low) - pad, Math.max(0, high) + pad];
          },
        },
      },
      series: [{}, line(paint, "sign", { width: 2, points: { show: true, size: 5, fill: paint } })],
      axes: [timeAxis(), numberAxis(unitText, { scale: "sign", size: 44 })],
      plugins: [
        marks({
          spans: [[(ranking.now_us - 5 * DAY) / 1e6, ranking.now_us / 1e6]],
          lines: [{ value: 0, scale: "sign", paint: colour("soft") }],
        }),
        tip((_, at) => [
          [null, moment(days[at] * 1e6).replace(/ \d\d:\d\d/, "")],
          [paint, `${signed(values[at], digits)} ${unitText}`],
        ]),
      ],
    },
    [days.slice(0, until), values],
  );
}
