"use strict";
// The address changes as controls move; going back in it is a move, too.
addEventListener("popstate", () => emitEvent("address", location.search));
// What somebody looks at is likely to be moved: a switch, or an option of a picker, that the pointer or a key rests on.
const RESTS_MS = 60;
let resting;

function look(at) {
  clearTimeout(resting);
  const seen = at?.closest?.("[role=switch], [role=option]");
  if (seen) resting = setTimeout(() => looked(seen), RESTS_MS);
}

function looked(seen) {
  const list = seen.closest("[role=listbox]");
  const control = list ? document.querySelector(`[role=combobox][aria-controls="${list.id}"]`) : seen;
  if (control?.isConnected) emitEvent("looked", [control.getAttribute("aria-label"), list ? seen.innerText.trim() : ""]);
}

addEventListener("pointerover", (event) => look(event.target));
addEventListener("focusin", (event) => look(event.target));
addEventListener("keyup", () => {
  const option = document.querySelector("[role=option].q-manual-focusable--focused");
  if (option) look(option);
});
