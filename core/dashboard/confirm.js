// SPDX-License-Identifier: Apache-2.0
// Asks before something is changed. The browser's own modal dialog keeps the focus inside and gives it back; Escape and
// Cancel change nothing. What cannot be undone wants a word typed.

let onYes = null;

// {title, text, yes, word (typed, when given), danger, act: async () => {}}. Errors of `act` are shown in the dialog.
function confirmFirst({ title, text, yes, word, danger, act }) {
  say("confirm-title", title);
  say("confirm-text", text);
  say("confirm-error", "");
  say("confirm-yes", yes);
  say("confirm-expected", word ?? "");
  setHidden($("confirm-typing"), !word);
  $("confirm-word").value = "";
  $("confirm-yes").className = danger ? "danger solid" : "";
  $("confirm-yes").disabled = Boolean(word);
  onYes = act;
  $("confirm").showModal();
  (word ? $("confirm-word") : $("confirm-no")).focus();
}

$("confirm-word").addEventListener("input", () => {
  $("confirm-yes").disabled = $("confirm-word").value !== $("confirm-expected").textContent;
});

$("confirm-no").addEventListener("click", () => $("confirm").close());

$("confirm-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if ($("confirm-yes").disabled) return;
  $("confirm-yes").disabled = true;
  try {
    await onYes();
    $("confirm").close();
  } catch (error) {
    say("confirm-error", `Not done: ${error.message}`);
    $("confirm-yes").disabled = false;
  }
});
