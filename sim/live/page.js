"use strict";
// The address changes as controls move; going back in it is a move, too.
addEventListener("popstate", () => emitEvent("address", location.search));
// What somebody looks at is likely to be moved: a switch, or an option of a picker, that the pointer or a key rests on;
// a slider to where the pointer rests on it. Of a picker itself it is told that somebody is there.
const RESTS_MS = 60;
let resting;

function look(at) {
  const seen = at?.closest?.("[role=switch]:not([aria-disabled=true]), [role=option], .q-select:not(.q-field--disabled)");
  rest(seen && (() => looked(seen)));
}

function lookAlong(event) {
  const slider = event.target.closest?.("[role=slider]:not([aria-disabled=true])");
  if (slider && !event.buttons) rest(() => told(slider, partOf(slider.getBoundingClientRect(), event.clientX)));
}

function rest(tell) {
  clearTimeout(resting);
  if (tell) resting = setTimeout(tell, RESTS_MS);
}

function looked(seen) {
  const list = seen.closest("[role=listbox]");
  if (list) told(document.querySelector(`[role=combobox][aria-controls="${list.id}"]`), seen.innerText.trim());
  else told(seen.querySelector("[role=combobox]") ?? seen, "");
}

function partOf(box, x) {
  return String(Math.min(Math.max((x - box.left) / box.width, 0), 1));
}

function told(control, name) {
  if (control?.isConnected) emitEvent("looked", [control.getAttribute("aria-label"), name]);
}

addEventListener("pointerover", (event) => look(event.target));
addEventListener("pointermove", lookAlong);
addEventListener("focusin", (event) => look(event.target));
addEventListener("keyup", () => {
  const option = document.querySelector("[role=option].q-manual-focusable--focused");
  if (option) look(option);
});
