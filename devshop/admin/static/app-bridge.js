// devshop's stand-in for Shopify's App Bridge. It does, against devshop's admin, what apps rely on: idToken, fetch with the token and one
// retry, the bounce page, navigation, toasts, loading, save bar. Outside of a frame it stays silent.
(() => {
  "use strict";
  const script = document.currentScript;
  const apiKey = script.dataset.apiKey || document.querySelector('meta[name="shopify-api-key"]')?.content;
  const query = new URLSearchParams(location.search);
  const kept = () => { try { return JSON.parse(sessionStorage.getItem("devshop") || "{}"); } catch { return {}; } };
  const fresh = Object.fromEntries(["shop", "host", "locale"].filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
  const config = { ...kept(), ...fresh, apiKey };
  try { sessionStorage.setItem("devshop", JSON.stringify(config)); } catch { /* storage may be closed in a frame */ }
  const isEmbedded = window.parent !== window;
  const waiting = new Map();
  let count = 0;
  const tell = (message) => isEmbedded && parent.postMessage({ devshop: true, ...message }, "*");

  const idToken = () => new Promise((resolve, reject) => {
    if (!isEmbedded) return reject(new Error("not embedded"));
    const id = ++count;
    waiting.set(id, resolve);
    tell({ type: "idToken", id });
  });

  const ownFetch = window.fetch.bind(window);
  window.fetch = async (input, init = {}) => {
    const request = new Request(input, init);
    if (!isEmbedded || new URL(request.url).origin !== location.origin) return ownFetch(request);
    const send = async () => {
      const copy = request.clone();
      copy.headers.set("Authorization", `Bearer ${await idToken()}`);
      return ownFetch(copy);
    };
    let response = await send();
    if (response.status === 401 && response.headers.get("X-Shopify-Retry-Invalid-Session-Request")) response = await send();
    const leave = response.headers.get("X-Shopify-API-Request-Failure-Reauthorize-Url");
    if (response.status === 401 && leave) window.open(leave, "_top");
    return response;
  };

  async function reload(path) {
    const target = new URL(path, location.origin);
    if (target.origin !== location.origin) return;
    for (const [name, value] of query) if (name !== "shopify-reload" && !target.searchParams.has(name)) target.searchParams.set(name, value);
    target.searchParams.set("id_token", await idToken());
    location.replace(target);
  }
  if (query.get("shopify-reload")) reload(query.get("shopify-reload"));

  // Documents are loaded with a token in their address, as the admin loads them.
  async function navigate(path) {
    const event = new CustomEvent("shopify:navigate", { detail: { path }, cancelable: true, bubbles: true });
    if (!document.dispatchEvent(event)) return;
    const target = new URL(path, location.origin);
    for (const name of ["shop", "host", "locale"]) if (config[name]) target.searchParams.set(name, config[name]);
    target.searchParams.set("embedded", "1");
    target.searchParams.set("id_token", await idToken());
    location.assign(target);
  }

  const tellWhere = () => tell({ type: "location", path: location.pathname + location.search });
  for (const name of ["pushState", "replaceState"]) {
    const original = history[name].bind(history);
    history[name] = (...rest) => { original(...rest); tellWhere(); };
  }
  const tellNav = () => {
    const links = [...document.querySelectorAll("s-app-nav a, ui-nav-menu a")].filter((link) => link.rel !== "home");
    if (links.length) tell({ type: "nav", links: links.map((link) => ({ path: link.getAttribute("href"), label: link.textContent.trim() })) });
  };

  const forms = () => document.querySelectorAll("form[data-save-bar]");
  const isDirty = (form) => [...form.elements].some((field) => field.name && (field.type === "checkbox" || field.type === "radio"
    ? field.checked !== field.defaultChecked
    : field.tagName === "SELECT" ? [...field.options].some((option) => option.selected !== option.defaultSelected) : field.value !== field.defaultValue));
  const tellSaveBar = () => tell({ type: "saveBar", on: [...forms()].some(isDirty) });
  for (const name of ["input", "change"]) document.addEventListener(name, tellSaveBar);
  for (const name of ["submit", "reset"]) document.addEventListener(name, () => setTimeout(() => tell({ type: "saveBar", on: false })));

  addEventListener("message", (event) => {
    if (event.source !== parent || !event.data?.devshop) return;
    const { type, id, value, path } = event.data;
    if (type === "answer") { waiting.get(id)?.(value); waiting.delete(id); }
    if (type === "navigate") navigate(path);
    const form = [...forms()].find(isDirty);
    if (type === "save") form?.requestSubmit();
    if (type === "discard") form?.reset();
  });

  const start = () => { tellNav(); tellWhere(); tell({ type: "saveBar", on: false }); };
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
  for (const name of ["htmx:after:swap", "htmx:afterSwap"]) document.addEventListener(name, () => { tellNav(); tellWhere(); tellSaveBar(); });
  addEventListener("popstate", tellWhere);

  window.shopify = {
    config, idToken, ready: Promise.resolve(), origin: location.origin, environment: { embedded: isEmbedded, mobile: false, intent: false },
    loading: (on = true) => tell({ type: "loading", on: Boolean(on) }),
    toast: { show: (message) => { tell({ type: "toast", message }); return String(++count); }, hide() {} },
    saveBar: { show: async () => tell({ type: "saveBar", on: true }), hide: async () => tell({ type: "saveBar", on: false }), leaveConfirmation: async () => {} },
    modal: {}, user: async () => ({ accountAccess: "ADMIN" }),
  };
})();
