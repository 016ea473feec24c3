// SPDX-License-Identifier: Apache-2.0
// Tenants by what they send, what waits and what is dead. The figures are in the metrics, which are open; names of tenants
// that have sent nothing yet come from the API when it lets us in.

const SHOWN = 12;
const KNOWN_EVERY_S = 60;
const TENANTS_MAX = 2000; // more are not worth a list of all of them

const known = { names: new Map(), asked: -Infinity };

async function askTenants() {
  const { health, at } = history.latest;
  if (health.tenant_count === 0 || health.tenant_count > TENANTS_MAX || at < known.asked + KNOWN_EVERY_S) return;
  known.asked = at;
  const { tenants } = await client.json("/api/v1/tenants");
  known.names = new Map(tenants.map((tenant) => [tenant.id, tenant.name]));
}

function tenantsOf(sample) {
  const { families } = sample;
  const read = (name) => byLabel(families, name, "tenant_id");
  const held = read("held_batches"), dead = read("buried_batches"), accepted = read("accepted_batches_total");
  const batches = history.ratesBy("accepted_batches_total", "tenant_id"), bytes = history.ratesBy("accepted_bytes_total", "tenant_id");
  const ids = new Set([...accepted.keys(), ...known.names.keys()]);
  return [...ids].map((id) => ({ id, name: known.names.get(id) ?? "", held: held.get(id) ?? 0, dead: dead.get(id) ?? 0,
    rate: accepted.has(id) ? batches.get(id) : 0, bytes: accepted.has(id) ? bytes.get(id) : 0 }));
}

const ORDERS = {
  rate: (left, right) => (right.rate ?? 0) - (left.rate ?? 0) || right.held - left.held,
  held: (left, right) => right.held - left.held,
  dead: (left, right) => right.dead - left.dead,
  name: () => 0,
};

function makeTenant() {
  const number = () => make("td", { class: "number" });
  return make("tr", {}, make("th", { scope: "row" }, make("span"), make("small")), number(), make("td", { class: "number wide" }), number(), number());
}

function fillTenant(row, tenant) {
  const [name, rate, bytes, held, dead] = row.children;
  setText(name.firstElementChild, nameText(tenant.id));
  setText(name.lastElementChild, tenant.name && tenant.name !== tenant.id ? nameText(tenant.name) : "");
  setText(rate, rateText(tenant.rate));
  setText(bytes, bytesText(tenant.bytes));
  setText(held, countText(tenant.held));
  setText(dead, countText(tenant.dead));
}

function tenantsNote(all, matching) {
  if (all === 0) return "No tenant has sent anything since the start.";
  if (matching === 0) return `None of ${countText(all)} tenants has that in its name.`;
  return matching > SHOWN ? `${countText(matching - SHOWN)} more; filter to see them.` : "";
}

function showTenants() {
  const all = tenantsOf(history.latest), wanted = $("tenants-filter").value.trim().toLowerCase();
  const matching = all.filter(({ id, name }) => `${id} ${name}`.toLowerCase().includes(wanted));
  const order = ORDERS[$("tenants-order").value];
  matching.sort((left, right) => order(left, right) || left.id.localeCompare(right.id));
  showList($("tenants"), matching.slice(0, SHOWN), (tenant) => tenant.id, makeTenant, fillTenant);
  const note = tenantsNote(all.length, matching.length);
  say("tenants-empty", note);
  setHidden($("tenants-empty"), note === "");
  setHidden($("tenants-table"), matching.length === 0);
  showList($("letters-tenants"), all.filter((tenant) => tenant.dead > 0), (tenant) => tenant.id, () => make("option"),
    (option, tenant) => option.setAttribute("value", tenant.id));
}

for (const id of ["tenants-filter", "tenants-order"])
  $(id).addEventListener("input", () => history.latest && showTenants());
