(() => {
  "use strict";
  const browser = document.getElementById("browser");
  if (!browser) return;
  const form = browser.querySelector("form");
  const query = form.elements.query;
  const kind = form.elements.kind;
  const found = form.querySelector("output");
  const items = Array.from(browser.querySelectorAll(".item"), (element) => ({
    element,
    kind: element.dataset.kind,
    text: element.textContent.toLowerCase(),
  }));

  function filter() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const fits = (kind.value === "" || kind.value === item.kind) && words.every((word) => item.text.includes(word));
      item.element.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    found.value = `${shown} of ${items.length} answers shown`;
  }

  function setOpen(open) {
    for (const item of items) if (!item.element.hidden) item.element.open = open;
  }

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.elements.open.addEventListener("click", () => setOpen(true));
  form.elements.close.addEventListener("click", () => setOpen(false));
  filter();
})();
