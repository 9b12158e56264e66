// Start of a report: charts, definitions, folded parts, tables that scroll, printing.

// Open the folded parts around the target of the address.
function openTarget() {
  const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  target.scrollIntoView({ block: "nearest" });
}

// A table that is wider than its box says so, and can be scrolled by keys.
function markTables() {
  for (const box of document.querySelectorAll(".scroll")) {
    const over = box.scrollWidth > box.clientWidth + 1;
    box.toggleAttribute("data-over", over);
    if (over) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

function startPrinting() {
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")].filter((each) => !each.closest("#figures, #environment"));
    for (const each of folded) each.open = true;
    document.documentElement.dataset.theme = "light";
    placeAll();
    for (const host of places()) shown.get(host.id).setSize({ width: Math.min(host.clientWidth, 680), height: shown.get(host.id).height });
  });
  addEventListener("afterprint", () => {
    for (const each of folded) each.open = false;
    delete document.documentElement.dataset.theme;
    placeAll();
  });
}

placeAll();
markTables();
startTerms();
startTheme(placeAll);
startPrinting();
openTarget();
addEventListener("hashchange", openTarget);
addEventListener("resize", markTables);
document.addEventListener("toggle", markTables, true);
document.documentElement.dataset.ready = "yes";
