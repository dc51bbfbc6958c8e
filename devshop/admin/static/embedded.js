// The admin's half of App Bridge: answers the frame's questions, and draws its navigation, toasts, loading bar, save bar and dialogs.
"use strict";
const byId = (id) => document.getElementById(id);
const frame = byId("app");
const { store, handle } = frame.dataset;
const { origin } = new URL(frame.dataset.app);
const base = `/store/${store}/apps/${handle}`;
const OWN = ["embedded", "hmac", "host", "id_token", "locale", "session", "shop", "timestamp"];  // what the admin adds to the app's address
const say = (message) => frame.contentWindow.postMessage({ devshop: true, ...message }, origin);
const answer = (id, value) => say({ type: "answer", id, value });
let here = "/", isHeard = false, isDirty = false, confirmsDiscard = false;

const setLoading = (on) => { byId("bar").hidden = !on; };

// Resolves to true when nothing is unsaved, or when the person does not mind.
const mayLeave = () => new Promise((resolve) => {
  if (!isDirty) return resolve(true);
  const dialog = byId("leave");
  dialog.returnValue = "stay";
  dialog.addEventListener("close", () => resolve(dialog.returnValue === "leave"), { once: true });
  dialog.showModal();
});

function markHere() {
  for (const link of document.querySelectorAll("#app-nav a")) {
    const isHere = here === link.dataset.path || (link.dataset.path !== "/" && here.startsWith(`${link.dataset.path}/`));
    isHere ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
}

function draw({ id, message, options = {} }) {
  const toast = byId("toast");
  toast.replaceChildren(message);
  toast.dataset.id = id;
  toast.classList.toggle("wrong", Boolean(options.isError));
  if (options.action) {
    const button = document.createElement("button");
    button.textContent = options.action;
    button.addEventListener("click", () => { say({ type: "toastAction", id }); clearToast(id); });
    toast.append(button);
  }
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => clearToast(id), options.duration || 5000);
}

function clearToast(id) {
  const toast = byId("toast");
  if (toast.dataset.id !== String(id)) return;
  toast.replaceChildren();
  delete toast.dataset.id;
  say({ type: "toastGone", id });
}

async function pick({ id, options = {} }) {
  const dialog = byId("picker"), list = byId("picker-list"), search = byId("picker-search");
  const byVariant = options.type === "variant", kind = options.multiple ? "checkbox" : "radio";
  const chosen = new Map((options.selectionIds || []).map((one) => [one.id, { id: one.id }]));
  const fill = async () => {
    const products = await (await fetch(`/store/${store}/picker.json?q=${encodeURIComponent(search.value)}`)).json();
    const rows = byVariant ? products.flatMap((product) => product.variants) : products;
    list.replaceChildren(...rows.map((row) => {
      const label = document.createElement("label"), box = document.createElement("input");
      Object.assign(box, { type: kind, name: "picked", checked: chosen.has(row.id) });
      if (box.checked) chosen.set(row.id, row);
      box.addEventListener("change", () => {
        if (kind === "radio") chosen.clear();
        box.checked ? chosen.set(row.id, row) : chosen.delete(row.id);
      });
      label.append(box, row.displayName || row.title);
      return label;
    }));
  };
  search.value = options.query || "";
  search.oninput = fill;
  dialog.returnValue = "cancel";
  dialog.addEventListener("close", () => answer(id, dialog.returnValue === "pick" ? [...chosen.values()] : undefined), { once: true });
  await fill();
  dialog.showModal();
}

const list = (name) => frame.dataset[name].split(",").filter(Boolean);
const scopes = () => ({ granted: list("scopes"), required: list("required"), optional: list("optional") });

// Resolves to whether the store's grants were changed.
async function changeScopes(change) {
  const response = await fetch(`/store/${store}/scopes`, { method: "POST", body: JSON.stringify(change), headers: { "Content-Type": "application/json" } });
  if (response.ok) frame.dataset.scopes = (await response.json()).granted.join(",");
  return response.ok;
}

const answers = {
  async idToken({ id }) {
    const response = await fetch(`/store/${store}/id-token`, { method: "POST" });
    answer(id, response.ok ? (await response.json()).id_token : null);
  },
  scopes({ id }) { answer(id, scopes()); },
  scopesRequest({ id, names }) {
    const dialog = byId("ask-scopes"), lacking = names.filter((name) => !scopes().granted.includes(name));
    if (!lacking.length) return answer(id, { result: "granted-all", detail: scopes() });
    byId("ask-scopes-list").replaceChildren(...lacking.map((name) => Object.assign(document.createElement("li"), { textContent: name })));
    dialog.returnValue = "decline";
    dialog.addEventListener("close", async () => {
      const isGiven = dialog.returnValue === "accept" && await changeScopes({ grant: lacking });
      answer(id, { result: isGiven ? "granted-all" : "declined-all", detail: scopes() });
    }, { once: true });
    dialog.showModal();
  },
  async scopesRevoke({ id, names }) { await changeScopes({ revoke: names }); answer(id, { detail: scopes() }); },
  async confirmLeave({ id }) { answer(id, await mayLeave()); },
  location({ path }) {
    const clean = new URL(path, origin);
    for (const name of OWN) clean.searchParams.delete(name);
    isHeard = true;
    here = clean.pathname;
    history.replaceState(null, "", base + (here === "/" ? "" : here) + clean.search);
    byId("silent").hidden = true;
    setLoading(false);
    markHere();
  },
  nav({ links }) {
    byId("app-nav").replaceChildren(...links.map(({ path, label }) => {
      const link = document.createElement("a");
      link.href = base + path;
      link.dataset.path = new URL(path, origin).pathname;
      link.textContent = label;
      link.addEventListener("click", async (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        if (!await mayLeave()) return;
        setLoading(true);
        say({ type: "navigate", path });
      });
      return link;
    }));
    markHere();
  },
  toast: draw,
  toastHide({ id }) { clearToast(id); },
  loading({ on }) { setLoading(on); },
  saveBar({ on, confirms }) {
    isDirty = on;
    confirmsDiscard = Boolean(confirms);
    byId("savebar").hidden = !on;
  },
  leave({ url }) {
    const target = new URL(url, location.origin);
    if (target.origin === location.origin) location.assign(target);
  },
  pick,
};

addEventListener("message", (event) => {
  if (event.origin === origin && event.source === frame.contentWindow && event.data?.devshop) answers[event.data.type]?.(event.data);
});
byId("save").addEventListener("click", () => say({ type: "save" }));
byId("discard").addEventListener("click", async () => { if (!confirmsDiscard || await mayLeave()) say({ type: "discard" }); });
setTimeout(() => { byId("silent").hidden = isHeard; }, 6000);

// The strip: sell and edit without leaving the app, and the store's numbers as they are now.
const strip = byId("strip");
strip.open = innerWidth > 768 && localStorage.getItem("devshop-strip") !== "closed";
strip.addEventListener("toggle", () => localStorage.setItem("devshop-strip", strip.open ? "open" : "closed"));
for (const form of document.querySelectorAll("#strip form")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
    byId("said").textContent = response.ok ? `Done at ${new Date().toLocaleTimeString()}` : "That cannot be done.";
    refresh();
  });
}

const seen = new Map();
function drawRow(row) {
  const line = document.createElement("tr"), now = `${row.available}/${row.committed}`, before = seen.get(row.sku);
  if (!before || before.now !== now) seen.set(row.sku, { now, at: before ? Date.now() : 0 });
  if (Date.now() - seen.get(row.sku).at < 4000) line.className = "changed";
  const name = document.createElement("td"), code = document.createElement("small");
  code.textContent = row.sku;
  name.append(row.title, code);
  line.append(name, ...[row.available, row.committed].map((value) => {
    const cell = document.createElement("td");
    cell.className = "num";
    cell.textContent = value;
    return cell;
  }));
  return line;
}
async function refresh() {
  if (document.hidden || !strip.open) return;
  const response = await fetch(`/store/${store}/stock.json`).catch(() => null);
  if (response?.ok) byId("stock").replaceChildren(...(await response.json()).map(drawRow));
}
strip.addEventListener("toggle", refresh);
refresh();
setInterval(refresh, 1500);
