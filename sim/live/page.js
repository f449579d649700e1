"use strict";
// The address changes as controls move; going back in it is a move, too.
addEventListener("popstate", () => emitEvent("address", location.search));
