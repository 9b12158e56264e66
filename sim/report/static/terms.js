// Definitions: a box at a word of the glossary, on hover and on keyboard focus.

function startTerms() {
  const box = h("div", { class: "note", role: "tooltip", hidden: true });
  document.body.append(box);
  const hide = () => {
    box.hidden = true;
  };
  const show = (word) => {
    const text = byId(word.hash.slice(1))?.textContent;
    if (!text) return;
    box.textContent = text;
    box.hidden = false;
    const at = word.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const left = Math.min(Math.max(at.left, 12), Math.max(width - box.offsetWidth - 12, 12));
    const above = at.top - box.offsetHeight - 6;
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${(above > 0 ? above : at.bottom + 6) + scrollY}px`;
  };
  for (const word of document.querySelectorAll(".term")) {
    word.setAttribute("aria-describedby", word.hash.slice(1));
    word.addEventListener("mouseenter", () => show(word));
    word.addEventListener("focus", () => show(word));
    word.addEventListener("mouseleave", hide);
    word.addEventListener("blur", hide);
  }
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
