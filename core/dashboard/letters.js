// SPDX-License-Identifier: Apache-2.0
// Dead letters: which, why, and what to do with them. Asked for when their number changes, when something is done, and every
// ten seconds; page by page. The daemon counts first (dry_run) what would be changed, and is asked again only after a yes.

const PAGE = 25;
const LETTERS_EVERY_S = 10;

// access: "unknown" (not asked yet), "open", "token" (one is needed), "no" (with `note`)
const letters = { access: "unknown", note: "", list: [], next: null, cursor: "", asked: -Infinity, buried: undefined, message: "" };

// --- what the daemon says

function lettersFilter() {
  return { tenant_id: $("letters-tenant").value.trim(), dataset_id: $("letters-dataset").value.trim() };
}

function lettersPath() {
  const query = new URLSearchParams({ limit: PAGE });
  for (const [key, value] of Object.entries({ ...lettersFilter(), cursor: letters.cursor })) if (value) query.set(key, value);
  return `/api/v1/dlq/files?${query}`;
}

function noteAccess(error) {
  if (error.status === 401) {
    letters.access = "token";
    say("token-error", client.token ? "This token was not accepted." : "");
    client.keepToken("");
  } else {
    letters.access = error.status === 403 ? "no" : letters.access;
    letters.note = error.message;
  }
}

async function askLetters() {
  letters.asked = performance.now() / 1000;
  try {
    const page = await client.json(lettersPath());
    Object.assign(letters, { access: "open", note: "", list: page.data, next: page.next });
    await askTenants();
  } catch (error) {
    noteAccess(error);
  }
  showLetters();
}

// Once a turn. Where a token is needed nothing is asked until there is one.
async function turnLetters() {
  const { families, at } = history.latest;
  const buried = total(families, "buried_batches") ?? 0;
  const due = buried !== letters.buried || at > letters.asked + LETTERS_EVERY_S;
  letters.buried = buried;
  if (letters.access !== "token" && letters.access !== "no" && due) await askLetters();
  else showLetters();
}

// --- how they are shown

function makeLetter(letter) {
  const button = (text, kind, act) => {
    const node = make("button", { type: "button", class: kind, "aria-label": `${text} ${nameText(letter.filename)}` }, text);
    node.addEventListener("click", act);
    return node;
  };
  const what = make("div", {}, make("p", { class: "name" }), make("p", { class: "why" }, make("span", { class: "reason" }), make("span")),
    make("p", { class: "facts" }), make("p", { class: "facts" }));
  return make("li", { class: "letter" }, what, make("div", { class: "buttons" },
    button("Retry", "quiet", () => retryLetters({ id: letter.id }, nameText(letter.filename))),
    button("Purge", "danger", () => purgeLetters({ id: letter.id }, letter.tenant_id, nameText(letter.filename)))));
}

function fillLetter(node, letter) {
  const [name, why, last, first] = node.firstElementChild.children;
  setText(name, nameText(`${letter.tenant_id}/${letter.dataset_id}/${letter.filename}`));
  setText(why.firstElementChild, nameText(letter.reason || "unknown"));
  setText(why.lastElementChild, nameText(letter.last_error));
  setText(last, `${bytesText(letter.size)}, received ${timeText(letter.created_at)}. ` +
    `${pluralText(letter.attempts, "attempt", "attempts")}, last error ${timeText(letter.last_error_at)}, first ${timeText(letter.first_error_at)}.`);
  const other = letter.first_error && letter.first_error !== letter.last_error;
  setText(first, other ? `First error: ${nameText(letter.first_error)}` : "");
  setHidden(first, !other);
}

function lettersNote() {
  if (letters.access === "token") return "";
  if (letters.note) return `Not shown: ${letters.note}`;
  if (letters.access === "unknown") return "Not asked yet.";
  if (letters.list.length > 0) return "";
  const { tenant_id: tenant, dataset_id: dataset } = lettersFilter();
  return tenant || dataset ? "None match the filter." : "None. Every batch that was accepted is stored or on its way.";
}

function showTools() {
  const { tenant_id: tenant, dataset_id: dataset } = lettersFilter();
  const open = letters.access === "open";
  setHidden($("letters-tools"), !open || (letters.list.length === 0 && !tenant && !dataset && !letters.cursor));
  setText($("letters-retry"), tenant || dataset ? "Retry what matches" : "Retry all");
  setText($("letters-purge"), tenant ? `Purge of ${nameText(tenant)}` : "Purge (choose a tenant)");
  $("letters-retry").disabled = letters.list.length === 0;
  $("letters-purge").disabled = letters.list.length === 0 || !tenant;
}

function showLetters() {
  const note = lettersNote(), list = letters.access === "open" ? letters.list : [];
  say("letters-count", letters.buried === undefined ? "" : countText(letters.buried));
  setHidden($("token-form"), letters.access !== "token");
  setHidden($("token-change"), client.token === "");
  showTools();
  const lostFocus = showList($("letters"), list, (letter) => letter.id, makeLetter, fillLetter);
  say("letters-empty", note);
  setHidden($("letters-empty"), note === "");
  setHidden($("letters-pages"), !letters.next && !letters.cursor);
  $("letters-next").disabled = !letters.next;
  $("letters-first").disabled = !letters.cursor;
  if (lostFocus) $("letters-title").focus();
}

// --- what is done with them

async function countFirst(path, selector) {
  try {
    return (await client.json(path, { ...selector, dry_run: true })).count;
  } catch (error) {
    noteAccess(error);
    showLetters();
    return undefined;
  }
}

async function change(path, selector) {
  const { message } = await client.json(path, selector);
  announce(`Done: ${nameText(message)}`);
  letters.cursor = "";
  await askLetters();
}

async function retryLetters(selector, what) {
  const path = "/api/v1/dlq/retry", count = await countFirst(path, selector);
  if (count === undefined) return;
  const many = pluralText(count, "dead letter", "dead letters");
  confirmFirst({ title: `Retry ${many}?`, yes: `Retry ${countText(count)}`, act: () => change(path, selector),
    text: `${many} (${what}) will be offered to the sinks again, as if just received. What fails again comes back here.` });
}

// Gone is gone: the tenant's name is typed.
async function purgeLetters(selector, tenant, what) {
  const path = "/api/v1/dlq/purge", count = await countFirst(path, selector);
  if (count === undefined) return;
  const many = pluralText(count, "dead letter", "dead letters");
  confirmFirst({ title: `Purge ${many}?`, yes: `Purge ${countText(count)}`, word: nameText(tenant), danger: true, act: () => change(path, selector),
    text: `${many} of ${nameText(tenant)} (${what}) will be deleted for good. No copy is kept here, and this cannot be undone.` });
}

function selected() {
  const { tenant_id: tenant, dataset_id: dataset } = lettersFilter();
  return { tenant_id: tenant || "*", dataset_id: dataset || "*" };
}

function selectedText({ tenant_id: tenant, dataset_id: dataset }) {
  return `${tenant === "*" ? "all tenants" : nameText(tenant)}, ${dataset === "*" ? "all datasets" : nameText(dataset)}`;
}

$("letters-retry").addEventListener("click", () => retryLetters(selected(), selectedText(selected())));
$("letters-purge").addEventListener("click", () => purgeLetters(selected(), selected().tenant_id, selectedText(selected())));
$("letters-filter").addEventListener("submit", (event) => {
  event.preventDefault();
  letters.cursor = "";
  askLetters();
});
for (const id of ["letters-tenant", "letters-dataset"]) $(id).addEventListener("input", showTools);
$("letters-first").addEventListener("click", () => {
  letters.cursor = "";
  askLetters();
});
$("letters-next").addEventListener("click", () => {
  letters.cursor = letters.next;
  askLetters();
});

// --- the token

$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = $("token").value;
  if (!/^[\x21-\x7e]+$/.test(token)) {
    say("token-error", "A token is made of printable ASCII characters without spaces.");
    return;
  }
  $("token").value = "";
  client.keepToken(token);
  askLetters().then(() => letters.access === "open" && $("letters-title").focus());
});

$("token-change").addEventListener("click", () => {
  client.keepToken("");
  Object.assign(letters, { access: "unknown", note: "", list: [], next: null, cursor: "" });
  known.names = new Map();
  askLetters();
});
