// The access key: asked for when the door wants one, kept until the tab is closed, never in an address or a cookie.
import { byId } from "./dom.js";

const STORED = "access-key";
let asking = null;
let isDeclined = false;

/** The key that was given, or "". */
export function accessKey() {
  return sessionStorage.getItem(STORED) ?? "";
}

/** The headers that show the key, if there is one. */
export function keyHeaders() {
  const key = accessKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/**
 * Asks for a key and says why; true when one was given. Calls that are refused meanwhile wait for the same answer.
 * Who said "not now" is asked again when they do something (`isWanted`), not for what the page does by itself.
 */
export function askForKey(why, isWanted) {
  if (isDeclined && !isWanted) return Promise.resolve(false);
  asking ??= ask(why).finally(() => { asking = null; });
  return asking;
}

function ask(why) {
  const dialog = byId("ask-key");
  const field = byId("key");
  byId("key-why").textContent = accessKey() ? why : "";
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use" ? field.value.trim() : "";
      field.value = "";
      isDeclined = !given;
      if (given) sessionStorage.setItem(STORED, given);
      resolve(Boolean(given));
    }, { once: true });
  });
}
