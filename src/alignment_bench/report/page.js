"use strict";
(() => {
  const words = document.getElementById("words");
  const who = document.getElementById("who");
  const count = document.getElementById("count");
  const form = document.getElementById("search");
  const items = [...document.querySelectorAll(".item")].map((node) => ({
    node,
    text: node.textContent.toLowerCase(),
    open: node.open,
  }));
  const cards = [...document.querySelectorAll(".card[data-label]")];
  const kinds = [...document.querySelectorAll(".kind")];
  const show = () => {
    const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const item of items) {
      const hit = asked.every((word) => item.text.includes(word));
      item.node.hidden = !hit;
      found += hit;
      if (item.node.tagName === "DETAILS") item.node.open = asked.length ? hit : item.open;
    }
    for (const card of cards) {
      const label = card.dataset.label;
      card.hidden = who.value !== "" && label !== who.value && label !== "base";
    }
    for (const kind of kinds) {
      const labels = kind.dataset.labels.split("\n");
      const theirs = who.value === "" || labels[0] === "" || labels.includes(who.value);
      kind.hidden = !theirs || !kind.querySelector(".item:not([hidden])");
    }
    count.textContent = asked.length || who.value ? `${found} of ${items.length} shown` : "";
  };
  words.addEventListener("input", show);
  who.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = items.length === 0;
  // what is folded away on a screen belongs on paper
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });
})();
