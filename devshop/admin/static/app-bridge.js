// devshop's stand-in for Shopify's App Bridge. It does, against devshop's admin, what apps rely on: ID tokens, fetch with the token and one
// retry, the bounce page, navigation, links out of the frame, toasts, loading, save bar, resource picker. Outside of a frame it stays silent.
// Source: Shopify, "App Bridge library" (fetch, idToken, saveBar, toast), and the headers that Shopify's own packages send to it.
(() => {
  "use strict";
  if (window.shopify) return;
  const script = document.currentScript;
  const admin = new URL(script.src).origin;
  const apiKey = script.dataset.apiKey || document.querySelector('meta[name="shopify-api-key"]')?.content;
  const query = new URLSearchParams(location.search);
  const isEmbedded = window.parent !== window;

  // What the first address said is kept for the pages after it. Storage may be closed in a frame.
  const stored = (name, value) => {
    try {
      if (value !== undefined) sessionStorage.setItem(name, JSON.stringify(value));
      return JSON.parse(sessionStorage.getItem(name)) || {};
    } catch { return value || {}; }
  };
  const fresh = Object.fromEntries(["shop", "host", "locale"].filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
  const config = { ...stored("devshop", { ...stored("devshop"), ...fresh }), apiKey };

  // Questions to the admin, and its answers.
  const waiting = new Map();
  let count = 0;
  const tell = (message) => { if (isEmbedded) parent.postMessage({ devshop: true, ...message }, "*"); };
  const ask = (type, more = {}) => new Promise((resolve, reject) => {
    if (!isEmbedded) return reject(new Error(`shopify.${type} works only in the admin`));
    const id = ++count;
    waiting.set(id, resolve);
    tell({ type, id, ...more });
  });
  const idToken = async () => {
    const token = await ask("idToken");
    if (!token) throw new Error("the admin gave no ID token: the app is not installed in this store");
    return token;
  };

  // fetch to the app's own origin carries a token, and is repeated once with a new one where the app asks for it.
  const plainFetch = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    const request = new Request(input, init);
    if (!isEmbedded || new URL(request.url).origin !== location.origin) return plainFetch(request);
    const send = async () => {
      const copy = request.clone();
      copy.headers.set("Authorization", `Bearer ${await idToken()}`);
      if (config.locale && !request.headers.has("Accept-Language")) copy.headers.set("Accept-Language", config.locale);
      return plainFetch(copy);
    };
    let response = await send();
    if (response.status === 401 && response.headers.get("X-Shopify-Retry-Invalid-Session-Request")) response = await send();
    const leave = response.headers.get("X-Shopify-API-Request-Failure-Reauthorize-Url");
    if (response.status === 401 && leave) window.open(leave, "_top");
    return response;
  };

  // Documents are loaded with a token in their address, as the admin loads them.
  async function load(target, how) {
    for (const name of ["shop", "host", "locale"]) if (config[name]) target.searchParams.set(name, config[name]);
    target.searchParams.set("embedded", "1");
    target.searchParams.set("id_token", await idToken());
    how.call(location, target);
  }

  // The bounce page: back to `shopify-reload` with a fresh token. An app that refuses every token would bounce for ever: stop after five.
  function bounce(path) {
    const target = new URL(path, location.origin);
    if (target.origin !== location.origin) return;
    const last = stored("devshop-bounce"), isAgain = last.path === target.pathname && Date.now() - last.at < 10000;
    const times = isAgain ? last.times + 1 : 1;
    stored("devshop-bounce", { path: target.pathname, at: Date.now(), times });
    if (times > 5) throw new Error(`${target.pathname} refused five fresh ID tokens. Do the app and devshop have the same secret?`);
    load(target, location.replace);
  }

  // Addresses of Shopify's admin lead to devshop's.
  function adminUrl(address) {
    const url = new URL(address, location.href);
    const name = (config.shop || "").replace(".myshopify.com", "");
    if (url.protocol === "shopify:") return address.replace(/^shopify:\/*admin/, `${admin}/store/${name}`);
    if (url.host === "admin.shopify.com") return admin + url.pathname + url.search;
    const shop = url.host.endsWith(".myshopify.com") && url.pathname.startsWith("/admin") ? url.host : null;
    if (!shop) return null;
    if (url.pathname.startsWith("/admin/oauth/")) {
      url.searchParams.set("shop", shop);
      return admin + url.pathname + url.search;
    }
    return `${admin}/store/${shop.replace(".myshopify.com", "")}${url.pathname.slice("/admin".length)}${url.search}`;
  }
  const plainOpen = window.open.bind(window);
  window.open = (address = "", target, ...rest) => {
    const there = address && adminUrl(String(address));
    if (there && isEmbedded && ["_top", "_parent"].includes(target)) return tell({ type: "leave", url: there }), null;
    return plainOpen(there || address, target, ...rest);
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]"), there = link && isEmbedded && adminUrl(link.href);
    if (!there || event.defaultPrevented) return;
    event.preventDefault();
    window.open(link.href, link.target || "_top");
  });

  // Where the app is, and its navigation.
  const tellWhere = () => { if (!query.has("shopify-reload")) tell({ type: "location", path: location.pathname + location.search }); };
  for (const name of ["pushState", "replaceState"]) {
    const plain = history[name].bind(history);
    history[name] = (...rest) => { plain(...rest); tellWhere(); };
  }
  const navLinks = () => [...document.querySelectorAll(":is(s-app-nav, ui-nav-menu) :is(a, s-link)[href]")].filter((link) => link.getAttribute("rel") !== "home");
  const tellNav = () => {
    const links = navLinks().map((link) => ({ path: link.getAttribute("href"), label: link.textContent.trim() }));
    if (links.length) tell({ type: "nav", links });
  };
  function navigate(path) {
    const link = navLinks().find((one) => one.getAttribute("href") === path) || document;
    const event = new CustomEvent("shopify:navigate", { detail: { path }, cancelable: true, bubbles: true });
    if (link.dispatchEvent(event)) load(new URL(path, location.origin), location.assign);
  }

  // The save bar: of forms that say data-save-bar, or of a <ui-save-bar> shown by its id.
  let shownBar = null;
  const isChanged = (field) => {
    if (!field.name || field.disabled) return false;
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return isSelectChanged(field);
    return field.value !== field.defaultValue;
  };
  // A select with no option marked shows its first, which is then no change.
  const isSelectChanged = ({ options, multiple }) => {
    const marked = [...options].some((option) => option.defaultSelected);
    return [...options].some((option, n) => option.selected !== (marked || multiple ? option.defaultSelected : n === 0));
  };
  const dirtyForm = () => [...document.querySelectorAll("form[data-save-bar]")].find((form) => [...form.elements].some(isChanged));
  const tellSaveBar = () => {
    const form = dirtyForm(), bar = form || shownBar;
    tell({ type: "saveBar", on: Boolean(bar), confirms: Boolean(bar?.hasAttribute?.("data-discard-confirmation") || bar?.hasAttribute?.("discardConfirmation")) });
  };
  const barButton = (isPrimary) => [...(shownBar?.querySelectorAll?.("button") || [])].find((button) => (button.getAttribute("variant") === "primary") === isPrimary);
  const press = (isSave) => {
    const form = dirtyForm();
    if (!form) return barButton(isSave)?.click();
    isSave ? form.requestSubmit() : form.reset();
  };
  const showBar = (id, on) => { shownBar = on ? document.getElementById(id) || {} : null; tellSaveBar(); };
  for (const name of ["input", "change"]) document.addEventListener(name, tellSaveBar);
  document.addEventListener("reset", () => setTimeout(tellSaveBar));
  document.addEventListener("submit", (event) => setTimeout(() => { if (event.target.matches("[data-save-bar]")) tell({ type: "saveBar", on: false }); }));

  const toasts = new Map();
  addEventListener("message", (event) => {
    if (event.source !== parent || !event.data?.devshop) return;
    const { type, id, value, path } = event.data;
    if (type === "answer") { waiting.get(id)?.(value); waiting.delete(id); }
    if (type === "navigate") navigate(path);
    if (type === "save" || type === "discard") press(type === "save");
    if (type === "toastAction") toasts.get(id)?.onAction?.();
    if (type === "toastGone") { toasts.get(id)?.onDismiss?.(); toasts.delete(id); }
  });

  const element = (id) => {
    const found = document.getElementById(id);
    if (!found?.showModal) throw new Error(`devshop's App Bridge shows modals of <dialog> only, and #${id} is none`);
    return found;
  };
  window.shopify = {
    config, idToken, ready: Promise.resolve(), origin: location.origin,
    environment: { embedded: isEmbedded, mobile: false, intent: false, pos: false },
    loading: (on = true) => tell({ type: "loading", on: Boolean(on) }),
    toast: {
      show(message, options = {}) {
        const id = String(++count), { onAction, onDismiss, ...plain } = options;
        toasts.set(id, { onAction, onDismiss });
        tell({ type: "toast", id, message, options: plain });
        return id;
      },
      hide: (id) => tell({ type: "toastHide", id }),
    },
    saveBar: {
      show: async (id) => showBar(id, true), hide: async (id) => showBar(id, false), toggle: async (id) => showBar(id, !shownBar),
      leaveConfirmation: async () => { if (!await ask("confirmLeave")) throw new Error("stayed"); },
    },
    modal: { show: async (id) => element(id).showModal(), hide: async (id) => element(id).close(), toggle: async (id) => (element(id).open ? element(id).close() : element(id).showModal()) },
    resourcePicker: (options = {}) => ask("pick", { options: { ...options, query: options.query || options.filter?.query } }),
    scopes: {
      query: () => ask("scopes"),
      request: (names) => ask("scopesRequest", { names }),
      revoke: (names) => ask("scopesRevoke", { names }),
    },
    user: async () => ({ accountAccess: "Administrator" }),
  };

  if (query.get("shopify-reload")) {
    if (isEmbedded) bounce(query.get("shopify-reload"));
    return;
  }
  if (isEmbedded) {
    const sheet = new CSSStyleSheet();  // a constructed sheet passes the app's policy, a <style> would not
    sheet.replaceSync("s-app-nav, ui-nav-menu, ui-save-bar { display: none; }");
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  }
  const start = () => { tellNav(); tellWhere(); tellSaveBar(); };
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
  for (const name of ["htmx:after:swap", "htmx:afterSwap"]) document.addEventListener(name, start);
  addEventListener("popstate", tellWhere);
})();
