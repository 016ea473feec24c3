// SPDX-License-Identifier: Apache-2.0
// The few ways in which this page changes its document. Text goes in as text, never as markup. What is there already is
// changed only where it differs, so that focus, selection and a reader's place stay over refreshes.

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const say = (id, text) => setText($(id), text);

function setState(node, state) {
  if (node.dataset.state !== state) node.dataset.state = state;
}

function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = ["ok", "degraded", "failed", "unknown", "note"];

function setShape(svg, state) {
  const target = `#shape-${SHAPES.includes(state) ? state : "unknown"}`;
  const use = svg.firstElementChild;
  if (use.getAttribute("href") !== target) use.setAttribute("href", target);
}

function makeShape() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "shape");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  return svg;
}

// A fill bar: only the width of its inside is styled by script.
function setBar(bar, share, label) {
  const percent = Math.min(100, Math.max(0, share * 100));
  bar.setAttribute("aria-valuenow", percent.toFixed(0));
  bar.setAttribute("aria-valuetext", label);
  bar.firstElementChild.style.width = `${percent.toFixed(1)}%`;
  setState(bar, percent >= 95 ? "failed" : percent >= 80 ? "degraded" : "ok");
}

// A child of `parent` for each item, in order. `keyOf` names an item, `create` makes its node, `update` fills it; a node
// lives as long as its key is there. Returns whether the focus was in a node that had to go.
function showList(parent, items, keyOf, create, update) {
  const nodes = (parent.bfrNodes ??= new Map());
  const wanted = new Set(items.map(keyOf));
  let lostFocus = false;
  for (const [key, node] of nodes) {
    if (wanted.has(key)) continue;
    lostFocus ||= node.contains(document.activeElement);
    node.remove();
    nodes.delete(key);
  }
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let node = nodes.get(key);
    if (!node) nodes.set(key, (node = create(item)));
    if (node === next) next = next.nextElementSibling;
    else if (!node.contains(document.activeElement)) parent.insertBefore(node, next);
    update(node, item);
  }
  return lostFocus;
}

// Changes of state are announced once, in words; figures are not.
let announced = "";

function announce(text) {
  if (text === announced) return;
  announced = text;
  say("announcement", text);
}
