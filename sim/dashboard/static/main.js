// Start: unpack, read the address, show; show again after each change.

const PARTS = [
  showFilters,
  showAttention,
  showCards,
  showMap,
  showRanking,
  showProduction,
  showCurve,
  showFreshness,
  showAnomalies,
  showPerformance,
];

function showAll() {
  for (const part of PARTS) part();
}

// Two columns: the map and the ranking have very different heights, so freshness goes below the shorter.
function balance() {
  const [map, ranking] = ["map", "ranking"].map(byId);
  if (!page.rankings[0].turbine_id?.length) {
    map.closest(".pair").classList.add("flat"); // the map over the whole width, the two others below
    return;
  }
  const height = (part) =>
    part.lastElementChild.getBoundingClientRect().bottom - part.getBoundingClientRect().top;
  (height(map) < height(ranking) ? map : ranking).after(byId("freshness"));
}

async function start() {
  arrange(await contents());
  byId("content").hidden = false;
  fill("when", `as of ${dated(page.now_us)}`);
  const step = lasting(page.grid.step_us);
  fill(
    "footer",
    `Data ${dated(page.extent.first_us)} to ${dated(page.extent.last_us)}; windows of ${lasting(page.extent.window_us)}, rows every ${lasting(page.extent.sample_us)}. `,
    `One point per ${step} of each turbine. Times are UTC. Made by windfleet dashboard from the views of the lakehouse; charts by uPlot (MIT).`,
  );
  readAddress();
  changed = showAll;
  startFilters();
  startTheme(showAll);
  showAll();
  balance();
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  fill("problem", error.message);
  byId("problem").hidden = false;
  throw error;
});
