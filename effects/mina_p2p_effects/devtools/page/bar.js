"use strict";
// The bar above Redux DevTools: shows and moves the window of the log. First it tells the
// interface, in the interface's own settings, that this server is the one to connect to.

const bar = document.getElementById("bar");
const field = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en-US");

// What the interface needs of settings that it did not make itself; strings, as it keeps them.
const INITIAL_SETTINGS = {
  monitor: JSON.stringify({ selected: "InspectorMonitor", sliderIsOpen: true, dispatcherIsOpen: false }),
  _persist: JSON.stringify({ version: -1, rehydrated: true }),
};

// The interface keeps its settings by localForage, in the store that localForage would make.
function openSettings() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open("localforage");
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("keyvaluepairs");
      asked.result.createObjectStore("local-forage-detect-blob-support");
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function chooseThisServer() {
  const database = await openSettings();
  const store = database.transaction("keyvaluepairs", "readwrite").objectStore("keyvaluepairs");
  const key = "persist:redux-devtools";
  const settings = { ...INITIAL_SETTINGS, ...JSON.parse((await done(store.get(key))) ?? "{}") };
  const options = { hostname: location.hostname, port: Number(location.port), secure: location.protocol === "https:" };
  settings.connection = JSON.stringify({ options, type: "custom" });
  await done(store.put(JSON.stringify(settings), key));
  database.close();
}

function load(source) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = source;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${source} was not served`));
    document.body.append(script);
  });
}

let socket;

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/bar`);
  socket.onopen = () => bar.classList.remove("away");
  socket.onmessage = (message) => show(JSON.parse(message.data));
  socket.onclose = () => {
    bar.classList.add("away");
    field("at").textContent = "the server is away";
    setTimeout(connect, 1000);
  };
}

function show(status) {
  field("log").textContent = status.name;
  const { start, end } = status.window;
  field("window").textContent = `${number(Math.min(start + 1, end))} – ${number(end)} of ${number(status.count)} actions`;
  const place = status.kind ? `after ${number(status.at)}, ${status.kind}` : "at the beginning";
  field("at").textContent = status.message || place;
  field("at").title = field("at").textContent;
  field("at").dataset.at = status.at;
  const isOver = { first: start === 0, previous: start === 0, next: end >= status.count, last: end >= status.count };
  for (const button of bar.querySelectorAll("button")) button.disabled = isOver[button.dataset.move] ?? false;
}

const ask = (move, text = "") => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ move, text }));

bar.addEventListener("click", (event) => {
  const move = event.target.dataset?.move;
  if (move) ask(move);
});
bar.addEventListener("submit", (event) => event.preventDefault());
for (const move of ["goto", "find"]) {
  field(move).addEventListener("keydown", (event) => {
    event.stopPropagation(); // the interface has single-key commands
    if (event.key === "Enter" && field(move).value) ask(move, field(move).value);
  });
}
document.addEventListener("keydown", (event) => {
  if (!event.altKey || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
  event.preventDefault();
  ask(event.key === "ArrowLeft" ? "previous" : "next");
});

connect();
chooseThisServer()
  .then(() => load("js/common.js"))
  .then(() => load("js/app.js"))
  .catch((error) => { field("at").textContent = `Redux DevTools could not be started: ${error}`; });
