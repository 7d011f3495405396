{
  const numbers = JSON.parse(document.querySelector("#numbers").textContent);
  const parts = numbers.parts;
  const box = document.querySelector("#unit");
  const title = document.querySelector("#unit-title");
  const body = document.querySelector("#unit-body");
  const cards = [...document.querySelectorAll(".unit")];
  const buttons = cards.map((card) => card.querySelector("button"));

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "style") element.style.cssText = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const short = (value) => Number(value).toPrecision(4).replace(/\.?0+(?=$|e)/, "");
  const show = (sprite, sheet) => { sprite.style.backgroundImage = `url("${sheet.image}")`; };
  const fill = (sprite) => {
    const [part, number, kind, sheet] = sprite.dataset.sheet.split(",");
    show(sprite, kind === "filters" ? parts[part].first_layer.sheets[sheet] : parts[part].layers[number].sheets[kind][sheet]);
  };

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      for (const sprite of entry.target.querySelectorAll("[data-sheet]")) fill(sprite);
    }
  }, { rootMargin: "800px" });
  for (const card of document.querySelectorAll(".unit, .filter")) watcher.observe(card);

  const of = (button) => {
    const part = parts[button.dataset.part];
    const layer = part.layers[button.dataset.number];
    return { part, layer, unit: layer.units[button.dataset.unit] };
  };
  const labels = buttons.map((button) => {
    const { part, unit } = of(button);
    return new Set(unit.places.map((place) => part.images[place.image].label).filter((label) => label !== null));
  });

  const byLayer = document.querySelector("#by-layer");
  const byClass = document.querySelector("#by-class");
  const onlyDead = document.querySelector("#only-dead");
  const onlyRedundant = document.querySelector("#only-redundant");
  if (byClass) {
    const count = new Map();
    for (const set of labels) for (const label of set) count.set(label, (count.get(label) ?? 0) + 1);
    for (const label of [...count.keys()].sort((a, b) => a.localeCompare(b))) {
      byClass.append(new Option(`${label} (${count.get(label)})`, label));
    }
  }
  const choose = () => {
    let shown = 0;
    cards.forEach((card, index) => {
      const section = card.closest(".layer-units");
      const fits = (!byLayer.value || section.dataset.layer === byLayer.value)
        && (!byClass?.value || labels[index].has(byClass.value))
        && (!onlyDead.checked || card.dataset.dead === "1")
        && (!onlyRedundant.checked || card.dataset.redundant === "1");
      card.hidden = !fits;
      shown += fits;
    });
    for (const section of document.querySelectorAll(".layer-units[data-layer]")) {
      section.hidden = !section.querySelector(".unit:not([hidden])");
    }
    document.querySelector("#shown").textContent = `${shown} of ${cards.length} units`;
  };
  for (const control of [byLayer, byClass, onlyDead, onlyRedundant]) control?.addEventListener("change", choose);
  document.querySelector(".filters-bar").addEventListener("submit", (event) => event.preventDefault());
  choose();

  // A tile is one of side² in a block, which is one of across × down on a sheet.
  const tile = (sheet, spot, side, place, ratio, alt, coarse) => {
    const column = spot.column * side + (place % side);
    const row = spot.row * side + Math.floor(place / side);
    const sprite = make("span", {
      class: coarse ? "sprite coarse" : "sprite", role: "img", "aria-label": alt,
      style: `--across: ${sheet.grid[0] * side}; --down: ${sheet.grid[1] * side}; --column: ${column}; --row: ${row}; --tile-ratio: ${ratio}`,
    });
    show(sprite, sheet);
    return sprite;
  };
  const located = (part, place) => {
    const image = part.images[place.image];
    const [height, width] = part.input_size.slice(-2);
    const [[top, bottom], [left, right]] = place.box.slice(-2);
    const thumbnail = tile(part.thumbnails[image.sheet], image, 1, 0, `${width} / ${height}`, `${image.name}, with the part that the unit sees`, false);
    thumbnail.append(make("i", { style: `left: ${100 * left / width}%; top: ${100 * top / height}%; width: ${100 * (right - left) / width}%; height: ${100 * (bottom - top) / height}%` }));
    return thumbnail;
  };
  const strongest = ({ part, layer, unit }) => make("ol", { class: "tops" }, ...unit.places.map((place, index) => {
    const image = part.images[place.image];
    const ratio = `${layer.tile[1]} / ${layer.tile[0]}`;
    const three = make("div", { class: "three" }, located(part, place),
      tile(layer.sheets.patches[unit.sheet], unit, part.side, index, ratio, "patch", layer.coarse),
      tile(layer.sheets.projections[unit.sheet], unit, part.side, index, ratio, "projection", layer.coarse));
    const caption = make("p", {}, make("b", {}, short(place.activation)), ` at (${place.position.join(", ")}) of ${image.name}`);
    if (part.classes === "predicted" && image.label !== null) caption.append(` · ${image.label}`);
    if (place.slice !== undefined) caption.append(` · slice ${place.slice}`);
    if (place.silent) caption.append(" · nothing comes back");
    return make("li", {}, three, caption);
  }));
  const histogram = ({ part, unit }) => {
    const { low, high, counts, active } = unit.histogram;
    const svg = document.querySelector("#blank").cloneNode();
    const add = (tag, attributes, text) => {
      const element = document.createElementNS(svg.namespaceURI, tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      if (text !== undefined) element.textContent = text;
      svg.append(element);
    };
    const most = Math.max(...counts, 1);
    for (const name of ["id", "width", "height", "aria-hidden"]) svg.removeAttribute(name);
    svg.setAttribute("viewBox", "0 0 480 116");
    svg.setAttribute("class", "histogram");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `Peaks of the unit in ${part.sample} pictures, from ${short(low)} to ${short(high)}: ${counts.join(", ")}`);
    const wide = 480 / counts.length;
    counts.forEach((count, index) => add("rect", { x: index * wide + 1, y: 90 - 84 * count / most, width: wide - 2, height: 84 * count / most }));
    add("line", { x1: 0, x2: 480, y1: 90.5, y2: 90.5 });
    add("text", { x: 0, y: 108 }, short(low));
    add("text", { x: 480, y: 108, "text-anchor": "end" }, short(high));
    return [svg, make("p", {}, `Its peak is above zero in ${active} of ${part.sample} pictures.`)];
  };
  const fact = (list, name, ...values) => list.append(make("dt", {}, name), make("dd", {}, ...values));
  const open = (index) => {
    const button = buttons[index];
    const { part, layer, unit } = of(button);
    title.textContent = `${layer.layer} · unit ${unit.unit}`;
    const facts = make("dl");
    const link = (to, text) => {
      const number = buttons.findIndex((other) => other.dataset.part === button.dataset.part && of(other).layer === layer && of(other).unit.unit === to);
      if (number < 0) return text;
      const go = make("button", { type: "button", class: "link" }, text);
      go.addEventListener("click", () => open(number));
      return go;
    };
    if (unit.dead) fact(facts, "Dead", `above zero in none of ${part.used} pictures`);
    for (const twin of unit.redundant) {
      fact(facts, "Redundant", "like ", link(twin.unit, `unit ${twin.unit}`), `: correlation ${twin.correlation.toFixed(3)}, ${twin.shared} of ${part.top} strongest places shared`);
    }
    if (unit.counterpart) {
      const { unit: other, correlation, verdict } = unit.counterpart;
      fact(facts, "In the other network", other === null ? verdict : `unit ${other}, ${verdict} (correlation ${correlation.toFixed(3)})`);
    }
    if (layer.coverage) fact(facts, "Coverage", layer.coverage.sentence);
    if (layer.limits) fact(facts, "What it can show", layer.limits);
    fact(facts, "Computed from", layer.windows);
    const parts = [strongest({ part, layer, unit }), make("h3", {}, "Peaks over the pictures"), ...histogram({ part, unit })];
    if (unit.fidelity) {
      const figures = make("dl");
      for (const { name, value, meaning } of unit.fidelity.figures) fact(figures, name, make("b", {}, value === null ? "not defined" : value >= 1000 ? Math.round(value).toLocaleString("en") : short(value)), ` · ${meaning}`);
      parts.push(make("h3", {}, "Fidelity"), make("p", {}, unit.fidelity.verdict), figures);
      if (unit.fidelity.papers.length) parts.push(make("ul", { class: "papers" }, ...unit.fidelity.papers.map((paper) => make("li", {}, paper))));
    }
    else parts.push(make("h3", {}, "Fidelity"), make("p", {}, unit.dead ? "A dead unit sends nothing back." : layer.not_measured || "Not measured for this unit; --fidelity sets for how many of each layer it is."));
    parts.push(make("h3", {}, "Figures"), facts);
    body.replaceChildren(...parts);
    body.scrollTop = 0;
    box.dataset.index = index;
    if (!box.open) box.showModal();
  };
  const move = (step) => {
    for (let index = Number(box.dataset.index) + step; index >= 0 && index < cards.length; index += step) {
      if (!cards[index].hidden) return open(index);
    }
  };
  buttons.forEach((button, index) => button.addEventListener("click", () => open(index)));
  document.querySelector("#unit-before").addEventListener("click", () => move(-1));
  document.querySelector("#unit-after").addEventListener("click", () => move(1));
  document.querySelector("#unit-close").addEventListener("click", () => box.close());
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") move(-1);
    if (event.key === "ArrowRight") move(1);
  });
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  box.addEventListener("close", () => {
    const button = buttons[box.dataset.index];
    button.scrollIntoView({ block: "nearest" });
    button.focus();
  });
}
